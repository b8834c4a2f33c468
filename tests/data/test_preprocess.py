"""Preprocessing against scikit-learn's, fitted on the training rows alone."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from hpsearch.data.categories import words
from hpsearch.data.preprocess import (
    ArraySchema,
    Category,
    Number,
    TableSchema,
    fit_array,
    fit_table,
    from_json,
    numbers,
    to_json,
)
from hpsearch.errors import UserError

TRAIN = np.arange(0, 40)


def table(seed: int = 0, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "plain": rng.normal(3, 2, n), "holes": rng.exponential(5, n), "stamp": 1.7e9 + rng.uniform(0, 100, n),
            "code": rng.integers(0, 4, n), "word": rng.choice(["red", "green", "blue"], n),
            "gaps": rng.choice(["p", "q"], n), "flag": rng.choice([True, False], n), "same": np.full(n, 7.0),
        }
    )  # fmt: skip
    frame.loc[::7, "holes"] = np.nan
    frame.loc[::5, "gaps"] = None
    return frame


def fit(frame: pd.DataFrame) -> TableSchema:
    return fit_table(frame, ["code"], TRAIN, "s.yaml")


def block(schema: TableSchema, frame: pd.DataFrame, name: str) -> np.ndarray:
    """The columns that a net sees of one column."""
    at = [column.name for column in schema.columns].index(name)
    first = sum(column.width for column in schema.columns[:at])
    out = schema.transform(frame, "s.yaml")
    assert (out.dtype, out.shape[1]) == (np.float32, sum(column.width for column in schema.columns))
    return np.asarray(out[:, first : first + schema.columns[at].width])


@pytest.mark.parametrize("name", ["plain", "holes", "stamp", "same"])
def test_numbers_are_scikit_learns_median_and_standard_scaler(name: str) -> None:
    frame = table()
    got = block(fit(frame), frame, name)
    imputer, scaler = SimpleImputer(strategy="median"), StandardScaler()
    scaler.fit(imputer.fit_transform(frame[[name]].iloc[TRAIN]))
    np.testing.assert_allclose(got[:, :1], scaler.transform(imputer.transform(frame[[name]])), atol=1e-5)
    flags = got[:, 1:]
    assert flags.shape[1] == (name == "holes")
    np.testing.assert_array_equal(flags, frame[[name]].isna().to_numpy()[:, : flags.shape[1]])


@pytest.mark.parametrize("name", ["code", "word", "flag"])
def test_categories_are_scikit_learns_one_hot_encoder(name: str) -> None:
    frame = table()
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(frame[[name]].iloc[TRAIN])
    np.testing.assert_array_equal(block(fit(frame), frame, name), encoder.transform(frame[[name]]))


def test_a_missing_category_has_a_flag_and_an_unseen_one_is_all_zeros() -> None:
    frame = table()
    frame.loc[50, "gaps"], frame.loc[51, "gaps"], frame.loc[52, "word"] = "unseen", None, "RED"
    got, schema = block(fit(frame), frame, "gaps"), fit(frame)
    assert schema.columns[5] == Category("gaps", ("p", "q"), True)
    assert [got[row].tolist() for row in (50, 51)] == [[0, 0, 0], [0, 0, 1]]
    assert block(schema, frame, "word")[52].tolist() == [0, 0, 0]


def test_what_is_missing_beyond_training_alone_has_no_flag() -> None:
    frame = table()
    frame.loc[50, ["plain", "word"]] = None
    schema = fit(frame)
    assert not any(c.flags_missing for c in schema.columns if c.name in ("plain", "word"))
    median = float(np.median(frame["plain"].iloc[TRAIN]))
    scaled = (median - frame["plain"].iloc[TRAIN].mean()) / frame["plain"].iloc[TRAIN].std(ddof=0)
    assert float(block(schema, frame, "plain")[50, 0]) == pytest.approx(scaled, abs=1e-6)
    assert not block(schema, frame, "word")[50].any()


def test_a_column_with_nothing_in_training_is_harmless() -> None:
    frame = table().assign(empty=np.nan)
    assert np.isfinite(fit(frame).transform(frame, "s.yaml")).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 2**32))
def test_rows_beyond_training_change_nothing_that_is_fitted(seed: int) -> None:
    frame, other = table(), table()
    other.iloc[40:] = table(seed).iloc[40:].assign(word="new", plain=1e9).to_numpy()
    other = other.astype(frame.dtypes)
    assert fit(frame) == fit(other)
    x = table(seed)["plain"].to_numpy().reshape(60, 1).repeat(2, 1)
    assert fit_array(x, TRAIN, "x") == fit_array(np.concatenate([x[:40], x[40:] * 100]), TRAIN, "x")


def test_columns_are_found_by_name_and_others_are_left_alone() -> None:
    frame = table()
    schema = fit(frame)
    shuffled = frame[sorted(frame, reverse=True)].assign(extra=1)
    np.testing.assert_array_equal(schema.transform(shuffled, "x"), schema.transform(frame, "x"))
    with pytest.raises(UserError, match="x: the column 'word' is missing; the table has plain"):
        schema.transform(frame.drop(columns="word"), "x")


@pytest.mark.parametrize("shape", [(3,), (3, 4), (2, 3, 4)])
def test_arrays_are_scikit_learns_standard_scaler_a_feature_or_a_channel(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(5, 3, (60, *shape)).astype(np.float32)
    x[:, 0] = 4.0  # a constant feature
    schema = fit_array(x, TRAIN, "x")
    by_channel = x.reshape(60, shape[0], -1).swapaxes(1, 2)
    scaler = StandardScaler().fit(by_channel[TRAIN].reshape(-1, shape[0]).astype(np.float64))
    expected = scaler.transform(by_channel.reshape(-1, shape[0])).reshape(60, -1, shape[0]).swapaxes(1, 2)
    for given_x in (x, x.reshape(60, -1)):
        got = schema.transform(given_x, "s.yaml")
        assert (got.dtype, got.shape) == (np.float32, x.shape)
        np.testing.assert_allclose(got, expected.reshape(x.shape), atol=1e-5)


@pytest.mark.parametrize(
    "x", [np.zeros((2, 5)), np.zeros(3), np.array([[0, np.nan, 0]]), np.array([[0, 1e300, 0]])]
)
def test_arrays_of_another_size_or_without_finite_numbers_are_refused(x: np.ndarray) -> None:
    with np.errstate(over="ignore"), pytest.raises(UserError, match=r"^new: x "):
        fit_array(np.ones((4, 3)), np.arange(4), "x").transform(x, "new")


def test_whole_numbers_are_one_category_however_they_are_written() -> None:
    cells: list[Any] = [1, 1.0, "1", True, np.nan, None, 2.5, "x"]
    assert words(pd.Series(cells, dtype=object)).tolist() == ["1", "1", "1", "true", None, None, "2.5", "x"]


@pytest.mark.parametrize("wrong", ["x", "", "1,5", "nan", "inf", np.inf, "1 2"])
def test_what_is_no_number_is_refused_with_its_row(wrong: Any) -> None:
    with pytest.raises(UserError, match=r"s\.yaml: the column 'a' holds .*row 2"):
        numbers(pd.Series([1, "2.5", wrong, None], name="a", dtype=object), "s.yaml")


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
COLUMNS = st.builds(Number, st.text(), FLOATS, FLOATS, FLOATS, st.booleans()) | st.builds(
    Category, st.text(), st.lists(st.text(), max_size=3).map(tuple), st.booleans()
)
TABLES = st.lists(COLUMNS, max_size=4).map(lambda columns: TableSchema(tuple(columns)))
ARRAYS = st.lists(FLOATS, min_size=1, max_size=3).map(lambda v: ArraySchema((len(v), 2), tuple(v), tuple(v)))


@settings(deadline=None, max_examples=60)
@given(TABLES | ARRAYS)
def test_a_schema_goes_through_json_unchanged(schema: TableSchema | ArraySchema) -> None:
    assert from_json(json.loads(json.dumps(to_json(schema)))) == schema


@pytest.mark.parametrize("size", [1e-19, 1.0, 1e9])
def test_what_is_constant_does_not_depend_on_the_unit(size: float) -> None:
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(size=2000), np.full(2000, 1e6 + 0.1)], 1) * size
    scaled = fit_array(x, np.arange(2000), "x").transform(x, "s")
    assert scaled[:, 0].std() == pytest.approx(1, abs=1e-3)
    assert np.abs(scaled[:, 1]).max() < 1e-3
    table = pd.DataFrame({"a": x[:, 0], "b": x[:, 1]})
    scaled = fit_table(table, [], np.arange(2000), "s").transform(table, "s")
    assert scaled[:, 0].std() == pytest.approx(1, abs=1e-3)
    assert np.abs(scaled[:, 1]).max() < 1e-3


def test_what_float32_cannot_tell_apart_is_refused() -> None:
    x = 1.7e9 + np.arange(40.0)[:, None]
    with pytest.raises(UserError, match=r"x: feature 0 varies by 11.* around 1.7.*; take its offset off"):
        fit_array(x, np.arange(40), "s")
    fit_array(x.astype(np.float32), np.arange(40), "s")  # nothing is lost that is there
    fit_array(x - 1.7e9, np.arange(40), "s")
    fit_array(np.full((40, 1), 1.7e9), np.arange(40), "s")  # constant


@pytest.mark.parametrize("shape", [(5, 3, 2, 2), (5, 2, 3, 2), (5, 13)])
def test_arrays_of_another_shape_are_refused_though_their_size_is_right(shape: tuple[int, ...]) -> None:
    schema = fit_array(np.random.default_rng(0).normal(size=(20, 2, 2, 3)), np.arange(20), "s")
    assert schema.transform(np.zeros((5, 12)), "x").shape == (5, 2, 2, 3)
    with pytest.raises(UserError, match=r"x must be \[N, 2, 2, 3\]"):
        schema.transform(np.zeros(shape), "x")
