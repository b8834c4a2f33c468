"""The nets behind the results of a run that has ended, put together from its rows on disk."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hpsearch.errors import UserError
from hpsearch.folder import Folder
from hpsearch.prepared import Prepared
from hpsearch.search import ledger
from hpsearch.squeeze.candidates import Candidate, candidates
from hpsearch.squeeze.refit import refitted
from hpsearch.squeeze.team import Team, team_of

WHAT = ("ensemble", "student", "best")


def stored(
    folder: Folder, prepared: Prepared, summary: Mapping[str, Any], what: str
) -> tuple[Team, dict[str, Any]]:
    """The team, and what `summary.json` says of it, with its `members`.

    Raises:
        UserError: the run has no such result, or its rows are gone.
    """
    told = summary[what]
    if told is None:
        raise UserError(f"{folder.root}: has no {what}")
    if what == "student":
        members: Sequence[Mapping[str, Any]] = []
        rows = ledger.read(folder.student.ledger, f"{prepared.study.name}-student")
        arrays = prepared.arrays
        found = candidates(folder.student, rows, arrays, with_snapshots=False)
        found = [one for one in found if one.trial == told["trial"]]
    else:
        members = told["members"] if what == "ensemble" else [told]
        arrays = prepared.searched
        library = [*candidates(folder, ledger.read(folder.ledger, prepared.study.name), arrays)]
        library += _prolonged(folder, prepared, summary.get("prolonged"))
        found = [_named(member, library, folder) for member in members]
    if not found:
        raise UserError(f"{folder.root}: the rows of its {what} are gone; launch its study again")
    team = team_of(found, prepared, told.get("weights", ()), told.get("temperature", 1.0), arrays)
    if "before_refit" in told:
        team = replace(team, nets=refitted(folder, prepared, found), weights=told["weights"])
    return team, {**told, "members": [one.named() for one in found] if what == "student" else members}


def _prolonged(folder: Folder, prepared: Prepared, told: Sequence[Mapping[str, Any]] | None) -> list[Candidate]:
    """The trials that went on, by the numbers of those that they went on from."""
    if not told:
        return []
    rows = ledger.read(folder.prolonged.ledger, f"{prepared.study.name}-prolonged")
    ended = candidates(folder.prolonged, rows, prepared.searched, with_snapshots=False)
    return [replace(one, trial=told[one.trial]["trial"], kind="prolonged") for one in ended]


def _named(member: Mapping[str, Any], library: Sequence[Candidate], folder: Folder) -> Candidate:
    found = next((one for one in library if one.named().items() <= member.items()), None)
    if found is None:
        raise UserError(f"{folder.root}: the row of trial {member['trial']} is gone; launch its study again")
    return found
