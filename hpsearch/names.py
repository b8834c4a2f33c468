"""What a user may have meant by a name that is unknown: other tools' names for ours, and near misses."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from hpsearch.errors import choices, either
from hpsearch.peers import KEYS, OF_OWN, PARAMETERS, Peers

_SHOWN = 12  # names of a list
_NEAR, _NEAR_PEER = 0.6, 0.8  # how alike a misspelt name must be (difflib's ratio)


def suggestions(given: str, known: Iterable[str], peers: Peers | None = None) -> list[str]:
    """Give what a name may mean, the likeliest alone: ours in another spelling, another tool's, a near miss."""
    names = list(known)
    exact = same(given, names, peers or {})
    if exact:
        return exact
    word = _fold(given)
    if word in (_fold(_head(ours)) for ours in peers or {}):
        return []  # one of ours, which is not at hand here
    aliases = {alias: ours for ours, others in _usable(names, peers or {}) for alias in map(_fold, others.split())}
    near = _nearest(word, aliases, _NEAR_PEER) or _nearest(word, {_fold(name): name for name in names}, _NEAR)
    return [near] if near else []


def _nearest(word: str, table: Mapping[str, str], cutoff: float) -> str | None:
    """The entry of a table whose key is most like a word; of short words only keys of about their length are."""
    keys = [key for key in table if len(word) > 3 or abs(len(key) - len(word)) <= 1]
    near = difflib.get_close_matches(word, keys, n=1, cutoff=cutoff)
    return table[near[0]] if near else None


def advice(given: object, known: Iterable[str], peers: Peers | None = None, more: str = "") -> str:
    """Give the closing half of an error about a name: `did you mean lr?`, and the names where they are few.

    `more` ends the list of names: `, or your own`.
    """
    names = list(known)
    found = suggestions(given, names, peers) if isinstance(given, str) else []
    listed = shortened(names) + more
    if not found:
        return listed
    meant = f"did you mean {either(found)}?"
    return f"{meant} {listed[0].upper()}{listed[1:]}" if len(names) <= _SHOWN else meant


def shortened(names: Sequence[str]) -> str:
    """Give `choose from a, b, c`, of many names the first."""
    if len(names) <= _SHOWN:
        return choices(names)
    return f"choose from {', '.join(names[:_SHOWN])}, … ({len(names) - _SHOWN} more)"


def key_advice(section: str, key: str, fields: Mapping[str, Sequence[str]]) -> str:
    """Give the closing half of an error about an unknown key of a study; `fields` has the keys of each section."""
    own, peers = fields[section], KEYS.get(section, {})
    found = (
        same(key, own, peers)
        or _elsewhere(section, key, fields, {}, {})
        or suggestions(key, own, peers)
        or _elsewhere(section, key, fields, KEYS, PARAMETERS)
    )
    return f"did you mean {either(found)}?" if found else f"choose from {', '.join(own)}"


def _elsewhere(
    section: str, key: str, fields: Mapping[str, Sequence[str]], keys: Mapping[str, Peers], parameters: Peers
) -> list[str]:
    """Where a key stands that is not one of this section, by our own names and those of the tables."""
    found = [
        f"{other}.{name}" if other else f"{name} at the top of the study"
        for other, names in fields.items()
        if other != section
        for name in same(key, names, keys.get(other, {}))
    ]
    if section == "":
        found += [f"params.{name}" for name in same(key, map(_head, PARAMETERS), parameters)]
    return found[:3]


def same(given: str, known: Iterable[str], peers: Peers) -> list[str]:
    """Give the names of ours that a name is, in another spelling or another tool's words; no near misses."""
    names, word = list(known), _fold(given)
    spelt = list(dict.fromkeys(name for name in names if _fold(name) == word))
    return spelt or [ours for ours, others in _usable(names, peers) if word in map(_fold, others.split())]


def _usable(names: Sequence[str], peers: Peers) -> list[tuple[str, str]]:
    """The lines of a table whose name of ours is known here."""
    return [(ours, others) for ours, others in peers.items() if _head(ours) in names or ours == OF_OWN]


def _head(ours: str) -> str:
    return ours.partition(" ")[0].rstrip(":,")


def _fold(name: str) -> str:
    """A name without what spellings differ in."""
    return re.sub(r"[\s_\-.]", "", name.casefold()) or name
