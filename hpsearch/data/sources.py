"""Reads a study's data as it lies: a table with named columns, or arrays x and y."""

import re
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet

from hpsearch.code import Code, fault, is_code
from hpsearch.data.images import read_folder
from hpsearch.data.leading_zeros import with_leading_zeros
from hpsearch.data.missing import mark_missing
from hpsearch.data.own import read_own
from hpsearch.data.place import place_of
from hpsearch.data.raw import Raw, channels_first
from hpsearch.data.values import pair
from hpsearch.errors import UserError
from hpsearch.names import advice
from hpsearch.repeatable import fixed_generators
from hpsearch.study import Data

# name → (loader in sklearn.datasets, read as a table with named columns)
_SKLEARN = {
    "digits": ("load_digits", False),
    "iris": ("load_iris", True),
    "wine": ("load_wine", True),
    "breast_cancer": ("load_breast_cancer", True),
    "diabetes": ("load_diabetes", True),
}


def _sklearn(name: str) -> Raw:
    from sklearn import datasets

    loader, tabular = _SKLEARN[name]
    bunch = getattr(datasets, loader)(as_frame=tabular)
    if not tabular:
        return Raw(f"sklearn:{name}", x=bunch.images[:, None].astype(np.float32), y=bunch.target)
    frame = bunch.frame.copy()
    names = getattr(bunch, "target_names", None)
    if names is not None and len(names):
        frame["target"] = np.array([str(n) for n in names])[frame["target"].to_numpy()]
    return Raw(f"sklearn:{name}", table=frame, target="target")


def read_csv(path: Path, missing: Sequence[str], text: Sequence[str] | None) -> pd.DataFrame:
    """A CSV with a header; only the words in `missing` are missing; the columns `text`, or all, stay text."""
    header(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header, cut without a word
        table = pd.read_csv(
            path,
            keep_default_na=False,
            na_values=list(missing),
            index_col=False,
            dtype=str if text is None else dict.fromkeys(text, str),
            low_memory=False,  # else each chunk has types of its own, and the word 01 is 1 in some
        )
    return with_leading_zeros(path, table, missing)


def header(path: Path) -> list[str]:
    """A CSV's columns. pandas renames the second of two of one name, and reads a file of semicolons as one column.

    Raises:
        ValueError: the header is such a one.
    """
    names = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0].tolist()
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"its header has the column {twice!r} twice")
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        raise ValueError(f"its header is the single column {names[0]!r}; commas must separate the columns")
    return names


def read_table(path: Path, missing: Sequence[str] = ("",), text: Sequence[str] | None = ()) -> pd.DataFrame:
    """A CSV or Parquet file as a table; the columns `text` of a CSV, None for all of them, stay text.

    Raises:
        UserError: it is missing, empty, or not such a file.
    """
    _must_be_file(path)
    try:
        if path.suffix == ".parquet":
            table = mark_missing(from_arrow(pyarrow.parquet.read_table(path)), missing)
        else:
            table = read_csv(path, missing, text)
        return table.rename(columns=str)
    except pd.errors.ParserWarning:
        raise UserError(f"{path}: cannot be read as csv: it has rows with more cells than its header") from None
    except (OSError, ValueError, RuntimeError) as error:  # pandas' and Arrow's errors are among these
        raise UserError(
            f"{path}: cannot be read as {path.suffix[1:]}: {ragged(error) or _first_line(error)}"
        ) from None


def from_arrow(data: pyarrow.Table | pyarrow.RecordBatch) -> pd.DataFrame:
    """Return Arrow's columns as pandas', whole numbers and booleans exactly also if some are missing."""
    try:
        frame: pd.DataFrame = data.to_pandas()
    except TypeError:  # pandas writes names of Arrow's types that it cannot read
        frame = data.select([name for name in data.schema.names if not _INDEX.fullmatch(name)]).to_pandas(
            ignore_metadata=True
        )
    for name, column in zip(data.schema.names, data.columns, strict=True):
        if column.type in _NULLABLE and column.null_count and name in frame and data.schema.names.count(name) == 1:
            frame[name] = column.to_pandas(types_mapper=_NULLABLE.get).array
    return frame


