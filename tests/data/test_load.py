"""From a study's data to three parts: the task that is recognised, the split, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpsearch.data.load import Dataset, load
from hpsearch.errors import UserError
from hpsearch.study import Data, parse_study

N = 60
PARTS = ("train", "validation", "test")


def table(y: Any, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": np.arange(len(y)) / 7, **columns, "y": y})


def prepare(folder: Path, frame: pd.DataFrame, **data: Any) -> Dataset:
    frame.to_csv(folder / "a.csv", index=False)
    return load(Data.model_validate({"source": "a.csv", "target": "y"} | data), folder, "s.yaml")


def rows(dataset: Dataset) -> dict[str, list[int]]:
    return {name: getattr(dataset, name).index.tolist() for name in PARTS}


TWO = ["no", "yes"] * (N // 2)


COUNTS = [0] * 20 + [1] * 15 + [2] * 10 + [3] * 6 + [4] * 3 + [5] * 2 + [6] * 2 + [7, 8]
AMOUNTS = [str(number / 8) for number in range(59)]
IF_VALUES = "if they are values, data.task: regression"


@pytest.mark.parametrize(
    ("y", "data", "told"),
    [
        (COUNTS, {}, f"'7' has 1 row; a split into three parts needs at least 3; of 9 classes: {IF_VALUES}"),
        (COUNTS, {"split": {"time": "a"}}, f"no training row has the class '3'; of 9 classes: {IF_VALUES}"),
        ([-1, 0, *[5] * 58], {}, "'-1' has 1 row; a split into three parts needs at least 3; of 3 classes"),
        ([*AMOUNTS, "n/a"], {}, "of 60 classes, 98% of them numbers: if they are values, correct the rows that"),
        ([*AMOUNTS, "n/a"], {}, "none, such as 'n/a', or take them out, and set data.task: regression"),
        ([*AMOUNTS, "n/a"], {"task": "regression"}, "row 59 has 'n/a'; 1 of its 60 values are no numbers: corr"),
        (TWO, {"task": "regression"}, "Words are classes: leave data.task out, and name a metric for classes"),
        ([*AMOUNTS, None], {}, "1 rows have no target, the first is row 59; take them out of the file"),
    ],
)  # fmt: skip
def test_a_target_that_is_taken_wrongly_is_told_the_way_out(
    y: Any, data: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        prepare(tmp_path, table(y), **data)
    assert told in str(caught.value)


@pytest.mark.parametrize("y", [[*TWO, "once"], [0] * 59 + [1]])
def test_classes_that_are_no_values_are_not_told_so(y: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"needs at least 3$"):
        prepare(tmp_path, table(y))


def test_the_way_out_leads_out(tmp_path: Path) -> None:
    assert prepare(tmp_path, table(COUNTS), task="regression").target.task == "regression"
    assert prepare(tmp_path, table(AMOUNTS), task="regression").target.task == "regression"


@pytest.mark.parametrize(
    ("y", "task", "told"),
    [
        (TWO, "classification", "(the target is text), 2 classes"),
        ([True, False] * 30, "classification", "(the target is boolean), 2 classes"),
        (np.arange(200) % 20, "classification", "(the target has 20 distinct integers), 20 classes"),
        (np.arange(N) % 3 * 1.0, "classification", "(the target has 3 distinct integers), 3 classes"),
        (np.arange(N) % 21, "regression", "(the target has 21 distinct numbers)"),
        (np.arange(N) % 2 + 0.5, "regression", "(the target has 2 distinct numbers)"),
    ],
)
def test_the_task_is_recognised_and_told(tmp_path: Path, y: Any, task: str, told: str) -> None:
    dataset = prepare(tmp_path, table(y))
    assert (dataset.target.task, dataset.notes[0]) == (task, f"task: {task} {told}")


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_task_that_the_study_names_is_taken_and_told(tmp_path: Path, task: str) -> None:
    dataset = prepare(tmp_path, table(np.arange(N) % 4), task=task)
    assert dataset.target.task == task
    assert dataset.notes[0].startswith(f"task: {task} (named in the study)")


def test_classes_stand_in_the_order_of_numbers_or_of_words(tmp_path: Path) -> None:
    numbers = prepare(tmp_path, table([10, 9, -1] * 20))
    assert numbers.target.classes == ("-1", "9", "10")
    assert prepare(tmp_path, table(["10", "9", "b"] * 20)).target.classes == ("10", "9", "b")
    for name in PARTS:
        part = getattr(numbers, name)
        assert part.y.tolist() == [(2, 1, 0)[row % 3] for row in part.index]


def test_the_spread_of_a_regression_is_that_of_training(tmp_path: Path) -> None:
    y = np.random.default_rng(0).normal(1.7e9, 20, N)
    dataset = prepare(tmp_path, table(y))
    train = y[dataset.train.index]
    assert (dataset.target.mean, dataset.target.std) == pytest.approx((train.mean(), train.std()))
    np.testing.assert_allclose(dataset.test.y, y[dataset.test.index])
    np.testing.assert_allclose(
        dataset.target.scaled(dataset.train.y), (train - train.mean()) / train.std(), atol=1e-4
    )


def test_the_parts_are_disjoint_whole_and_hold_each_class_by_its_share(tmp_path: Path) -> None:
    y = np.repeat(["a", "b", "c"], [60, 30, 10])
    dataset = prepare(tmp_path, table(y), split={"validation": 0.3, "test": 0.1})
    parts = rows(dataset)
    assert sorted(row for part in parts.values() for row in part) == list(range(100))
    for name, share in zip(PARTS, (0.6, 0.3, 0.1), strict=True):
        assert np.bincount(getattr(dataset, name).y).tolist() == [60 * share, 30 * share, 10 * share]
    assert dataset.notes[-1] == "rows: 60 train, 30 validation, 10 test"


def test_the_split_belongs_to_its_own_seed_and_not_to_the_studys(tmp_path: Path) -> None:
    table(TWO).to_csv(tmp_path / "a.csv", index=False)

    def parts(seed: int, split_seed: int) -> dict[str, list[int]]:
        data = {"source": "a.csv", "target": "y", "split": {"seed": split_seed}}
        study = parse_study({"name": "a", "seed": seed, "data": data}, "s.yaml")
        return rows(load(study.data, tmp_path, "s.yaml"))

    assert parts(0, 0) == parts(1, 0)
    assert parts(0, 0) != parts(0, 1)


def test_a_split_column_decides_and_is_not_learned_from(tmp_path: Path) -> None:
    marks = [PARTS[row % 3] for row in range(N)]
    dataset = prepare(tmp_path, table(np.arange(N) * 0.5, part=marks), split={"column": "part"})
    assert rows(dataset) == {name: list(range(at, N, 3)) for at, name in enumerate(PARTS)}
    assert dataset.train.x.shape == (20, 1)


def test_rows_of_a_group_stay_together_and_the_group_is_not_learned_from(tmp_path: Path) -> None:
    groups = [f"g{row % 12}" for row in range(N)]
    dataset = prepare(tmp_path, table(TWO, who=groups), split={"group": "who", "seed": 3})
    found = rows(dataset)
    assert sorted(row for part in found.values() for row in part) == list(range(N))
    owners = [{groups[row] for row in part} for part in found.values()]
    assert not owners[0] & owners[1] and not owners[0] & owners[2] and not owners[1] & owners[2]
    assert dataset.train.x.shape[1] == 1
    assert rows(prepare(tmp_path, table(TWO, who=groups), split={"group": "who", "seed": 4})) != found


@pytest.mark.parametrize("dates", [False, True])
def test_the_earliest_rows_train_and_the_latest_test(dates: bool, tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(N) // 2  # two rows a time
    times = [f"2026-01-01 00:{minute:02d}:00" for minute in order] if dates else order
    dataset = prepare(tmp_path, table(TWO, when=times), split={"time": "when"})
    train, validation, test = (order[part] for part in rows(dataset).values())
    assert train.max() < validation.min() <= validation.max() < test.min()
    assert (len(train), len(validation), len(test)) == (36, 12, 12)
    assert dataset.train.x.shape[1] == 1


def test_weights_count_in_training_alone_with_mean_one(tmp_path: Path) -> None:
    given = np.arange(N) % 4
    dataset = prepare(tmp_path, table(TWO, w=given), weight="w")
    assert dataset.train.weight is not None
    np.testing.assert_allclose(
        dataset.train.weight * given[dataset.train.index].mean(), given[dataset.train.index]
    )
    assert dataset.train.weight.mean() == pytest.approx(1)
    assert dataset.validation.weight is None
    assert dataset.train.x.shape[1] == 1


def test_dropped_columns_are_no_inputs(tmp_path: Path) -> None:
    frame = table(TWO, name=[f"row {i}" for i in range(N)], number=range(N))
    dataset = prepare(tmp_path, frame, drop=["name", "number"])
    assert [column.name for column in dataset.schema.columns] == ["a"]  # type: ignore[union-attr]
    assert dataset.train.x.shape[1] == 1


def test_names_of_rows_do_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpsearch.data.load.MOST_BYTES", 5000)
    frame = table(TWO, name=[f"row {i}" for i in range(N)])
    said = r"the column 'name' has 36 words in 60 rows, .* leave it out \(data\.drop: \[name\]\)"
    with pytest.raises(UserError, match=said):
        prepare(tmp_path, frame)
    prepare(tmp_path, frame, drop=["name"])


def test_columns_named_categorical_are_categories_and_this_is_told(tmp_path: Path) -> None:
    dataset = prepare(tmp_path, table(TWO, code=np.arange(N) % 3, word=TWO), categorical=["code"])
    assert dataset.train.x.shape[1] == 1 + 3 + 2
    assert dataset.notes[1] == "columns: 1 numbers, 2 categories (code, word)"


def test_the_fingerprint_changes_with_any_cell_and_with_nothing_else(tmp_path: Path) -> None:
    base = prepare(tmp_path, table(TWO)).fingerprint()
    assert prepare(tmp_path, table(TWO)).fingerprint() == base
    changed, swapped = table(TWO), table(TWO)
    changed.loc[7, "a"] += 0.01
    swapped.loc[[3, 4], "y"] = swapped.loc[[4, 3], "y"].to_numpy()
    assert len({base, *(prepare(tmp_path, frame).fingerprint() for frame in (changed, swapped))}) == 3


def test_training_never_sees_the_test_part(tmp_path: Path) -> None:
    dataset = prepare(tmp_path, table(TWO))
    arrays = dataset.arrays("accuracy")
    seen = {*arrays.train.index, *arrays.validation.index}
    assert not seen & set(dataset.test.index)


BAD_MARK = [*["train", "validation", "test"] * 19, "train", "test", "dev"]


@pytest.mark.parametrize(
    ("frame", "data", "said"),
    [
        (table([*TWO[:-1], None]), {}, "data.target: 1 rows have no target, the first is row 59"),
        (table([*range(59), np.nan]), {}, "data.target: 1 rows have no target, the first is row 59"),
        (table(["a"] * N), {}, "data.target: has the single class 'a'; a task needs two"),
        (table([*TWO, "once"]), {}, "data.target: the class 'once' has 1 row; a split into"),
        (table([*TWO, "few", "few"]), {}, "data.target: the class 'few' has 2 rows;"),
        (table([0.5, 1.5, 2.5]), {}, "data.source: has 3 rows; a split into three parts needs at least 5"),
        (table(TWO)[:0], {}, "data.source: a.csv has no rows"),
        (table(TWO)[["y"]], {}, "data.source: a.csv has no column beside the target"),
        (table(TWO), {"target": None}, "data.target: is required for a table; choose from a, y"),
        (table(TWO), {"target": "z"}, "data.target: no column 'z' in a.csv; choose from a, y"),
        (table(TWO), {"drop": ["z"]}, "data.drop: no column 'z' in a.csv"),
        (table(TWO), {"categorical": ["z"]}, "data.categorical: no column 'z' in a.csv"),
        (table(TWO), {"split": {"column": "z"}}, "data.split.column: no column 'z' in a.csv"),
        (table(TWO), {"split": {"column": "y"}}, "data.split.column: holds 'no'; choose from train"),
        (table(TWO, part=BAD_MARK), {"split": {"column": "part"}}, "data.split.column: holds 'dev'"),
        (table(TWO, part=["train", "test"] * 30), {"split": {"column": "part"}}, "no row is marked 'validation'"),
        (table(TWO, w=[-1.0] * N), {"weight": "w"}, "data.weight: weights are numbers from 0, but row 0 has -1.0"),
        (table(TWO, w=["heavy", *range(59)]), {"weight": "w"}, "row 0 has 'heavy'; weights are numbers from 0"),
        (table(TWO, w=[None, *range(59)]), {"weight": "w"}, "data.weight: weights are numbers from 0, but row 0"),
        (table(TWO, w=[0] * N), {"weight": "w"}, "data.weight: every training row has the weight 0"),
        (table(TWO), {"weight": "z"}, "data.weight: no column 'z' in a.csv"),
        (table(TWO, w=["x"] * N), {"split": {"time": "w"}}, "holds numbers or times such as 2026-03-01 12:00"),
        (table(TWO, w=[1] * N), {"split": {"time": "w"}}, "data.split: cannot split 60 rows: no time is left for"),
        (table(TWO, w=[1] * N), {"split": {"group": "w"}}, "data.split: cannot split 60 rows: "),
        (table([*TWO[:-1], "new"], part=[*PARTS * 19, "train", "train", "test"]), {"split": {"column": "part"}},
         "data.split: no training row has the class 'new'"),
        (table(TWO), {"split": {"validation": 0.5, "test": 0.5}}, "data.split: validation and test must"),
        (table(TWO), {"split": {"test": 0.001}}, "data.split: cannot split 60 rows"),
        (table(TWO), {"task": "regression"}, "data.target: the column 'y' holds numbers, but row 0 has 'no'"),
        (table(TWO, b=[*range(59), "oops"]), {}, "data.source: the column 'b' holds numbers, but row 59 has"),
        (table([*range(59), np.inf]), {}, "data.target: the column 'y' holds infinity in row 59"),
    ],
)  # fmt: skip
def test_data_that_does_not_fit_the_study_is_refused(
    tmp_path: Path, frame: pd.DataFrame, data: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        prepare(tmp_path, frame, **data)
    assert str(caught.value).startswith("s.yaml: data.")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        {"target": "y"},
        {"categorical": ["y"]},
        {"split": {"column": "y"}},
        {"split": {"time": "y"}},
        {"weight": "y"},
    ],
)
def test_arrays_have_no_named_columns(tmp_path: Path, data: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="holds arrays x and y, not named columns"):
        load(Data.model_validate({"source": "sklearn:digits", **data}), tmp_path, "s.yaml")
