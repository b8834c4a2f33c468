"""Categories of a column: which there are, and which of them a raw value is.

A value is what `cells.key` makes of it, in training and in prediction. How a value is found among the categories
is decided by the categories that training has left, never by the type of the column at hand:

- all are numbers: any spelling of a number counts, and true and false are 1 and 0;
- all are true or false: 1 and 0 count as these, in any spelling;
- else a text is the category of the same key.

If training has two spellings of one fraction, such as the versions 1.1 and 1.10, or a number with blanks around it
and without, each spelling is a category of its own. An older export may have columns of `text`, in which a text is
only what it spells.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.data import cells

MISSING, UNSEEN = -1, -2


def words(series: pd.Series) -> np.ndarray:
    """Return a column as canonical text, missing as None: 1 and 1.0 are one word."""
    index, values = cells.distinct(series)
    return np.asarray(np.array([*map(cells.key, values), None], dtype=object)[index])


def fit(series: pd.Series) -> tuple[str, ...]:
    """Return the categories of the training rows, in their order."""
    index, values = cells.distinct(series)
    values = [values[i] for i in np.unique(index[index >= 0])]
    apart = _apart(values)
    return tuple(sorted({str(value) if _text(value) in apart else cells.key(value) for value in values}))


def _apart(values: Sequence[Any]) -> set[str]:
    """Return the texts that spell one number, but may mean several."""
    spelled = defaultdict(set)
    for text in filter(None, map(_text, values)):
        if cells.is_plain(text):
            spelled[cells.key(text)].add(text)
    found: set[str] = set()
    for key, texts in spelled.items():
        bare = {text.strip() for text in texts}
        if len(bare) < len(texts) or (len(bare) > 1 and not _is_whole(key)):
            found |= texts
    return found


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str) else None


def codes(series: pd.Series, categories: Sequence[str], text: bool = False, place: str = "") -> np.ndarray:
    """Return for each row the index of its category, or MISSING, or UNSEEN; int64 [N].

    Raises:
        UserError: a cell holds a list, an array, bytes or the like.
    """
    index, values = cells.distinct(series, place)
    known = Known(categories, text)
    return np.asarray(np.array([*map(known.index, values), MISSING], dtype=np.int64)[index])


def read(series: pd.Series, categories: Sequence[str], text: bool = False, place: str = "") -> np.ndarray:
    """Return for each row its category, None for a missing value, the canonical text of an unseen one; [N].

    Raises:
        UserError: a cell holds a list, an array, bytes or the like.
    """
    index, values = cells.distinct(series, place)
    known = Known(categories, text)
    names = [categories[i] if (i := known.index(value)) >= 0 else _unseen(value, text) for value in values]
    return np.asarray(np.array([*names, None], dtype=object)[index])


def _unseen(value: Any, text: bool) -> str:
    return str(value) if text and isinstance(value, str) else cells.key(value)


class Known:
    """The categories of a column, to be looked up by raw values.

    `loose`: whether numbers and booleans are recognised in any spelling, if all categories are such.
    """

    def __init__(self, categories: Sequence[str], text: bool = False, loose: bool = True) -> None:
        self.text = text
        self.exact = {name: i for i, name in enumerate(categories)}
        self.keys = _unique([(cells.key(name), i) for name, i in self.exact.items()]) | self.exact
        loose = loose and not text and bool(categories)
        self.numbers = loose and all(map(cells.is_plain, categories))
        self.booleans = loose and {name.lower() for name in categories} <= set(cells.BOOLEANS)
        large = {name: int(name) for name in categories if self.numbers and _is_large(name)}
        self.rounded = _unique([(float(number), self.exact[name]) for name, number in large.items()])
        fractions = [name for name in categories if self.numbers and not _is_whole(name)]
        self.short = _unique([(np.float32(name), self.exact[name]) for name in fractions])
        # such categories were floats in training, where whole numbers are no longer exact
        self.were_floats = all(int(float(number)) == number for number in large.values())

    def index(self, value: Any) -> int:
        """Return the index of the category that a value is, which is not missing; else UNSEEN."""
        if isinstance(value, str) and value in self.exact:
            return self.exact[value]
        if isinstance(value, str) and self.text:
            return UNSEEN
        key = cells.key(value)
        if key in self.keys:
            return self.keys[key]
        if self.numbers:
            return self._number(value, key)
        if self.booleans:
            return self._boolean(value, key)
        return UNSEEN

    def _number(self, value: Any, key: str) -> int:
        word = key.strip().lower()
        if word in cells.BOOLEANS:
            return self.keys.get(cells.BOOLEANS[word], UNSEEN)
        number = cells.parse(value) if isinstance(value, str) else cells.as_number(value)
        if number is None:
            return UNSEEN
        found = self.keys.get(cells.number_key(number), UNSEEN)
        if found != UNSEEN:
            return found
        if (isinstance(number, float) or self.were_floats) and abs(number) >= cells.EXACT:
            return self.rounded.get(float(number), UNSEEN)
        # a fraction of many digits, one of the two stored as float32
        return self.short.get(np.float32(number), UNSEEN) if isinstance(number, float) else UNSEEN

    def _boolean(self, value: Any, key: str) -> int:
        number = cells.parse(value) if isinstance(value, str) else cells.as_number(value)
        if number is not None:
            key = next((name for name, digit in cells.BOOLEANS.items() if number == int(digit)), key)
        return self.keys.get(key.strip().lower(), UNSEEN)


def _is_whole(name: str) -> bool:
    return cells.key(name).lstrip("-").isdigit()


def _is_large(name: str) -> bool:
    return name.lstrip("-").isdigit() and abs(int(name)) >= cells.EXACT


def _unique(pairs: Sequence[tuple[Any, int]]) -> dict[Any, int]:
    """Return what has one index alone; what has several is UNSEEN."""
    found: dict[Any, int] = {}
    for name, i in pairs:
        found[name] = UNSEEN if name in found else i
    return found
