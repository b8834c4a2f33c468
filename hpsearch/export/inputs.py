"""Whatever a person wants predicted, in pieces of a bounded size, as what the graph takes.

Words and numbers are read as the study read them; what does not fit is refused with its column and row. Rows
count from 0, without the header.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from math import prod
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet

from hpsearch.data import formats, preprocess, sources
from hpsearch.data.arrays import to_array
from hpsearch.data.missing import mark_missing
from hpsearch.data.preprocess import ArraySchema, Category, Date, Number, Schema, TableSchema
from hpsearch.data.sources import ragged
from hpsearch.errors import UserError, choices

Chunk = pd.DataFrame | np.ndarray
Source = pd.DataFrame | np.ndarray | str | Path

_MOST_ROWS, _MOST_NUMBERS = 8192, 2**22  # of a chunk: whichever is reached first
_TARGET_NAMES = {"y", "target", "class"}


def chunks(source: Source, schema: Schema, missing: Sequence[str]) -> Iterator[tuple[str, int, Chunk]]:
    """(what errors call it, its first row, some rows), at least once.

    Raises:
        UserError: a file that cannot be read, or is not a CSV, Parquet or npz file.
    """
    width = sum(c.width for c in schema.columns) if isinstance(schema, TableSchema) else prod(schema.shape)
    rows = max(1, min(_MOST_ROWS, _MOST_NUMBERS // max(1, width)))
    if isinstance(source, str | Path):
        path = Path(source)
        kind = path.suffix.lower()
        if path.is_dir():
            raise UserError(f"{path}: is a folder; give a file: {', '.join(_FILES)} (pictures as x in an npz)")
        if kind not in _FILES:
            raise UserError(
                f"{path}: cannot be predicted from {kind or 'a file without an ending'!r}; {choices(_FILES)}"
            )
        if not path.is_file():
            raise UserError(f"{path}: no such file")
        place, pieces = str(path), _FILES[kind](path, schema, missing, rows)
    else:
        place, pieces = "X", _slices(source, missing, rows)
    first = 0
    for piece in pieces:
        yield place, first, piece
        first += len(piece)


def _slices(source: Chunk, missing: Sequence[str], rows: int) -> Iterator[Chunk]:
    if isinstance(source, np.ndarray) and source.ndim == 0:
        raise UserError(f"X: must have one row an example, got the single value {source}")
    for start in range(0, max(1, len(source)), rows):
        if isinstance(source, pd.DataFrame):
            yield mark_missing(source.iloc[start : start + rows], missing)
        else:
            yield source[start : start + rows]


def _csv(path: Path, schema: Schema, missing: Sequence[str], rows: int) -> Iterator[Chunk]:
    # what is no plain number is read as text: pandas would else guess each chunk's type from its own rows
    text = dict.fromkeys(schema.text_names if isinstance(schema, TableSchema) else (), str)
    try:
        names = sources.header(path)
        with pd.read_csv(
            path,
            keep_default_na=False,
            na_values=list(missing),
            index_col=False,
            dtype=text,
            chunksize=rows,
            low_memory=False,
            skip_blank_lines=len(names) > 1,  # of one column a blank line is a row without a value
        ) as reader:
            yield from _whole_rows(reader)
    except pd.errors.ParserWarning:
        raise UserError(f"{path}: cannot be read as csv: it has rows with more cells than its header") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as csv: {ragged(error) or _first_line(error)}") from None


def _whole_rows(reader: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """The reader's pieces; rows longer than the header are an error, and not cut without a word."""
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            piece = next(reader, None)
        if piece is None:
            return
        yield piece


def _parquet(path: Path, schema: Schema, missing: Sequence[str], rows: int) -> Iterator[Chunk]:
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            empty = True
            for batch in file.iter_batches(batch_size=rows):
                empty = False
                yield mark_missing(sources.from_arrow(batch), missing)
            if empty:
                yield sources.from_arrow(file.schema_arrow.empty_table())
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: cannot be read as parquet: {_first_line(error)}") from None


def _npz(path: Path, schema: Schema, missing: Sequence[str], rows: int) -> Iterator[Chunk]:
    yield from _slices(sources.read_npz(path)[0], missing, rows)


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str) else str(value)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


_FILES: dict[str, Callable[[Path, Schema, Sequence[str], int], Iterator[Chunk]]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".npz": _npz,
}


def feeds(
    chunk: Chunk, schema: Schema, names: Sequence[str], empties: Sequence[str], place: str, first: int
) -> dict[str, np.ndarray]:
    """What the graph takes, by input name.

    Args:
        names, empties: the graph's input of each column, and the word that means missing in it.
        place, first: what an error calls the data, and the number of the chunk's first row.

    Raises:
        UserError: the chunk does not fit the schema.
    """
    if isinstance(schema, ArraySchema):
        return {names[0]: _array(chunk, schema, place, first)}
    table = _named(chunk, schema, place) if isinstance(chunk, np.ndarray) else chunk.rename(columns=str)
    result = {}
    for column, name, empty in zip(schema.columns, names, empties, strict=True):
        series = _pick(table, column.name, place)
        if not isinstance(column, Category):
            values = (
                _numbers(series, place, first)
                if column.format is None
                else formats.require(series, column.format, place, first)
            )
            _refuse_too_large(values, column, place, first)
            result[name] = values[:, None]
        else:
            result[name] = _words(series, column, empty, place)[:, None]
    return result


