"""Data from a loader of the user's own: arrays, a table, or a torch Dataset."""

import contextlib
import io
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.data import cells
from hpsearch.data.arrays import from_arrow, is_arrow, is_sparse, is_tensor
from hpsearch.data.frames import plain_table
from hpsearch.data.items import read_items
from hpsearch.data.raw import Raw
from hpsearch.data.sketch import difference, sketch
from hpsearch.data.values import pair
from hpsearch.errors import UserError
from hpsearch.repeatable import fixed_generators

_QUICK_S, _SMALL = 2.0, 1e9  # a loader of less time and fewer bytes is called twice
REPEATABLE = (
    "A loader must return the same data each time, or no later launch can recognise them: give default_rng() a "
    "seed, sort sets and listings of files, and let nothing depend on the time or on earlier calls"
)
_PARTS = ("train", "validation", "test")
_FORMS = "give a pair (x, y), a DataFrame, a torch Dataset of such pairs, or a mapping of train, validation, test"


def read_own(
    load: Callable[[], Any],
    spec: str,
    place: str,
    fault: Callable[[BaseException], str],
    dropped: Collection[str] = (),
) -> Raw:
    """What a loader, called without arguments, gives; `fault` tells an error of its in a line.

    `dropped`: columns that nobody will look at.

    Raises:
        UserError: it fails, or gives something else.
    """
    try:
        raw, took = _called(load, spec, place, dropped)
        if took < _QUICK_S and _bytes(raw) < _SMALL:
            with contextlib.redirect_stdout(io.StringIO()):
                again, _ = _called(load, spec, place, dropped)
            _refuse_changed(sketch(raw), sketch(again), spec, place)
        return raw
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # a Dataset's items run the user's code too
        raise UserError(f"{place}: {spec} failed: {fault(error)}") from error


def _called(load: Callable[[], Any], spec: str, place: str, dropped: Collection[str]) -> tuple[Raw, float]:
    """What a loader returns, and the seconds that it took."""
    start = time.monotonic()
    with fixed_generators():
        raw = _raw(load(), spec, place, dropped)
    return raw, time.monotonic() - start


def _bytes(raw: Raw) -> float:
    held = raw.table.memory_usage(index=False).sum() if raw.table is not None else raw.x.nbytes  # type: ignore[union-attr]
    return float(held)


def _refuse_changed(first: dict[str, Any], again: dict[str, Any], spec: str, place: str) -> None:
    told = difference(first, again)
    if told:
        raise UserError(
            f"{place}: {spec} returned other data when it was called a second time: {told}. {REPEATABLE}"
        )


def _raw(given: Any, spec: str, place: str, dropped: Collection[str] = ()) -> Raw:
    if isinstance(given, Mapping):
        return _of_parts(given, spec, place, dropped)
    what = f"{place}: {spec}"
    table = _as_table(given)
    if table is not None:
        return Raw(spec, table=plain_table(table, dropped, what))
    x, y, notes = _pair(given, what)
    return Raw(spec, x=x, y=y, notes=notes)


def _as_table(given: Any) -> pd.DataFrame | None:
    """A data frame of pandas, pyarrow, polars, or of a library that turns its own into pandas'."""
    if not isinstance(given, pd.DataFrame) and not isinstance(given, pd.Series):
        if is_arrow(given):
            given = from_arrow(given)
        elif callable(getattr(given, "to_pandas", None)):
            given = given.to_pandas()
    return given if isinstance(given, pd.DataFrame) else None


def _of_parts(given: Mapping[str, Any], spec: str, place: str, dropped: Collection[str]) -> Raw:
    wrong = [name for name in given if name not in _PARTS]
    if wrong or "train" not in given:
        told = ", ".join(map(str, given)) or "nothing"
        told += " (give the pair of the two)" if {*given} >= {"data", "target"} or {*given} == {"x", "y"} else ""
        raise UserError(f"{place}: {spec} gave a mapping of {told}; {_FORMS}")
    raws = {name: _raw(part, f"{spec}: {name}", place, dropped) for name, part in given.items()}
    part = np.concatenate([[name] * _rows(raw) for name, raw in raws.items()])
    tables = {name: raw.table for name, raw in raws.items() if raw.table is not None}
    if len(tables) == len(raws):
        return Raw(spec, table=_one_table(tables, spec, place, dropped), part=part)
    shapes = {name: None if raw.x is None else raw.x.shape[1:] for name, raw in raws.items()}
    if len(set(shapes.values())) > 1:
        raise UserError(f"{place}: {spec} gave parts of several shapes: {shapes}")
    _refuse_unlike_targets({name: raw.y for name, raw in raws.items() if raw.y is not None}, spec, place)
    xs, ys = ([getattr(raw, name) for raw in raws.values()] for name in ("x", "y"))
    notes = tuple(dict.fromkeys(f"{name}: {note}" for name, raw in raws.items() for note in raw.notes))
    return Raw(spec, x=np.concatenate(xs), y=np.concatenate(ys), part=part, notes=notes)


