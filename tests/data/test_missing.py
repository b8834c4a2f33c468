"""The words of `data.missing` are missing values in every kind of source."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from hpsearch.data.missing import mark_missing
from hpsearch.data.sources import read_table

LARGE = 2**53 + 1


@pytest.mark.parametrize(
    ("column", "gone"),
    [
        (["", "?", "x", "-999"], [True, True, False, True]),
        (pd.Categorical(["", "?", "x", "-999.0"]), [True, True, False, True]),
        (pd.array(["", None, "x", "-999"], dtype=pd.ArrowDtype(pa.string())), [True, True, False, True]),
        (pd.Series(["?", -999, True, -999.0], dtype=object), [True, True, False, True]),
        ([LARGE, -999, 0, 1], [False, True, False, False]),
        ([0.5, -999.0, np.nan, 1], [False, True, True, False]),
        (pd.array([LARGE, None, -999, 1], dtype="Int64"), [False, True, True, False]),
        ([True, False, True, False], [False] * 4),
    ],
)
def test_words_and_numbers_are_taken_out(column: Any, gone: list[bool]) -> None:
    table = pd.DataFrame({"a": column, "b": range(4)})
    before = table.copy()
    marked = mark_missing(table, ["", "?", "-999"])
    assert marked["a"].isna().tolist() == gone
    kept = [i for i, is_gone in enumerate(gone) if not is_gone]
    assert marked["a"].iloc[kept].tolist() == table["a"].iloc[kept].tolist()
    assert marked["b"].tolist() == [0, 1, 2, 3]
    pd.testing.assert_frame_equal(table, before)


def test_nothing_else_is_missing() -> None:
    table = pd.DataFrame({"a": ["NA", "nan", "None", " ", "-"], "b": [0, -1, 1, 2, 3]})
    assert mark_missing(table, [""]) is table


def test_a_parquet_and_a_csv_miss_the_same_cells(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": ["x", "", "?", "y"], "b": [LARGE, -999, 3, 4], "c": [1.5, -999, 2, 3]})
    table.to_csv(tmp_path / "a.csv", index=False)
    table.to_parquet(tmp_path / "a.parquet")
    read = [read_table(tmp_path / name, ["", "?", "-999"], ["b"]) for name in ("a.csv", "a.parquet")]
    for name in table:
        assert read[0][name].isna().tolist() == read[1][name].isna().tolist()


def test_whole_numbers_and_booleans_of_a_parquet_stay_exact(tmp_path: Path) -> None:
    columns = {"i": pa.array([LARGE, None]), "b": pa.array([True, None]), "u": pa.array([7, 8], pa.uint8())}
    pa.parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert (table["i"].iloc[0], table["b"].iloc[0]) == (LARGE, True)
    assert table.isna().sum().tolist() == [1, 1, 0]
