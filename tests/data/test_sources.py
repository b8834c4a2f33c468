"""Reading data as it lies: tables, arrays, and what counts as a missing value."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpsearch.data.raw import Raw
from hpsearch.data.sources import read, read_npz, read_table
from hpsearch.errors import UserError
from hpsearch.study import Data

X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 0, 1])
TABLE = pd.DataFrame(
    {"a": [1, 2, 3], "b": [0.5, np.nan, -1e-3], "word": ["x", "y z", "é,"], "flag": [True, False, True]}
)


def csv(folder: Path, text: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def npz(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


def a_folder(folder: Path) -> None:
    folder.mkdir()


def test_a_csv_and_a_parquet_of_one_table_are_read_alike(tmp_path: Path) -> None:
    TABLE.to_csv(tmp_path / "a.csv", index=False)
    TABLE.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        raw = read(Data(source=name), tmp_path, "s.yaml")
        assert raw.name == name
        pd.testing.assert_frame_equal(raw.table, TABLE, check_dtype=False)


@pytest.mark.parametrize(
    ("missing", "found"),
    [([""], {""}), (["NA", "?"], {"NA", "?"}), ([], set()), (["", "nan", "null"], {"", "nan", "null"})],
)
def test_only_what_the_study_says_is_missing(tmp_path: Path, missing: list[str], found: set[str]) -> None:
    cells = ["", "NA", "N/A", "nan", "NaN", "null", "None", "-", "?", "#N/A", "n/a", "word"]
    path = csv(tmp_path, "a,b\n" + "".join(f"{cell},1\n" for cell in cells))
    column = read_table(path, missing)["a"]
    assert {cell for cell, gone in zip(cells, column.isna(), strict=True) if gone} == found
    assert set(column.dropna()) == set(cells) - found


def test_a_missing_number_leaves_a_column_of_numbers(tmp_path: Path) -> None:
    column = read_table(csv(tmp_path, "a,b\n1,x\n,y\n?,z\n4e-1,x\n"), ["", "?"])["a"]
    np.testing.assert_array_equal(column, [1, np.nan, np.nan, 0.4])


@pytest.mark.parametrize("rows", ["1,2,3\n4,5,6\n", "1,2\n4,5,6\n"])
def test_a_row_with_more_cells_than_the_header_is_refused(tmp_path: Path, rows: str) -> None:
    path = csv(tmp_path, "a,b\n" + rows)
    with pytest.raises(UserError, match=re.escape(f"{path}: cannot be read as csv")):
        read_table(path, ["?"])


def test_a_word_late_in_a_long_file_does_not_change_the_words_before_it(tmp_path: Path) -> None:
    """A reader that goes by chunks could take the first of them for numbers."""
    wide = ",1" * 127 + "\n"
    rows = ["01" + wide] * 9000 + ["x" + wide]
    table = read_table(csv(tmp_path, ",".join(f"c{i}" for i in range(128)) + "\n" + "".join(rows)))
    assert set(table["c0"]) == {"01", "x"}


def test_words_keep_their_letters(tmp_path: Path) -> None:
    table = read_table(csv(tmp_path, 'a b,"c,d",#e\n é,"x\ny",#z\n1,"say ""hi""",2\n'))
    assert list(table) == ["a b", "c,d", "#e"]
    assert table.iloc[:, 0].tolist() == [" é", "1"]
    assert table.iloc[:, 1].tolist() == ["x\ny", 'say "hi"']


def test_an_npz_gives_numbers_and_targets(tmp_path: Path) -> None:
    npz(tmp_path, x=X.astype(np.uint8), y=np.array(list("ababab")))
    raw = read(Data(source="a.npz"), tmp_path, "s.yaml")
    assert raw.x is not None
    assert raw.y is not None
    assert (raw.x.dtype, raw.x.tolist(), raw.y.tolist()) == (np.uint8, X.tolist(), list("ababab"))


def test_an_npz_without_targets_can_be_read_for_prediction(tmp_path: Path) -> None:
    x, y = read_npz(npz(tmp_path, x=X))
    np.testing.assert_array_equal(x, X)
    assert y is None


