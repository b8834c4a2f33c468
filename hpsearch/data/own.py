"""Data from a loader of the user's own: arrays, a table, or a torch Dataset."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.data import cells
from hpsearch.data.raw import Raw, channels_first
from hpsearch.errors import UserError

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
        given = load()
        return _raw(given, spec, place, dropped)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # a Dataset's items run the user's code too
        raise UserError(f"{place}: {spec} failed: {fault(error)}") from error


def _raw(given: Any, spec: str, place: str, dropped: Collection[str] = ()) -> Raw:
    if isinstance(given, Mapping):
        return _of_parts(given, spec, place, dropped)
    if isinstance(given, pd.DataFrame):
        again = given.columns[given.columns.astype(str).duplicated()]
        if len(again):
            raise UserError(f"{place}: {spec} gave a DataFrame with the column {again[0]!r} twice")
        return Raw(spec, table=given.rename(columns=str).reset_index(drop=True))
    x, y = _arrays(given, spec, place)
    return Raw(spec, x=channels_first(x, place), y=y)


def _of_parts(given: Mapping[str, Any], spec: str, place: str, dropped: Collection[str]) -> Raw:
    wrong = [name for name in given if name not in _PARTS]
    if wrong or "train" not in given:
        told = ", ".join(map(str, given)) or "nothing"
        raise UserError(f"{place}: {spec} gave a mapping of {told}; {_FORMS}")
    raws = {name: _raw(part, spec, place) for name, part in given.items()}
    part = np.concatenate([[name] * _rows(raw) for name, raw in raws.items()])
    tables = {name: raw.table for name, raw in raws.items() if raw.table is not None}
    if len(tables) == len(raws):
        return Raw(spec, table=_one_table(tables, spec, place, dropped), part=part)
    shapes = {name: None if raw.x is None else raw.x.shape[1:] for name, raw in raws.items()}
    if len(set(shapes.values())) > 1:
        raise UserError(f"{place}: {spec} gave parts of several shapes: {shapes}")
    xs, ys = ([getattr(raw, name) for raw in raws.values()] for name in ("x", "y"))
    return Raw(spec, x=np.concatenate(xs), y=np.concatenate(ys), part=part)


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


def _arrays(given: Any, spec: str, place: str) -> tuple[np.ndarray, np.ndarray]:
    """x and y as arrays, from a pair of things like arrays or from a Dataset."""
    if isinstance(given, tuple | list) and len(given) == 2:
        x, y = (np.asarray(part) for part in given)
    elif hasattr(given, "__getitem__") and hasattr(given, "__len__") and not isinstance(given, np.ndarray | str):
        x, y = _dataset(given, spec, place)
    else:
        raise UserError(f"{place}: {spec} gave {type(given).__name__}; {_FORMS}")
    if x.dtype.kind not in "fiub" or x.ndim < 2 or x.size == 0:
        raise UserError(f"{place}: {spec}: x must be numbers, one row an example, got {x.dtype} {list(x.shape)}")
    if y.ndim != 1 or len(y) != len(x):
        raise UserError(f"{place}: {spec}: y must have one value a row of x ({len(x)}), got shape {list(y.shape)}")
    return x, y


def _dataset(given: Any, spec: str, place: str) -> tuple[np.ndarray, np.ndarray]:
    pairs = [given[i] for i in range(len(given))]
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        what = f"{len(given)} things" if isinstance(given, tuple) else "a Dataset whose items are no pairs (x, y)"
        raise UserError(f"{place}: {spec} gave {what}; {_FORMS}")
    xs, ys = [np.asarray(x) for x, _ in pairs], [np.asarray(y).item() for _, y in pairs]
    shapes = {x.shape for x in xs}
    if len(shapes) > 1:
        some = ", ".join(str(list(shape)) for shape in sorted(shapes)[:3])
        raise UserError(f"{place}: {spec} gave a Dataset of inputs of several shapes: {some}")
    return np.stack(xs), np.array(ys)
