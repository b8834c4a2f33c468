"""Codes such as 007 in a CSV: pandas reads them as numbers, and their zeros are lost."""

import mmap
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

_ANYWHERE = re.compile(rb'(?:^|[,"\r\n])\s*[+-]?0[0-9]')
_CELL = r"\s*[+-]?0[0-9]+\s*"
_AT_ONCE = 65536  # rows


def with_leading_zeros(path: Path, table: pd.DataFrame, missing: Sequence[str]) -> pd.DataFrame:
    """The table of a CSV, in which columns of whole numbers that have leading zeros are text as in the file.

    Such columns are read a second time, if there is any cell of the kind in the file.
    """
    whole = [str(name) for name in table if _is_whole(table[name])]
    if not whole or not _may_have_some(path):
        return table
    padded: set[str] = set()
    for piece in _pieces(path, missing, whole):
        padded |= {name for name in set(whole) - padded if piece[name].str.fullmatch(_CELL).any()}
    if not padded:
        return table
    text = pd.concat(_pieces(path, missing, sorted(padded)))
    return table.assign(**{name: text[name].array for name in padded})


def _is_whole(column: pd.Series) -> bool:
    if pd.api.types.is_integer_dtype(column):
        return True
    known = column.dropna() if pd.api.types.is_float_dtype(column) else column[:0]
    return len(known) > 0 and bool((known % 1 == 0).all())


def _may_have_some(path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _ANYWHERE.search(data) is not None


def _pieces(path: Path, missing: Sequence[str], names: list[str]) -> Iterator[pd.DataFrame]:
    yield from pd.read_csv(
        path,
        usecols=names,
        dtype=str,
        keep_default_na=False,
        na_values=list(missing),
        index_col=False,
        chunksize=_AT_ONCE,
    )