@pytest.mark.parametrize(
    ("y", "told"),
    [
        (np.array([b"a", b"b"] * 3), ("y: bytes, read as UTF-8 words",)),
        (np.array(list("ababab"))[:, None], ("y: [6, 1], taken as [6]",)),
    ],
)
def test_an_npz_goes_by_the_rules_of_loaders(tmp_path: Path, y: np.ndarray, told: tuple[str, ...]) -> None:
    npz(tmp_path, x=X, y=y)
    raw = read(Data(source="a.npz"), tmp_path, "s.yaml")
    assert raw.y is not None
    assert (raw.y.tolist(), raw.notes) == (list("ababab"), told)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return a_folder, (self.path,)


@pytest.mark.parametrize("where", ["x", "y"])
def test_pickled_objects_are_refused_and_run_nothing(tmp_path: Path, where: str) -> None:
    bomb = np.empty((6, 1) if where == "x" else 6, dtype=object)
    bomb[...] = Bomb(tmp_path / "made")
    npz(tmp_path, **{"x": X, "y": Y, where: bomb})
    with pytest.raises(UserError, match=r"a\.npz: cannot be read as npz: Object arrays cannot be loaded"):
        read(Data(source="a.npz"), tmp_path, "s.yaml")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": X}, "an npz holds x and y, got x alone"),
        ({"z": X}, "an npz holds .*x and y, got z"),
        ({}, "an npz holds .*x and y, got nothing"),
        ({"x": X, "y": Y[:5]}, r"y must have one value a row of x \(6\), got shape \[5\]"),
        ({"x": X, "y": X}, r"y must have one value a row of x \(6\), got shape \[6, 2\]"),
        ({"x": Y, "y": Y}, r"x must be numbers, one row an example, got int64 \[6\]"),
        ({"x": X.astype(str), "y": Y}, "x must be numbers"),
        ({"x": X * 1j, "y": Y}, "x holds complex numbers"),
        ({"x": X, "y": np.eye(2)[Y]}, "which is one-hot; give the classes"),
        ({"x": X, "y": Y * 1j}, "y holds complex numbers"),
        ({"x": X, "y": Y.astype("M8[D]")}, "y holds points of time"),
        ({"x": np.zeros(6, dtype=[("a", float)]), "y": Y}, r"x holds records of several fields \(a\)"),
        ({"x": X[:0], "y": Y[:0]}, "no rows|x must"),
        ({"x": X[:, :0], "y": Y}, "x must"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    npz(tmp_path, **arrays)
    with pytest.raises(UserError, match=rf"a\.npz: .*({said})"):
        read(Data(source="a.npz"), tmp_path, "s.yaml")


def a_single_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, X)


def plain_files(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x", "1 2 3")
        file.writestr("y", "1 2 3")


def damage(path: Path) -> None:
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=(60, 5)), y=np.arange(60))
    content = bytearray(path.read_bytes())
    content[100:140] = bytes(40)
    path.write_bytes(content)


@pytest.mark.parametrize("write", [a_single_array, plain_files, damage])
def test_what_numpy_reads_otherwise_than_as_arrays_is_refused(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    write(tmp_path / "a.npz")
    with pytest.raises(UserError, match=r"a\.npz: "):
        read(Data(source="a.npz"), tmp_path, "s.yaml")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.npz"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00junk", b"PK\x03\x04\xff", None, "folder"])
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path, name: str, content: Any) -> None:
    if content == "folder":
        a_folder(tmp_path / name)
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / name}: ")):
        read(Data(source=name), tmp_path, "s.yaml")


@pytest.mark.parametrize(
    "source",
    ["images/", "images", "my_data:load", "sklearn:mnist", "a.txt", "nothing", "x" * 300, "x" * 300 + ".csv",
     "a\0.csv"],
)  # fmt: skip
def test_a_source_that_is_not_there_is_refused(tmp_path: Path, source: str) -> None:
    a_folder(tmp_path / "images")
    csv(tmp_path, "a\n", "a.txt")
    with pytest.raises(UserError):
        read(Data(source=source), tmp_path, "s.yaml")


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer", "diabetes"])
def test_the_sets_of_scikit_learn_are_there(tmp_path: Path, name: str) -> None:
    raw: Raw = read(Data(source=f"sklearn:{name}"), tmp_path, "s.yaml")
    assert (raw.table is None) == (raw.x is not None and raw.y is not None)
    assert raw.table is None or raw.target in raw.table
