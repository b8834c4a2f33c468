"""Columns of text that hold numbers, dates or times: how a column is read, by a format that the schema keeps."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.data import date_formats, number_formats, time_objects
from hpsearch.errors import UserError

_WHOLE_DATES = (1000, 9999), (10_000_101, 99_991_231)  # numbers that are a year, or a date such as 20240301


@dataclass(frozen=True)
class Format:
    """How the texts of a column are read. `unit`: the currency or percent sign beside the numbers; none is `""`.

    A percentage is the number as it is written: 12.5 % is 12.5, and a plain number 12.5 in its place is the same.
    """

    name: str
    unit: str = ""

    @property
    def is_date(self) -> bool:
        """Whether it gives points in time (or times of day), which have cyclic parts."""
        return self.name in date_formats.TITLES and self.name != "duration"

    @property
    def title(self) -> str:
        """What the column reads as, for messages."""
        title = date_formats.TITLES.get(self.name) or number_formats.TITLES[self.name]
        return f"{title} in {self.unit}" if self.unit else title


@dataclass(frozen=True)
class Texts:
    """The distinct texts of a column and where they are: `code` is a place in `unique` for each row, -1 for none.

    `others`: the rows that hold something else than text and are not missing.
    """

    unique: list[str]
    code: np.ndarray
    others: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        return np.bincount(self.code[self.code >= 0], minlength=len(self.unique))

    @property
    def present(self) -> int:
        """The rows that are not missing."""
        return len(self.others) + int((self.code >= 0).sum())


def texts_of(series: pd.Series) -> Texts:
    values = series.astype(object).to_numpy()
    is_text = np.array([isinstance(value, str) for value in values], dtype=bool)
    code = np.full(len(values), -1)
    code[is_text], unique = pd.factorize(values[is_text])
    return Texts(list(unique), code, np.flatnonzero(~is_text & series.notna().to_numpy(dtype=bool)))


def read(series: pd.Series, form: Format) -> tuple[np.ndarray, np.ndarray]:
    """A column by its format: float64 [N] with NaN where it is missing, and which rows do not fit, bool [N].

    Values that are numbers already pass as they are. Among dates a whole number is a year or a date such as
    20240301, and any other number does not fit.
    """
    missing = series.isna().to_numpy(dtype=bool)
    typed = time_objects.style_of_dtype(series)
    if typed is not None:
        same = typed == form.name or (typed == "date" and form.is_date and form.name != "time")
        values = time_objects.typed_seconds(series) if same else np.full(len(series), np.nan)
    elif pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series):
        values = _of_numbers(series.to_numpy(dtype=np.float64, na_value=np.nan), form)
    else:
        values = _of_objects(series, form)
    return values, ~missing & ~np.isfinite(values)


def _of_objects(series: pd.Series, form: Format) -> np.ndarray:
    texts = texts_of(series)
    found = np.full(len(series), np.nan)
    rows = texts.code >= 0
    found[rows] = parse(texts.unique, form)[texts.code[rows]]
    if len(texts.others):
        objects = series.astype(object).to_numpy()[texts.others]
        found[texts.others] = [_of_object(value, form) for value in objects]
    return found


def _of_object(value: Any, form: Format) -> float:
    style = time_objects.style_of(value)
    if style is not None:
        same = style == form.name or (style == "date" and form.is_date and form.name != "time")
        return time_objects.object_seconds(value) if same else np.nan
    if isinstance(value, bool | np.bool_):
        return np.nan
    number = pd.to_numeric(value, errors="coerce") if np.isscalar(value) or hasattr(value, "as_tuple") else np.nan
    return float(_of_numbers(np.array([number], dtype=np.float64), form)[0])


def _of_numbers(values: np.ndarray, form: Format) -> np.ndarray:
    if not form.is_date or form.name == "time":
        return values
    whole = [any(low <= v <= high and v == int(v) for low, high in _WHOLE_DATES) for v in values]
    found = np.full(len(values), np.nan)
    if form.name == "date":
        found[whole] = date_formats.parse([str(int(value)) for value in values[whole]], "date")
    return found


def parse(texts: Sequence[str], form: Format) -> np.ndarray:
    """float64 [N]: texts by a format, NaN where one does not fit it."""
    if form.name in date_formats.TITLES:
        return date_formats.parse(texts, form.name)
    written = number_formats.split(texts)
    fits = number_formats.fits(written, form.name) & np.isin(written.unit.astype(str), ["", form.unit])
    return number_formats.values(written, form.name, fits)


def require(series: pd.Series, form: Format, place: str, first: int = 0) -> np.ndarray:
    """What `read` gives; `first` is the number of the first row.

    Raises:
        UserError: a row does not fit the format.
    """
    values, wrong = read(series, form)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise UserError(
            f"{place}: the column {str(series.name)!r} reads as {form.title}, but row {first + row} has "
            f"{_shown(series.iloc[row])}{_advice(series, wrong)}"
        )
    return values


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(value)


def _advice(series: pd.Series, wrong: np.ndarray) -> str:
    return (
        "; name the word in data.missing, or the column in data.formats or data.categorical"
        f"{placeholder_advice(series[wrong])}"
    )


def placeholder_advice(wrong: pd.Series) -> str:
    """The words to name in data.missing, where all that does not fit a column are a few words without digits."""
    found = placeholders([value for value in wrong.unique() if isinstance(value, str)])
    listed = ", ".join(json.dumps(word, ensure_ascii=False) for word in ["", *found])
    return f" (all others fit; data.missing: [{listed}])" if found else ""


def placeholders(words: Sequence[str]) -> list[str]:
    """The words, where they are so few and so plain that they rather stand for missing values; else none."""
    few = 0 < len(words) <= 3 and not any(letter.isdigit() for word in words for letter in word)
    return [word for word in words if word] if few else []
