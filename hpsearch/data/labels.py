"""Class labels: a class is its spelling, and is called what the file calls it.

A CSV has no types. There a column of labels is a column of numbers if every label reads as a number and none has a
leading zero; `01` and `1` are words, and two classes. That decides which task is recognised. What the classes are
called is decided by their spelling alone: `1`, `1.0` and `+1` are three classes.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.data import categories, cells
from hpsearch.data.preprocess import as_floats

_LEADING_ZERO = re.compile(r"\s*[+-]?0[0-9]")


def numeric(column: pd.Series, typed: bool) -> np.ndarray | None:
    """Return the labels as float64 [N] if they are numbers, None if they are words, booleans or categories.

    `typed`: the source says by its types which labels are numbers; else their spelling does.
    """
    if pd.api.types.is_bool_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype):
        return None
    if not pd.api.types.is_numeric_dtype(column):
        numbers = column.dtype == object and all(_is_number(value) for value in column)
        if typed and not numbers:
            return None
        if any(isinstance(value, str) and _LEADING_ZERO.match(value) for value in column.unique()):
            return None
    values = as_floats(column)
    return None if np.isnan(values).any() else values


def _is_number(value: Any) -> bool:
    return isinstance(value, Real | Decimal) and not isinstance(value, bool | np.bool_)


def are_booleans(column: pd.Series) -> bool:
    """Whether every label is true or false, as a value or as a word in any case."""
    return set(categories.words(column)) <= set(cells.BOOLEANS)


def names(column: pd.Series) -> np.ndarray:
    """Return each label's class: a text as it is spelled, a number or boolean as canonical text; [N]."""
    index, values = cells.distinct(column)
    return np.asarray(np.array([_name(value) for value in values], dtype=object)[index])


def _name(value: Any) -> str:
    return str(value) if isinstance(value, str) else cells.key(value)


def codes(column: pd.Series, classes: Sequence[str]) -> np.ndarray:
    """Return the index of each label's class, `categories.UNSEEN` for a label that names none; int64 [N].

    A label of another source names a class by its spelling, else by its value if one class alone has this value:
    1.0 and 1, or True and true.
    """
    index, values = cells.distinct(column)
    known = categories.Known(classes, loose=False)
    return np.asarray(np.array([*map(known.index, values), categories.MISSING], dtype=np.int64)[index])


def order(classes: np.ndarray) -> np.ndarray:
    """Return the order of the classes: numbers in their order, words in theirs."""
    try:
        return np.argsort(classes.astype(np.float64), kind="stable")
    except ValueError:
        return np.argsort(classes, kind="stable")
