"""What a column of a table may hold, whoever made the table."""

import datetime
import numbers
from collections.abc import Collection
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.errors import UserError

# times are here, since `preprocess` has rules of its own for them
_CELLS = (
    str, numbers.Real, Decimal, np.bool_, datetime.date, datetime.time, datetime.timedelta, np.datetime64,
    np.timedelta64, pd.Period, pd.Interval, type(None), type(pd.NA), type(pd.NaT),
)  # fmt: skip


def plain_table(table: pd.DataFrame, dropped: Collection[str], what: str) -> pd.DataFrame:
    """The table with its columns' names as words and its rows by number.

    Raises:
        UserError: columns have several levels or one name, or hold other things than numbers, words and times.
    """
    if isinstance(table.columns, pd.MultiIndex):
        raise UserError(
            f"{what} gave a DataFrame whose columns have {table.columns.nlevels} levels of names; "
            "give each one name, such as '_'.join(levels)"
        )
    again = table.columns[table.columns.astype(str).duplicated()]
    if len(again):
        raise UserError(f"{what} gave a DataFrame with the column {again[0]!r} twice")
    found = table.rename(columns=str).reset_index(drop=True)
    for name in found:
        if name not in dropped:
            _refuse_strange_cells(found[name], what)
    return found


def _refuse_strange_cells(column: "pd.Series[Any]", what: str) -> None:
    place = f"{what}: the column {column.name!r} holds"
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind == "c":
        raise UserError(
            f"{place} complex numbers; give their real and imaginary part, or size and angle, as columns"
        )
    values = column.cat.categories if isinstance(dtype, pd.CategoricalDtype) else column
    if isinstance(values.dtype, np.dtype) and values.dtype.kind != "O":
        return
    kinds = {kind: _is_cell(kind) for kind in set(map(type, values))}
    wrong = [kind for kind, fits in kinds.items() if not fits]
    if wrong:
        row = next(i for i, value in enumerate(values) if type(value) is wrong[0])
        advice = "; give words, column.str.decode('utf-8')" if issubclass(wrong[0], bytes) else ""
        raise UserError(
            f"{place} {wrong[0].__name__} values, the first in row {row}; "
            f"a column holds numbers, words, or true and false{advice}"
        )


def _is_cell(kind: type) -> bool:
    return issubclass(kind, _CELLS) and not issubclass(kind, np.ndarray)