_INDEX = re.compile("__index_level_[0-9]+__")
_NULLABLE = {
    pyarrow.int8(): pd.Int8Dtype(), pyarrow.int16(): pd.Int16Dtype(), pyarrow.int32(): pd.Int32Dtype(),
    pyarrow.int64(): pd.Int64Dtype(), pyarrow.uint8(): pd.UInt8Dtype(), pyarrow.uint16(): pd.UInt16Dtype(),
    pyarrow.uint32(): pd.UInt32Dtype(), pyarrow.uint64(): pd.UInt64Dtype(), pyarrow.bool_(): pd.BooleanDtype(),
}  # fmt: skip


def ragged(error: Exception) -> str | None:
    """What pandas says of a row that is longer than its header, in words."""
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    return f"line {found[2]} has {found[3]} cells, and its header {found[1]}" if found else None


def read_npz(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """`x` and, where it is there, `y` of an npz; objects (pickles) are refused."""
    _must_be_file(path)
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise UserError(f"{path}: cannot be read as npz: it holds a single array; an npz holds x and y")
        with file:
            arrays = {name: file[name] for name in ("x", "y") if name in file}
            found = ", ".join(file) or "nothing"
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UserError(f"{path}: cannot be read as npz: {_first_line(error)}") from None
    if "x" not in arrays or not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise UserError(f"{path}: an npz holds the arrays x and y, got {found}")
    return arrays["x"], arrays.get("y")


def _npz(path: Path) -> Raw:
    x, y = read_npz(path)
    if y is None:
        raise UserError(f"{path}: an npz holds x and y, got x alone")
    x, y, notes = pair(x, y, str(path))
    return Raw(path.name, x=x, y=y, notes=notes)


_FILES: dict[str, Callable[[Path, Sequence[str], Sequence[str]], Raw]] = {
    ".csv": lambda path, missing, text: Raw(path.name, table=read_table(path, missing, text), typed=False),
    ".parquet": lambda path, missing, text: Raw(path.name, table=read_table(path, missing)),
    ".npz": lambda path, missing, text: _npz(path),
}


def read(data: Data, base: Path, place: str, code: Code | None = None) -> Raw:
    """What `data.source` names: `sklearn:NAME`, a file or folder relative to the study's folder, or a loader.

    `code` is the loader's, where it names one.

    Raises:
        UserError: no such source, or it cannot be read.
    """
    where = f"{place}: data.source"
    raw = _read(data, base, where, code)
    if raw.x is None or raw.pictures:
        if data.channels is not None:
            raise UserError(f"{place}: data.channels: is for arrays x, and {raw.name} has none; leave it out")
        return raw
    x = channels_first(raw.x, where, data.channels)
    many = x.ndim == 4 and x.shape[1] not in (1, 3)
    told = (f"inputs: images of {x.shape[1]} channels, {x.shape[2]} high and {x.shape[3]} wide",) if many else ()
    return replace(raw, x=x, notes=(*raw.notes, *told))


def _read(data: Data, base: Path, where: str, code: Code | None) -> Raw:
    source = data.source
    if code is not None:
        with fixed_generators():
            load = code.load(where)
        raw = read_own(load, code.spec, where, lambda error: fault(error, code.file), data.drop)
        return raw if raw.table is None else replace(raw, table=mark_missing(raw.table, data.missing))
    kind, _, name = source.partition(":")
    if kind == "sklearn":
        if name not in _SKLEARN:
            raise UserError(f"{where}: unknown set {name!r} of scikit-learn; {advice(name, _SKLEARN)}")
        return _sklearn(name)
    path = place_of(source, base, where)
    if path.suffix in _FILES:
        try:
            return _FILES[path.suffix](path, data.missing, data.text)
        except MemoryError:  # or a file that says it is larger than it is
            raise UserError(f"{path}: does not fit in memory") from None
    if _is_folder(path):
        return read_folder(path, data.size, where)
    if source.endswith("/"):
        raise UserError(f"{where}: {path}: no such folder")
    raise UserError(
        f"{where}: {source!r} must be sklearn:NAME, module:name, a folder, or a .csv, .parquet or .npz file; "
        f"there is no folder {path.resolve()}"
    )


def names_code(source: str) -> bool:
    """Whether a source is a loader of the user's own."""
    return is_code(source) and not source.startswith("sklearn:")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # such as a name that is too long
        return False


def _must_be_file(path: Path) -> None:
    try:
        found = path.is_file()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    if not found:
        folder = "" if path.is_absolute() else f" in {path.resolve().parent}"
        raise UserError(f"{path}: no such file{folder}")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
