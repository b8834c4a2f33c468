"""Missing values that a table spells as a word, such as `?` or `-999`: alike in files and in loaders' tables."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hpsearch.data import cells


def mark_missing(table: pd.DataFrame, missing: Sequence[str]) -> pd.DataFrame:
    """Return the table with the words in `missing` taken out; a word that is a number counts for numbers, too.

    `read_csv` of pandas does the same to a CSV.
    """
    numbers = [number for word in missing if (number := cells.parse(word)) is not None]
    words = {*missing, *map(str, numbers), *(str(float(number)) for number in numbers)}
    hits = [_hits(table.iloc[:, i], words, numbers) for i in range(table.shape[1])]
    if not any(hit.any() for hit in hits):
        return table
    marked = table.copy(deep=False)
    for i, hit in enumerate(hits):
        if hit.any():
            marked.isetitem(i, _exact(table.iloc[:, i]).mask(hit).array)
    return marked


def _hits(series: pd.Series, words: set[str], numbers: Sequence[float]) -> np.ndarray:
    """Return which cells are one of the words, bool [N]."""
    types = pd.api.types
    if series.dtype == object:
        return np.array([_is_missing(cell, words, numbers) for cell in series], dtype=bool)
    if isinstance(series.dtype, pd.CategoricalDtype):
        gone = [cell for cell in series.cat.categories if _is_missing(cell, words, numbers)]
    elif types.is_bool_dtype(series):
        gone = []
    elif types.is_numeric_dtype(series):
        gone = list(numbers)
    else:
        gone = list(words) if types.is_string_dtype(series) else []
    return series.isin(gone).to_numpy(dtype=bool) if gone else np.zeros(len(series), dtype=bool)


def _is_missing(cell: object, words: set[str], numbers: Sequence[float]) -> bool:
    if isinstance(cell, str):
        return cell in words
    number = None if isinstance(cell, bool | np.bool_) else cells.as_number(cell)
    return number is not None and number in numbers


def _exact(series: pd.Series) -> pd.Series:
    """Return whole numbers as a type that has missing values: as floats, large ones would be rounded."""
    if series.dtype.kind not in "iu" or not isinstance(series.dtype, np.dtype):
        return series
    return pd.Series(pd.array(series.to_numpy()), index=series.index, name=series.name)