_KINDS = {"b": "true and false", "U": "words", "O": "words"}


def _refuse_unlike_targets(ys: Mapping[str, np.ndarray], spec: str, place: str) -> None:
    """Numbers of one part beside words of another would all become words."""
    kinds = {name: _KINDS.get(y.dtype.kind, "numbers") for name, y in ys.items()}
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{kind} in {name}" for name, kind in kinds.items())
        raise UserError(
            f"{place}: {spec}: y holds {told}; a target is all numbers, all words, or all true and false"
        )


def _one_table(
    tables: Mapping[str, pd.DataFrame], spec: str, place: str, dropped: Collection[str]
) -> pd.DataFrame:
    """The parts' tables under each other; a category stays one, whatever values a part has of it."""
    columns = list(tables["train"])
    for name, table in tables.items():
        odd = sorted(map(str, (set(table) ^ set(columns)) - set(dropped)))
        if odd:
            have, lacks = ("train", name) if odd[0] in columns else (name, "train")
            raise UserError(f"{place}: {spec}: the column {odd[0]!r} is in {have} and not in {lacks}")
    exact = [_exact(table, tables.values()) for table in tables.values()]
    whole = pd.concat(exact, ignore_index=True)
    for column in columns:
        if any(isinstance(table[column].dtype, pd.CategoricalDtype) for table in tables.values()):
            whole[column] = pd.Categorical(whole[column])
    return whole


def _exact(table: pd.DataFrame, tables: Collection[pd.DataFrame]) -> pd.DataFrame:
    """Return the table, its large whole numbers as objects if another part has floats, which would round them."""
    rounded = [
        name
        for name in table
        if pd.api.types.is_integer_dtype(table[name].dtype)
        and any(name in other and pd.api.types.is_float_dtype(other[name].dtype) for other in tables)
        and table[name].abs().max() > cells.EXACT
    ]
    return table.astype(dict.fromkeys(rounded, object))


def _rows(raw: Raw) -> int:
    return len(raw.table) if raw.table is not None else len(raw.y if raw.y is not None else ())


def _pair(given: Any, what: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """x and y as arrays, from a pair of things like arrays or from a Dataset; and notes on how they were read."""
    if isinstance(given, tuple | list) and len(given) == 2:
        x, y = given
        _refuse_two_parts(x, y, what)
        return pair(x, y, what)
    if isinstance(given, tuple) and not all(isinstance(one, tuple | list) and len(one) == 2 for one in given):
        raise UserError(f"{what} gave {len(given)} things; {_FORMS}")
    if not _has_items(given):
        name = type(given).__name__
        told = f"{name}{_ADVICE.get(name, '')}" if given is not None else "None: it returns nothing"
        raise UserError(f"{what} gave {told}; {_FORMS}")
    return pair(*read_items(given, what), place=what)


_ADVICE = {
    "DataLoader": " (give its .dataset)",
    "Series": " (give a DataFrame, or a pair)",
    "ndarray": " (an array alone has no targets)",
    "Tensor": " (a tensor alone has no targets)",
}


def _has_items(given: Any) -> bool:
    """Whether it has a length and items at each place, as a Dataset has; an IterableDataset has none."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(given, torch.utils.data.IterableDataset):
        return False
    array = (
        is_tensor(given) or is_sparse(given) or isinstance(given, np.ndarray | pd.Series | pd.Index | str | bytes)
    )
    return not array and hasattr(given, "__getitem__") and hasattr(given, "__len__")


def _refuse_two_parts(x: Any, y: Any, what: str) -> None:
    """Two parts of the data, such as training and test, are no inputs and targets."""
    frames = isinstance(x, pd.DataFrame) and isinstance(y, pd.DataFrame) and y.shape[1] > 1
    told = {
        "DataFrames of the same columns": frames and list(x.columns) == list(y.columns),
        "Datasets": _is_dataset(x) and _is_dataset(y),
        "pairs": all(isinstance(part, tuple) and len(part) == 2 and hasattr(part[0], "shape") for part in (x, y)),
    }
    for name, found in told.items():
        if found:
            raise UserError(f"{what} gave two {name}; give a mapping of train and test to them")


def _is_dataset(value: Any) -> bool:
    array = isinstance(value, Sequence | Mapping | pd.DataFrame | pd.api.extensions.ExtensionArray) or is_arrow(
        value
    )
    return not array and not hasattr(value, "__array__") and _has_items(value)