def _pick(table: pd.DataFrame, name: str, place: str) -> pd.Series:
    if name not in table:
        raise UserError(f"{place}: the column {name!r} is missing; the table has {', '.join(table.columns[:20])}")
    series = table[name]
    if isinstance(series, pd.DataFrame):
        raise UserError(f"{place}: the column {name!r} stands {series.shape[1]} times")
    return series


def _named(x: np.ndarray, schema: TableSchema, place: str) -> pd.DataFrame:
    """An array as a table, its columns taken in order."""
    words = schema.category_names
    if words:
        raise UserError(
            f"{place}: the column {words[0]!r} holds words, and x numbers; give a table with named columns"
        )
    if x.ndim != 2 or x.shape[1] != len(schema.columns):
        raise UserError(f"{place}: x must be [N, {len(schema.columns)}], one a column, got {list(x.shape)}")
    if isinstance(x, np.ma.MaskedArray):  # as in a data frame, what it hides is missing
        x = np.ma.filled(x.astype(np.float64), np.nan)
    return pd.DataFrame(_numeric(x, place), columns=[column.name for column in schema.columns])


def _numeric(x: np.ndarray, place: str) -> np.ndarray:
    x = to_array(x, f"{place}: x")  # a masked array may hide values
    if x.dtype.kind not in "fiub":
        raise UserError(f"{place}: x must hold numbers, got {x.dtype}")
    return x


def _numbers(series: pd.Series, place: str, first: int) -> np.ndarray:
    """Float64 [N], missing as NaN."""
    if preprocess.is_time(series):
        raise UserError(f"{place}: the column {str(series.name)!r} holds numbers, got times")
    numbers = preprocess.as_floats(series)
    wrong = np.flatnonzero((series.notna().to_numpy() & np.isnan(numbers)) | np.isinf(numbers))
    if len(wrong):
        row = int(wrong[0])
        raise UserError(
            f"{place}: the column {str(series.name)!r} holds finite numbers, "
            f"but row {first + row} has {_shown(series.iloc[row])}"
        )
    return numbers


def _refuse_too_large(values: np.ndarray, column: Number | Date, place: str, first: int) -> None:
    """What float32 cannot hold once it is standardised would be infinity in the net."""
    with np.errstate(over="ignore"):
        far = np.flatnonzero(np.abs((values - column.mean) / column.std) > np.finfo(np.float32).max)
    if len(far):
        raise UserError(
            f"{place}: the column {column.name!r} has {values[far[0]]:g} in row {first + int(far[0])}, "
            "which is too large for the net"
        )


def _words(series: pd.Series, column: Category, empty: str, place: str) -> np.ndarray:
    """Text [N] as training knew it; missing as `empty`, which no unseen word is."""
    read = column.read(series, place)
    other = empty + "_"
    while other in column.categories:
        other += "_"
    unseen = (read == empty) & (empty not in column.categories)
    missing = np.array([word is None for word in read], dtype=bool)
    return np.where(missing, empty, np.where(unseen, other, read))


def _array(chunk: Chunk, schema: ArraySchema, place: str, first: int) -> np.ndarray:
    """Float32 [N, *shape], from what `ArraySchema.shaped` takes, or a table of so many columns."""
    x = (
        _columns(chunk, prod(schema.shape), place, first)
        if isinstance(chunk, pd.DataFrame)
        else _numeric(chunk, place)
    )
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity, and is refused as such
        x = schema.shaped(x, place).astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(x).all(axis=tuple(range(1, x.ndim))))
    if len(bad):
        raise UserError(f"{place}: x must be finite, but row {first + int(bad[0])} holds NaN or infinity")
    return x


def _columns(table: pd.DataFrame, size: int, place: str, first: int) -> np.ndarray:
    """A table as an array [N, size], its columns in order; a target that stands among them is left out."""
    table = table.rename(columns=str)
    targets = [i for i, name in enumerate(table.columns) if name.lower() in _TARGET_NAMES]
    keep = [i for i in range(table.shape[1]) if table.shape[1] != size + 1 or i not in targets[:1]]
    if len(keep) != size or (table.shape[1] == size + 1 and len(targets) > 1):
        raise UserError(f"{place}: must have {size} columns of numbers, in the order of x, got {table.shape[1]}")
    columns = [_numbers(table.iloc[:, i], place, first) for i in keep]
    for i, values in zip(keep, columns, strict=True):
        missing = np.flatnonzero(np.isnan(values))
        if len(missing):
            raise UserError(
                f"{place}: the column {table.columns[i]!r} has no value in row {first + int(missing[0])}"
            )
    return np.stack(columns, axis=1)
