"""Reads a study's data as it lies: a table with named columns, or arrays x and y."""

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hpsearch.errors import UserError, choices


@dataclass(frozen=True)
class Raw:
    """Data as read. `table` has named columns (the target among them), or `x` [N, ...] and `y` [N] are arrays."""

    name: str
    table: pd.DataFrame | None = None
    target: str | None = None
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    pixels: bool = False  # the features of x share one unit


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
        return Raw(f"sklearn:{name}", x=bunch.data.astype(np.float32), y=bunch.target, pixels=True)
    frame = bunch.frame.copy()
    names = getattr(bunch, "target_names", None)
    if names is not None and len(names):
        frame["target"] = np.array([str(n) for n in names])[frame["target"].to_numpy()]
    return Raw(f"sklearn:{name}", table=frame, target="target")


def read_csv(path: Path, missing: Sequence[str]) -> pd.DataFrame:
    """A CSV with a header; only the words in `missing` are missing values."""
    return pd.read_csv(path, keep_default_na=False, na_values=list(missing), index_col=False)


def read_table(path: Path, missing: Sequence[str] = ("",)) -> pd.DataFrame:
    """A CSV or Parquet file as a table.

    Raises:
        UserError: it is missing, empty, or not such a file.
    """
    _must_be_file(path)
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else read_csv(path, missing)
        return table.rename(columns=str)
    except (OSError, ValueError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as {path.suffix[1:]}: {_first_line(error)}") from None


def read_npz(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """`x` and, where it is there, `y` of an npz; objects (pickles) are refused."""
    _must_be_file(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            if "x" not in file:
                raise UserError(f"{path}: an npz holds x and y, got {', '.join(file) or 'nothing'}")
            y = file["y"] if "y" in file.files else None
            return file["x"], y
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"{path}: cannot be read as npz: {_first_line(error)}") from None


def _npz(path: Path) -> Raw:
    x, y = read_npz(path)
    if y is None:
        raise UserError(f"{path}: an npz holds x and y, got x alone")
    if x.dtype.kind not in "fiub" or x.ndim < 2:
        raise UserError(f"{path}: x must be numbers with one row an example, got {x.dtype} {list(x.shape)}")
    if y.ndim != 1 or len(y) != len(x):
        raise UserError(f"{path}: y must have one value a row of x ({len(x)}), got shape {list(y.shape)}")
    return Raw(path.name, x=x.astype(np.float32), y=y)


_FILES: dict[str, Callable[[Path, Sequence[str]], Raw]] = {
    ".csv": lambda path, missing: Raw(path.name, table=read_table(path, missing)),
    ".parquet": lambda path, missing: Raw(path.name, table=read_table(path, missing)),
    ".npz": lambda path, missing: _npz(path),
}


def read(source: str, base: Path, missing: Sequence[str], place: str) -> Raw:
    """What `data.source` names: `sklearn:NAME`, or a file relative to the study's folder.

    Raises:
        UserError: no such source, or it cannot be read.
    """
    kind, _, name = source.partition(":")
    if kind == "sklearn":
        if name not in _SKLEARN:
            raise UserError(f"{place}: data.source: unknown set {name!r} of scikit-learn; {choices(_SKLEARN)}")
        return _sklearn(name)
    path = base / source
    if path.suffix in _FILES:
        return _FILES[path.suffix](path, missing)
    if path.is_dir() or source.endswith("/") or (":" in source and not path.exists()):
        raise UserError(
            f"{place}: data.source: {source!r}: folders and loaders of your own are not built yet; "
            "use sklearn:NAME or a .csv, .parquet or .npz file"
        )
    raise UserError(f"{place}: data.source: {source!r} must be sklearn:NAME or a .csv, .parquet or .npz file")


def _must_be_file(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"{path}: no such file")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
