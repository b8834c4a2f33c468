"""Ready-made spaces: readable YAML in `spaces/`, fitted to a study's data, overridden by its own parameters."""

import math
from collections.abc import Collection, Mapping
from importlib.resources import files
from typing import Any

from hpsearch.core_yaml import read_yaml
from hpsearch.errors import UserError, choices
from hpsearch.knobs import KNOBS, ON, Knob, of_net, of_own
from hpsearch.names import advice
from hpsearch.nets.own import DROPOUTS, Takes
from hpsearch.peers import VALUES
from hpsearch.study import Choice, Fixed, Param, Study, parse_params

SPACES = ("baseline", "recipe", "cocktail", "augment")


def text_of(name: str, place: str) -> str:
    """A ready-made space as it is written.

    Raises:
        UserError: there is none of this name.
    """
    if name not in SPACES:
        raise UserError(f"{place}: there is no space {name!r}; {advice(name, SPACES, VALUES['space'])}")
    return (files("hpsearch") / "spaces" / f"{name}.yaml").read_text(encoding="utf-8")


def with_space(
    study: Study,
    task: str,
    kind: str,
    rows: int,
    place: str,
    widest: float = math.inf,
    takes: Takes | None = None,
    numbers: bool = True,
) -> Study:
    """The study with the parameters of its ready-made space, for its task, the kind of its inputs and its rows.

    `widest`: the values of the widest category, without which there is nothing to embed. `takes`: what the factory
    of a net of the user's own takes; the space then has what training takes, and of a net's parameters none.
    `numbers`: whether the inputs hold any, without which what acts on them goes.
    Arrays and volumes have the space of tables where there is none of theirs.
    A parameter of the study's own takes the place of the space's; `off` takes one away that has no such value.

    Raises:
        UserError: there is no such space, or it is not for such inputs.
    """
    name = study.search.space
    if name is None:
        return study
    where = f"{place}: search.space"
    kinds = read_yaml(text_of(name, where), where)
    if kind in ("arrays", "volumes") and kind not in kinds and "tables" in kinds:
        kinds[kind] = kinds["tables"]
    if "any" not in kinds and kind not in kinds:
        told, others = " and ".join(kinds), [other for other in SPACES if other != name]
        raise UserError(f"{where}: {name!r} is for {told}, and these data are {kind}; {choices(others)}")
    named = {**kinds.get("any", {}), **_for_net(kinds, kind, study.net)}
    raw = {key: _sized(entry, rows) for key, entry in named.items()}
    table = of_net(study.net) if takes is None else of_own({}, {}, anything=False)
    if takes is not None:
        table = {key: knob for key, knob in table.items() if key not in (*takes.named, *DROPOUTS)}
    read = parse_params(raw, where).items()
    given = {key: _of_task(key, entry, task) for key, entry in read if _fits(key, table, task, kind, numbers)}
    if study.search.folds is not None:  # which hold out rows that these look at
        given = {key: entry for key, entry in given.items() if key not in ("features", "pieces")}
    if "embedding" in given and not embeds(given["embedding"], widest):
        del given["embedding"]
    taken = {key for key, entry in study.params.items() if _takes_away(key, entry)}
    own = {key: entry for key, entry in study.params.items() if key not in taken}
    merged = {key: entry for key, entry in {**given, **own}.items() if key not in taken}
    if "batch_size" in given and "batch_size" not in own:
        merged["batch_size"] = _filled(merged["batch_size"], rows)
    kept = {key: entry for key, entry in merged.items() if key in own or _acts(key, merged)}
    params = {key: entry if key in own else _among(entry, kept) for key, entry in kept.items()}
    return study.model_copy(update={"params": params})


def _for_net(kinds: Mapping[str, Mapping[str, Any]], kind: str, net: str) -> Mapping[str, Any]:
    """The entries for inputs of this kind. Those of images size a ResNet: an MLP on images has those of tables."""
    found = kinds.get(kind, {})
    if kind != "images" or net != "mlp":
        return found
    tables = {key: entry for key, entry in kinds.get("tables", {}).items() if KNOBS[key].nets}
    return {**tables, **{key: entry for key, entry in found.items() if not KNOBS[key].nets}}


def embeds(entry: Param, widest: float) -> bool:
    """Whether an entry for `embedding` makes vectors of any category: of one with more values than they have."""
    if isinstance(entry, Choice):
        return any(isinstance(size, int) and 0 < size < widest for size in entry.choices)
    low = entry.value if isinstance(entry, Fixed) else max(entry.low, 1)
    return isinstance(low, int) and 0 < low < widest


def _sized(entry: Any, rows: int) -> Any:
    """An entry for so many training rows: the first whose bound is not below them."""
    if not (isinstance(entry, dict) and "rows" in entry):
        return entry
    bounds: Mapping[str, Any] = entry["rows"]
    fitting = [
        value for bound, value in bounds.items() if bound != "more" and rows <= int(bound.removeprefix("to_"))
    ]
    return fitting[0] if fitting else bounds["more"]


def _filled(entry: Param, rows: int) -> Param:
    """Batch sizes that so many rows can fill."""
    sizes = entry.choices if isinstance(entry, Choice) else [entry.value] if isinstance(entry, Fixed) else []
    fitting = [size for size in sizes if isinstance(size, int) and size <= rows]
    return Choice(choices=[*fitting]) if fitting else Fixed(value=rows)


def _fits(name: str, table: Mapping[str, Knob], task: str, kind: str, numbers: bool) -> bool:
    knob = table.get(name)
    return (
        knob is not None
        and knob.task in (None, task)
        and (not knob.of or kind in knob.of)
        and (numbers or not knob.numbers)
    )


def _takes_away(name: str, entry: Param) -> bool:
    return isinstance(entry, Fixed) and entry.value == "off" and name in KNOBS and KNOBS[name].off is None


def _of_task(name: str, entry: Param, task: str) -> Param:
    """Losses that are for the other task go; a space names those of classification."""
    if name == "loss" and task == "regression" and isinstance(entry, Choice):
        return Fixed(value="squared") if "cross_entropy" in entry.choices else entry
    return entry


def _among(entry: Param, kept: Collection[str]) -> Param:
    """An entry without conditions on parameters that are not there: they hold, or the entry would not act."""
    return entry.model_copy(update={"when": {name: wanted for name, wanted in entry.when.items() if name in kept}})


def _acts(name: str, params: Mapping[str, Param]) -> bool:
    """Whether a parameter of the space can act beside what the study chose."""
    knob = KNOBS[name]
    conditions = {**({knob.needs[0]: knob.needs[1:]} if knob.needs else {}), **params[name].when}
    return all(_possible(params.get(other), KNOBS[other], accepted) for other, accepted in conditions.items())


def _possible(entry: Param | None, knob: Knob, accepted: Any) -> bool:
    values = tuple(accepted) if isinstance(accepted, list | tuple) else (accepted,)
    if values == (ON,):
        given = [knob.default] if entry is None else entry.choices if isinstance(entry, Choice) else [entry]
        return any(getattr(value, "value", value) not in (knob.off, "off") for value in given)
    values = tuple(knob.off if value == "off" else value for value in values)
    if entry is None:
        return knob.default in values
    if isinstance(entry, Choice):
        return any((knob.off if value == "off" else value) in values for value in entry.choices)
    return not isinstance(entry, Fixed) or (knob.off if entry.value == "off" else entry.value) in values
