"""A class is its spelling, whatever pandas would make of it."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpsearch.data.load import Dataset, load
from hpsearch.errors import UserError
from hpsearch.study import Data

N = 60


def from_csv(folder: Path, cells: list[str], **data: Any) -> Dataset:
    lines = [f"{row / 7},{cells[row % len(cells)]}" for row in range(N)]
    (folder / "a.csv").write_text("\n".join(["a,y", *lines]) + "\n")
    return load(Data.model_validate({"source": "a.csv", "target": "y"} | data), folder, "s.yaml")


def from_parquet(folder: Path, column: Any, **data: Any) -> Dataset:
    pd.DataFrame({"a": np.arange(N) / 7, "y": column}).to_parquet(folder / "a.parquet")
    return load(Data.model_validate({"source": "a.parquet", "target": "y"} | data), folder, "s.yaml")


SPELLINGS = [
    (["01", "1"], ("01", "1"), "text"),
    (["007", "012", "100"], ("007", "012", "100"), "text"),
    (["0", "1", "2"], ("0", "1", "2"), "3 distinct integers"),
    (["1.0", "2.0"], ("1.0", "2.0"), "2 distinct integers"),
    (["1", "1.0", "2"], ("1", "1.0", "2"), "2 distinct integers"),
    (["+1", "-1"], ("-1", "+1"), "2 distinct integers"),
    (["1e3", "1000", "7"], ("7", "1000", "1e3"), "2 distinct integers"),
    (["True", "False"], ("False", "True"), "boolean"),
    (["TRUE", "false", "true"], ("TRUE", "false", "true"), "boolean"),
    (["9007199254740993", "9007199254740992"], ("9007199254740992", "9007199254740993"), "2 distinct integers"),
    (["123456789012345678901", "7"], ("7", "123456789012345678901"), "2 distinct integers"),
    ([" a", "a"], (" a", "a"), "text"),
    (["NA", "nan"], ("NA", "nan"), "text"),
    (["1", "x"], ("1", "x"), "text"),
    (["-0", "0"], ("-0", "0"), "1 distinct integers"),
]  # fmt: skip


@pytest.mark.parametrize(("cells", "classes", "why"), SPELLINGS)
def test_a_class_is_spelled_as_in_the_file(
    tmp_path: Path, cells: list[str], classes: tuple[str, ...], why: str
) -> None:
    dataset = from_csv(tmp_path, cells)
    assert dataset.target.classes == classes
    assert why in dataset.notes[0]
    for part in (dataset.train, dataset.validation, dataset.test):
        assert [classes[i] for i in part.y] == [cells[row % len(cells)] for row in part.index]


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        ([f"{row}" for row in range(21)], "regression"),
        ([f"{row / 8}" for row in range(30)], "regression"),
        (["1e3", "2.5"], "regression"),
        (["+0.5", "-1.25"], "regression"),
        ([f"{row:02d}" for row in range(12)], "classification"),
    ],
)
def test_numbers_without_leading_zeros_are_numbers(tmp_path: Path, cells: list[str], task: str) -> None:
    dataset = from_csv(tmp_path, cells)
    assert dataset.target.task == task
    values = dataset.target.classes or cells
    for row, y in zip(dataset.train.index, dataset.train.y, strict=True):
        assert float(values[int(y)] if task == "classification" else y) == float(cells[row % len(cells)])


def test_codes_of_many_classes_stay_classes(tmp_path: Path) -> None:
    marks = ["train", "train", "validation", "test"]
    lines = [f"{i},{code:03d},{mark}" for code in range(30) for i, mark in enumerate(marks)]
    (tmp_path / "a.csv").write_text("\n".join(["a,y,part", *lines]))
    data = Data.model_validate({"source": "a.csv", "target": "y", "split": {"column": "part"}})
    assert load(data, tmp_path, "s").target.classes == tuple(f"{code:03d}" for code in range(30))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_named_task_reads_the_same_cells(tmp_path: Path, task: str) -> None:
    dataset = from_csv(tmp_path, ["0.50", "1.5"], task=task)
    assert dataset.target.classes == (("0.50", "1.5") if task == "classification" else ())
    expected = {"classification": {0, 1}, "regression": {0.5, 1.5}}
    assert set(dataset.train.y.tolist()) == expected[task]


@pytest.mark.parametrize(
    ("column", "classes", "task"),
    [
        (np.arange(N) % 3, ("0", "1", "2"), "classification"),
        (np.arange(N) % 3 * 1.0, ("0", "1", "2"), "classification"),
        ([True, False] * 30, ("false", "true"), "classification"),
        (["01", "1"] * 30, ("01", "1"), "classification"),
        (pd.Categorical([3, 7] * 30), ("3", "7"), "classification"),
        (pd.array([1, 2] * 30, dtype="Int64"), ("1", "2"), "classification"),
        ([Decimal("1.00"), Decimal("2.00")] * 30, ("1", "2"), "classification"),
        ([Decimal(row) / 8 for row in range(N)], (), "regression"),
        ([2**53, 2**53 + 1] * 30, (str(2**53), str(2**53 + 1)), "classification"),
    ],
)
def test_typed_labels_are_what_their_type_says(
    tmp_path: Path, column: Any, classes: tuple[str, ...], task: str
) -> None:
    target = from_parquet(tmp_path, column).target
    assert (target.classes, target.task) == (classes, task)


def extra(folder: Path, cells: list[str], more: Any) -> np.ndarray:
    """The class indices of the extra rows."""
    table = pd.DataFrame({"a": np.arange(4.0), "y": more})
    if isinstance(more, list) and isinstance(more[0], str):
        table.to_csv(folder / "more.csv", index=False)
        dataset = from_csv(folder, cells, extra="more.csv")
    else:
        table.to_parquet(folder / "more.parquet")
        dataset = from_csv(folder, cells, extra="more.parquet")
    assert dataset.train.extra is not None
    return np.asarray(dataset.train.y[dataset.train.extra])


@pytest.mark.parametrize(
    ("cells", "more", "found"),
    [
        (["01", "1"], ["1", "01", "1", "01"], [1, 0, 1, 0]),
        (["01", "1"], [1, 1, 1, 1], [1, 1, 1, 1]),
        (["0", "1"], ["0.0", "1.0", "1", "0"], [0, 1, 1, 0]),
        (["0.0", "1.0"], [0, 1, 1, 0], [0, 1, 1, 0]),
        (["True", "False"], [True, False, True, True], [1, 0, 1, 1]),
        (["1", "1.0"], ["1.0", "1", "1", "1"], [1, 0, 0, 0]),
    ],
)
def test_extra_labels_name_a_class(tmp_path: Path, cells: list[str], more: Any, found: list[int]) -> None:
    assert extra(tmp_path, cells, more).tolist() == found


@pytest.mark.parametrize(
    ("cells", "more", "said"), [(["1", "2"], ["01"] * 4, "'01'"), (["1.0", "1.00"], [1] * 4, "'1'")]
)
def test_extra_labels_that_name_no_class_are_refused(
    tmp_path: Path, cells: list[str], more: Any, said: str
) -> None:
    with pytest.raises(UserError, match=f"data.extra: has the class {said}, which the source has not"):
        extra(tmp_path, cells, more)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["yes", "no"] * 29 + ["Yes"], "'yes' (29 rows) and 'Yes' (1 row) differ only by case"),
        (["0", "1", "2", "3"] * 14 + ["-1"], "'-1' (1 row) lies outside the others, 0 to 3"),
    ],
)
def test_a_class_too_rare_to_split_is_told_as_a_slip(tmp_path: Path, cells: list[str], said: str) -> None:
    lines = [f"{row},{cell}" for row, cell in enumerate(cells)]
    (tmp_path / "a.csv").write_text("\n".join(["a,y", *lines]))
    with pytest.raises(UserError) as caught:
        load(Data(source="a.csv", target="y"), tmp_path, "s.yaml")
    assert said in str(caught.value)
