"""One canonical text for each value of a category, whatever type or spelling it comes in.

1, 1.0, "1", "1.0", Decimal("1.00") and numpy's scalars are all `1`; True, "True" and "TRUE" are `true`. A text
is read as a number only as programs write numbers, maybe with blanks around: 007 and +7 stay the words that they
are.
"""

import datetime
import math
import re
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.errors import UserError

BOOLEANS = {"false": "0", "true": "1"}
EXACT = 2**53  # floats hold whole numbers up to here
_PLAIN = re.compile(r"\s*-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\s*")
_ANY = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")
_MOST_DIGITS = 300  # float64 ends at 309
_NESTED = (list, dict, tuple, set, bytes, bytearray, np.ndarray)


def key(value: Any) -> str:
    """Return the canonical text of a value that is not missing."""
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, datetime.date | np.datetime64):
        return str(pd.Timestamp(value)).removesuffix(" 00:00:00")
    number = as_number(value)
    return str(value) if number is None else number_key(number)


def _of_text(text: str) -> str:
    if text.lower() in BOOLEANS:
        return text.lower()
    number = parse(text) if _PLAIN.fullmatch(text) else None
    return str(text) if number is None else number_key(number)


def as_number(value: Any) -> int | float | None:
    """Return a number as Python's, exact where it is whole; None if the value is none."""
    if isinstance(value, Decimal):
        if not value.is_finite() or value.adjusted() > _MOST_DIGITS:
            return None
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, np.floating) and value.itemsize < 4:
        return float(str(value))  # the digits that float16 has
    return float(value) if isinstance(value, Real) else None


def parse(text: str) -> int | float | None:
    """Return the number that a text spells, in any usual way: `007`, `+7`, ` 7`, `7.` and `7e0` are 7."""
    if len(text) > _MOST_DIGITS or not _ANY.fullmatch(text):
        return None
    whole, _, rest = text.strip().partition(".")
    if "e" not in text.lower() and not rest.strip("0"):
        return int(whole) if whole.strip("+-") else 0  # exact, also with a point
    return float(text) if math.isfinite(float(text)) else None


def is_plain(text: str) -> bool:
    """Whether a text is a number as programs write it, blanks aside."""
    return _PLAIN.fullmatch(text) is not None and parse(text) is not None


def number_key(number: int | float) -> str:
    """Return the canonical text of a number."""
    if isinstance(number, int):
        return str(number)
    if not math.isfinite(number):
        return str(number)
    if number.is_integer():
        return str(int(number))
    with np.errstate(all="ignore"):
        short = np.float32(number)
    # 0.1 that went through float32 is 0.10000000149011612 as a double; both are 0.1
    return repr(float(str(short))) if float(short) == number else repr(number)


def distinct(series: pd.Series, place: str = "") -> tuple[np.ndarray, list[Any]]:
    """Return the distinct values of a column, and for each row which of them it has, -1 for a missing one.

    Values that are equal and of one type are one value; True and 1 are two.

    Raises:
        UserError: a cell holds a list, an array, bytes or the like.
    """
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes, known = series.cat.codes.to_numpy(), np.asarray(series.cat.categories, dtype=object)
        used, index = np.unique(codes[codes >= 0], return_inverse=True)
        found = np.full(len(codes), -1)
        found[codes >= 0] = index
        values = known[used].tolist()
    elif series.dtype == object:
        found, values = _objects(series.to_numpy(), series.name, place)
    else:
        found, uniques = pd.factorize(series)
        values = list(uniques.to_numpy() if series.dtype.kind == "f" else uniques)
    nested = next((value for value in values if isinstance(value, _NESTED)), None)
    if nested is not None:
        raise _refusal(nested, series.name, place)
    gone = np.array([bool(pd.isna(value)) for value in [*values, None]])  # the last is what is missing
    return np.where(gone[found], -1, found), values


def _objects(cells: np.ndarray, name: Any, place: str) -> tuple[np.ndarray, list[Any]]:
    """Do the same for Python objects; pandas would take True and 1 for one value."""
    places: dict[tuple[type, Any], int] = {}
    found = np.full(len(cells), -1)
    for row in np.flatnonzero(~pd.isna(cells)):
        try:
            found[row] = places.setdefault((type(cells[row]), cells[row]), len(places))
        except TypeError:  # it has no hash
            raise _refusal(cells[row], name, place) from None
    return found, [value for _, value in places]


def _refusal(value: Any, name: Any, place: str) -> UserError:
    return UserError(
        f"{place}: the column {str(name)!r} holds {type(value).__name__} values; "
        "a category is a word, a number, or true and false"
    )
