"""Studies whose tables hold numbers and dates in words: what is recognised, told, refused and decided by name."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from hpsearch.data.blocks import blocks
from hpsearch.data.load import Dataset, load
from hpsearch.data.preprocess import Category, Date, Number, TableSchema, from_json, to_json
from hpsearch.errors import UserError
from hpsearch.starter import write_study
from hpsearch.study import Data, Split, parse_study

N = 60
TWO = ["no", "yes"] * (N // 2)
VALUES = np.arange(N) * 1234.5 + 1000


def prepare(folder: Path, frame: pd.DataFrame, **data: Any) -> Dataset:
    frame.to_csv(folder / "a.csv", index=False)
    return load(Data.model_validate({"source": "a.csv", "target": "y"} | data), folder, "s.yaml")


def columns(dataset: Dataset) -> dict[str, Any]:
    assert isinstance(dataset.schema, TableSchema)
    return {column.name: column for column in dataset.schema.columns}


def test_the_signal_in_written_numbers_is_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    value = rng.uniform(1000, 50_000, 400).round()
    frame = pd.DataFrame({"amount": [f"{v:,.0f}" for v in value], "noise": rng.normal(size=400)})
    dataset = prepare(tmp_path, frame.assign(y=np.where(value > 20_000, "high", "low")))
    assert dataset.train.x.shape[1] == 2
    model = LogisticRegression().fit(dataset.train.x, dataset.train.y)
    assert roc_auc_score(dataset.test.y, model.decision_function(dataset.test.x)) > 0.99


@pytest.mark.parametrize("task", [None, "regression"])
def test_a_target_in_words_is_a_number(tmp_path: Path, task: str | None) -> None:
    frame = pd.DataFrame({"a": range(N), "y": [f"${v:,.2f}" for v in VALUES]})
    dataset = prepare(tmp_path, frame, **({"task": task} if task else {}))
    assert dataset.target.task == "regression"
    np.testing.assert_array_equal(dataset.test.y, VALUES[dataset.test.index])
    assert "columns: y reads as numbers with thousands separator ',' in $" in dataset.notes
    frame[:10].to_csv(tmp_path / "more.csv", index=False)
    with_extra = prepare(tmp_path, frame, extra="more.csv")
    np.testing.assert_array_equal(with_extra.train.y[-10:], VALUES[:10])


def test_few_classes_in_words_stay_classes(tmp_path: Path) -> None:
    dataset = prepare(tmp_path, pd.DataFrame({"a": range(N), "y": ["10 %", "20 %", "none"] * 20}))
    assert dataset.target.classes == ("10 %", "20 %", "none")
    named = prepare(tmp_path, pd.DataFrame({"a": range(N), "y": ["1,5", "2,5"] * 30}), task="classification")
    assert named.target.classes == ("1,5", "2,5")
    with pytest.raises(UserError, match=r"data\.formats\.y: a target is a number or a class, got date"):
        prepare(tmp_path, pd.DataFrame({"a": range(N), "y": ["2024-01-01"] * N}), formats={"y": "date"})


def test_weights_and_times_are_read_alike(tmp_path: Path) -> None:
    days = np.random.default_rng(0).permutation(N)
    frame = pd.DataFrame(
        {
            "a": range(N), "w": [f"{1 + i % 3},5" for i in range(N)],
            "t": (pd.Timestamp("2024-01-01") + pd.to_timedelta(days, "D")).strftime("%d/%m/%Y"), "y": TWO,
        }
    )  # fmt: skip
    dataset = prepare(tmp_path, frame, weight="w", split={"time": "t"})
    assert dataset.train.weight is not None
    weight = 1.5 + dataset.train.index % 3
    np.testing.assert_allclose(dataset.train.weight, weight / weight.mean(), rtol=1e-6)
    assert days[dataset.train.index].max() < days[dataset.validation.index].min()
    found = blocks(frame, Split(time="t"), np.arange(N), "s.yaml")
    assert found is not None and found.tolist() == (days // 3).tolist()


def test_extra_and_unlabelled_rows_use_the_format(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [f"{v:,.1f}" for v in VALUES], "d": ["13/04/2024", "01/02/2024"] * 30, "y": TWO})
    frame[:4].assign(d="02/03/2024").to_csv(tmp_path / "more.csv", index=False)  # alone: of either order
    dataset = prepare(tmp_path, frame, extra="more.csv", unlabelled="more.csv")
    column = columns(dataset)["a"]
    np.testing.assert_allclose(dataset.train.x[-4:, 0], (VALUES[:4] - column.mean) / column.std, rtol=1e-5)
    assert dataset.unlabelled is not None
    np.testing.assert_array_equal(dataset.unlabelled, dataset.train.x[-4:])
    seconds = columns(dataset)["d"]
    march = pd.Timestamp("2024-03-02").timestamp()
    np.testing.assert_allclose(dataset.unlabelled[:, 1], (march - seconds.mean) / seconds.std, rtol=1e-4)


def test_typed_columns_of_parquet_are_dates(tmp_path: Path) -> None:
    when = pd.date_range("2024-01-01", periods=N, freq="7h")
    frame = pd.DataFrame(
        {
            "when": when, "zoned": when.tz_localize("Europe/Paris"), "day": when.date, "clock": when.time,
            "span": when - when[0], "y": TWO,
        }
    )  # fmt: skip
    frame.to_parquet(tmp_path / "a.parquet")
    dataset = load(Data(source="a.parquet", target="y"), tmp_path, "s.yaml")
    found = columns(dataset)
    assert [type(found[name]) for name in ("when", "zoned", "day", "clock")] == [Date] * 4
    assert isinstance(found["span"], Number) and found["clock"].cycles == ("day",)
    from_text = prepare(tmp_path, frame)
    np.testing.assert_allclose(from_text.train.x, dataset.train.x, atol=1e-6)
    assert from_json(to_json(dataset.schema)) == dataset.schema


def test_codes_keep_their_zeros_in_a_csv(tmp_path: Path) -> None:
    frame = pd.DataFrame({"zip": [f"{i % 7:05d}" for i in range(N)], "n": range(N), "f": [0.5, 1] * 30, "y": TWO})
    dataset = prepare(tmp_path, frame)
    assert isinstance(columns(dataset)["zip"], Category) and "00003" in columns(dataset)["zip"].categories
    assert isinstance(columns(dataset)["n"], Number) and isinstance(columns(dataset)["f"], Number)
    assert any("zip has leading zeros" in note for note in dataset.notes)
    assert isinstance(columns(prepare(tmp_path, frame, formats={"zip": "number"}))["zip"], Number)


def test_a_named_format_decides(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"a": [f"{i + 1},250" for i in range(N)], "d": ["03/04/2024", "05/06/2024"] * 30, "y": TWO}
    )
    guessed = prepare(tmp_path, frame)
    assert len(guessed.doubts) == 2 and columns(guessed)["a"].mean > 1000
    decided = prepare(tmp_path, frame, formats={"a": "decimal_comma", "d": "text"})
    assert decided.doubts == () and columns(decided)["a"].mean < 100
    assert columns(decided)["d"].categories == ("03/04/2024", "05/06/2024")


def test_a_named_format_reads_what_the_file_has(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["1.234", "12.345", "2.000"] * 20, "d": ["20240301", "20240402"] * 30, "y": TWO})
    assert columns(prepare(tmp_path, frame))["a"].mean < 13  # a plain number has a decimal point
    found = columns(prepare(tmp_path, frame, formats={"a": "thousands_point", "d": "date"}))
    assert found["a"].mean > 1999 and isinstance(found["d"], Date)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            {"formats": {"a": "euro"}},
            r"data\.formats\.a: 'euro' is not known; choose from text, number, thousands_",
        ),
        ({"formats": {"a": 3}}, r"data\.formats\.a: .*got 3"),
        ({"formats": {"a": "date"}, "categorical": ["a"]}, "both name the column 'a'"),
    ],
)
def test_a_wrong_format_is_refused_in_the_study(data: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_study({"name": "s", "data": {"source": "a.csv", **data}}, "s.yaml")


@pytest.mark.parametrize(
    ("cells", "data", "said"),
    [
        (["1,250.5"] * 59 + ["n/a"], {}, r"row 59 has 'n/a'; name the word in data\.missing.*\[\"\", \"n/a\"\]"),
        (["12.5"] * 59 + ["?"], {}, r"holds numbers, but row 59 has '\?'; name the word.*\[\"\", \"\?\"\]"),
        (
            ["2024-01-01", "2024-02-01"] * 29 + ["unknown"] * 2,
            {},
            "reads as dates, year first, but row 58 has 'unknown'",
        ),
        (
            ["1,5"] * N,
            {"formats": {"a": "month_first"}},
            r"data\.formats\.a: month_first does not fit.*row 0 has '1,5'",
        ),
        (["1"] * N, {"formats": {"b": "number"}}, r"data\.formats: no column 'b'"),
    ],
)
def test_what_does_not_fit_is_refused_by_row(
    tmp_path: Path, cells: list[str], data: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        prepare(tmp_path, pd.DataFrame({"a": cells, "y": TWO}), **data)


def test_a_named_word_is_missing(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["1,250.5", "2,500.5", "n/a"] * 20, "y": TWO})
    column = columns(prepare(tmp_path, frame, missing=["", "n/a"]))["a"]
    assert column.flags_missing and column.format.name == "thousands_comma"


def test_arrays_have_no_formats(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds arrays x and y, not named columns"):
        load(Data.model_validate({"source": "sklearn:digits", "formats": {"a": "date"}}), tmp_path, "s.yaml")


def test_init_writes_what_was_recognised(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [f"{i + 1},250" for i in range(N)], "d": ["13/04/2024"] * N, "y": TWO})
    frame.to_csv(tmp_path / "a.csv", index=False)
    text = write_study(str(tmp_path / "a.csv"), "y", tmp_path / "s.yaml").read_text()
    assert "# columns: d reads as dates, day before month" in text
    assert "# ambiguous: a: '1,250', '2,250'" in text


def test_a_split_by_whole_dates_is_in_no_doubt(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": range(N), "t": [20240101 + i % 28 for i in range(N)], "y": TWO})
    assert prepare(tmp_path, frame, split={"time": "t"}).doubts == ()
    assert len(prepare(tmp_path, frame).doubts) == 1
