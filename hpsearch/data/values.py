"""The inputs and the targets of a pair (x, y): numbers, words and truth values, and nothing else."""

import numbers
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.data.arrays import to_array
from hpsearch.errors import UserError

_REFUSED = {  # by numpy's kinds of dtypes
    "c": (
        "complex numbers",
        "give their real and imaginary part, or their size and angle, as inputs of their own",
    ),
    "M": ("points of time", "give numbers, such as the days since the first"),
    "m": ("spans of time", "give numbers, such as seconds"),
    "V": ("records of several fields", "give a DataFrame: pd.DataFrame(array)"),
}
_NAMES = {"word": "words", "number": "numbers", "truth": "true and false", "missing": "nothing", "bytes": "bytes"}


def pair(x: Any, y: Any, place: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Inputs, numbers [N, ...]; targets [N], numbers, words or truth values; and notes on how they were read.

    Raises:
        UserError: they are something else, or do not belong together.
    """
    _refuse_other_order(x, y, place)
    inputs = _inputs(to_array(x, f"{place}: x"), f"{place}: x")
    targets, notes = _targets(to_array(y, f"{place}: y"), y, len(inputs), f"{place}: y")
    return inputs, targets, notes


def inputs_of(x: Any, place: str) -> np.ndarray:
    """The inputs alone, numbers [N, ...]."""
    return _inputs(to_array(x, f"{place}: x"), f"{place}: x")


def _refuse_other_order(x: Any, y: Any, place: str) -> None:
    """x and y belong together by position; labels of their rows that say otherwise are a mistake."""
    labels = [value.index for value in (x, y) if isinstance(value, pd.DataFrame | pd.Series)]
    if len(labels) < 2 or labels[0].equals(labels[1]) or len(labels[0]) != len(labels[1]):
        return
    if labels[0].is_unique and labels[1].is_unique and not len(labels[0].difference(labels[1])):
        raise UserError(
            f"{place}: x and y have the same row labels in another order, and belong together by position; "
            "give y.loc[x.index]"
        )


# --- inputs -----------------------------------------------------------------------------------------------------


def _inputs(x: np.ndarray, what: str) -> np.ndarray:
    x = _numbers(x, what) if x.dtype == object else x
    if x.dtype.kind in _REFUSED:
        _refuse(x.dtype, what)
    if x.dtype.kind not in "fiub" or x.ndim < 2 or x.size == 0:
        raise UserError(f"{what} must be numbers, one row an example, got {_shown(x.dtype)} {list(x.shape)}")
    return x.astype(x.dtype.newbyteorder("="), copy=False)


def _numbers(x: np.ndarray, what: str) -> np.ndarray:
    """Objects as numbers; what is missing is NaN, which is refused later."""
    flat = x.ravel()
    kinds = {kind: _kind(kind) for kind in set(map(type, flat))}
    wrong = [kind for kind, name in kinds.items() if name not in ("number", "truth", "missing")]
    if wrong:
        at = next(i for i, value in enumerate(flat) if type(value) is wrong[0])
        row = int(np.unravel_index(at, x.shape)[0])
        raise UserError(f"{what} must be numbers, but row {row} has {_value(flat[at])}")
    found = np.array([np.nan if pd.isna(value) else float(value) for value in flat], dtype=np.float64)
    return found.reshape(x.shape)


# --- targets ----------------------------------------------------------------------------------------------------


def _targets(y: np.ndarray, given: Any, rows: int, what: str) -> tuple[np.ndarray, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    if y.ndim == 2 and y.shape[1] == 1 and len(y) == rows:
        y, notes = y[:, 0], (f"y: {list(y.shape)}, taken as [{len(y)}]",)
    if y.ndim != 1 or len(y) != rows:
        raise UserError(
            f"{what} must have one value a row of x ({rows}), got shape {list(y.shape)}{_advice(y, rows)}"
        )
    if y.dtype.kind in _REFUSED:
        _refuse(y.dtype, what)
    if y.dtype.kind == "S":
        return _decoded(y, what), (*notes, "y: bytes, read as UTF-8 words")
    if y.dtype.kind in "OT":
        y, more = _objects(y.astype(object), what)
        return y, (*notes, *more)
    y = y.astype(np.float64) if y.dtype.kind == "f" else y  # pandas has no half precision
    return y.astype(y.dtype.newbyteorder("="), copy=False), notes


def _advice(y: np.ndarray, rows: int) -> str:
    if y.ndim != 2 or len(y) != rows:
        return ""
    if y.dtype.kind in "fiub" and np.isin(y, (0, 1)).all() and (y.sum(1) == 1).all():
        return ", which is one-hot; give the classes, y.argmax(1)"
    return "; several targets or labels an example are not supported"


def _objects(y: np.ndarray, what: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Python objects: all numbers, words or truth values; what is missing stays so, and is refused later."""
    kinds = {kind: _kind(kind) for kind in set(map(type, y))}
    missing = np.array([name == "missing" for name in map(kinds.get, map(type, y))])
    missing |= np.array([isinstance(value, float) and value != value for value in y])
    known = y[~missing]
    found = {kinds[type(value)]: value for value in reversed(known)}
    odd = found.get("other")
    if odd is not None:
        row = int(next(i for i, value in enumerate(y) if value is odd))
        raise UserError(f"{what} must be numbers, words, or true and false, but row {row} has {_value(odd)}")
    if len(found) > 1:
        told = " and ".join(f"{_NAMES[name]} ({_value(value)})" for name, value in sorted(found.items()))
        raise UserError(f"{what} holds {told}; a target is all numbers, all words, or all true and false")
    (kind,) = found or ("missing",)
    if missing.any():
        return (_floats(y, missing) if kind in ("number", "missing") else _without(y, missing)), ()
    if kind == "bytes":
        return _decoded(y, what), ("y: bytes, read as UTF-8 words",)
    return _MADE[kind](y, what), ()


def _without(y: np.ndarray, missing: np.ndarray) -> np.ndarray:
    found = y.copy()
    found[missing] = None
    return found


def _floats(y: np.ndarray, missing: np.ndarray) -> np.ndarray:
    return np.array([np.nan if gone else float(value) for value, gone in zip(y, missing, strict=True)])


def _of_numbers(y: np.ndarray, what: str) -> np.ndarray:
    if not all(isinstance(value, numbers.Integral) for value in y):
        return np.array([float(value) for value in y])
    for dtype in (np.int64, np.uint64):
        if min(y) >= np.iinfo(dtype).min and max(y) <= np.iinfo(dtype).max:
            return np.array([int(value) for value in y], dtype=dtype)
    raise UserError(
        f"{what} holds {max(y, key=abs)}, an integer of more than 64 bits; give words or smaller numbers"
    )


def _decoded(y: np.ndarray, what: str) -> np.ndarray:
    try:
        return np.array([bytes(value).decode() for value in y])
    except UnicodeDecodeError:
        row = next(i for i, value in enumerate(y) if not _is_utf8(value))
        raise UserError(
            f"{what} holds bytes, but row {row} has {bytes(y[row])!r}, which is no UTF-8; give words"
        ) from None


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


_MADE: dict[str, Callable[[np.ndarray, str], np.ndarray]] = {
    "number": _of_numbers,
    "word": lambda y, what: np.array([str(value) for value in y]),
    "truth": lambda y, what: np.array([bool(value) for value in y]),
    "missing": lambda y, what: np.full(len(y), np.nan),
}


# --- both -------------------------------------------------------------------------------------------------------


def _kind(kind: type) -> str:
    """What the values of a Python type are."""
    if issubclass(kind, bool | np.bool_):
        return "truth"
    if issubclass(kind, numbers.Real | Decimal) and not issubclass(kind, np.timedelta64):
        return "number"
    if issubclass(kind, str):
        return "word" if kind in (str, np.str_) else "other"  # an Enum of words is none
    if issubclass(kind, bytes):
        return "bytes"
    missing = (type(None), type(pd.NA), type(pd.NaT), type(np.ma.masked))
    return "missing" if issubclass(kind, missing) else "other"


def _refuse(dtype: np.dtype, what: str) -> None:
    name, advice = _REFUSED[dtype.kind]
    raise UserError(f"{what} holds {name} ({_shown(dtype)}); {advice}")


def _shown(dtype: np.dtype) -> str:
    return str(dtype) if dtype.names is None else ", ".join(dtype.names)


def _value(value: Any) -> str:
    value = value.item() if isinstance(value, np.generic) else value
    text = " ".join(repr(value).split())
    return f"{text if len(text) <= 40 else text[:39] + '…'} of type {type(value).__name__}"
