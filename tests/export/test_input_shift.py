"""Inputs unlike those of training are named, and inputs like them are not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from hpsearch.data.preprocess import Number, Schema, TableSchema, fit_array, fit_table
from hpsearch.export import inputs
from hpsearch.export.input_shift import InputStatistics
from hpsearch.export.preprocessing import input_names, missing_word

DIGITS = (load_digits().images / 16).astype(np.float32)[:, None]
BYTES = np.rint(255 * DIGITS).astype(np.uint8)
WINE = load_wine(as_frame=True).data
HALF = np.arange(0, len(WINE), 2)


def messages(schema: Schema, data: pd.DataFrame | np.ndarray | Path) -> list[str]:
    names = input_names(schema)
    empties = [""] * len(names)
    if isinstance(schema, TableSchema):
        empties = ["NaN" if isinstance(c, Number) else missing_word(c) for c in schema.columns]
    found = InputStatistics(schema, names, empties)
    for place, first, chunk in inputs.chunks(data, schema, [""]):
        given_to_graph = inputs.feeds(chunk, schema, names, empties, place, first)
        found.add(given_to_graph, str(chunk.dtype) if isinstance(chunk, np.ndarray) else "")
    return found.messages()


PICTURES = {
    "raw bytes": (DIGITS, BYTES[1000:], "255 times"),
    "one picture of raw bytes": (DIGITS, BYTES[1000:1001], "255 times"),
    "fractions of bytes": (BYTES, DIGITS[1000:], "1/255 of"),
    "one picture of fractions": (BYTES, DIGITS[1000:1001], "1/255 of"),
    "from -1 to 1": (DIGITS, 2 * DIGITS[1000:] - 1, "have -1 to 1"),
    "standardised": (DIGITS, (DIGITS[1000:] - 0.3) / 0.37, "standardised"),
    "percent": (DIGITS, 100 * DIGITS[1000:], "100 times"),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("flat", [False, True])
def test_pictures_of_another_scale_are_named(name: str, flat: bool) -> None:
    train, given_x, told = PICTURES[name]
    if flat:
        train, given_x = train.reshape(len(train), -1), given_x.reshape(len(given_x), -1)
    found = messages(fit_array(train, np.arange(1000), "x"), given_x)
    assert len(found) == 1
    assert "feature" in found[0] if flat else "x, channel 0: training had values from 0 to " in found[0]
    assert told in found[0] or (flat and (len(given_x) == 1 or told == "standardised"))


def test_the_channel_that_is_off_is_the_one_named() -> None:
    x = np.random.default_rng(0).random((80, 3, 6, 6))
    schema, other = fit_array(x, np.arange(40), "x"), x[40:].copy()
    other[:, 1] *= 1000
    (found,) = messages(schema, other)
    assert found.startswith("x, channel 1: training had values from ")
    assert "1000 times the training values" in found


@pytest.mark.parametrize("given_x", [DIGITS[1000:], DIGITS[1000:1001], DIGITS[:1] * 0, np.ones((40, 1, 8, 8))])
def test_pictures_of_the_same_scale_are_fine(given_x: np.ndarray) -> None:
    assert messages(fit_array(DIGITS, np.arange(1000), "x"), given_x) == []


@pytest.mark.parametrize("size", [1, 3, 10, 30])
def test_small_files_of_sound_rows_are_fine(size: int) -> None:
    flat = DIGITS.reshape(len(DIGITS), -1)
    schema = fit_array(flat, np.arange(900), "x")
    assert [m for i in range(900, 1700, 7) for m in messages(schema, flat[i : i + size])] == []


UNITS = {
    "grams for kilograms": (lambda v: 1000 * v, "1000 times"),
    "a share for percent": (lambda v: v / 100, "1/100 of"),
    "kelvin for degrees": (lambda v: v + 273, "higher by 273"),
    "standardised": (lambda v: (v - v.mean()) / v.std(), "standard"),
}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("column", ["alcohol", "ash", "magnesium"])
def test_a_column_in_another_unit_is_named(unit: str, column: str) -> None:
    change, told = UNITS[unit]
    rest = WINE.drop(index=HALF)
    (found,) = messages(fit_table(WINE, [], HALF, "x"), rest.assign(**{column: change(rest[column])}))
    assert found.startswith(f"{column}: training had values from ")
    assert told in found or (unit, column) == ("standardised", "alcohol")  # whose spread is about 1


def test_a_row_a_thousand_times_too_large_is_named() -> None:
    row = WINE.iloc[[1]].assign(proline=1e6)
    (found,) = messages(fit_table(WINE, [], HALF, "x"), row)
    assert found.startswith("proline: ") and "these have 1e+06" in found


def test_an_outlier_is_no_other_scale() -> None:
    schema = fit_table(WINE, [], HALF, "x")
    rest = WINE.drop(index=HALF).reset_index(drop=True)
    rest.loc[[3, 7], "proline"] = 1e9
    assert messages(schema, rest) == []
    assert messages(schema, pd.concat([rest.iloc[[0]]] * 50)) == []  # nor is a file of equal rows


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 5, 20, 100, 1000]), st.booleans())
def test_columns_of_any_shape_raise_no_false_alarm(seed: int, size: int, sort: bool) -> None:
    rng = np.random.default_rng(seed)
    n = 2000
    table = pd.DataFrame(
        {
            "normal": rng.normal(50, 3, n), "skewed": rng.lognormal(3, 1, n), "rare": rng.random(n) < 0.01,
            "count": rng.poisson(0.2, n), "same": 7.0, "share": rng.beta(0.3, 0.3, n),
            "heavy": rng.standard_t(2, n), "year": rng.integers(2010, 2024, n),
            "holes": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
        }
    ).astype({"rare": float})  # fmt: skip
    given_rows = table.iloc[1000 : 1000 + size]
    if sort:
        given_rows = table.iloc[1000:].sort_values(str(rng.choice(["normal", "skewed", "year"]))).iloc[:size]
    assert messages(fit_table(table, [], np.arange(1000), "x"), given_rows) == []


def test_pieces_of_a_file_are_judged_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_MOST_ROWS", 7)
    rest = WINE.drop(index=HALF).sort_values("proline")
    rest.to_csv(tmp_path / "rest.csv", index=False)
    assert messages(fit_table(WINE, [], HALF, "x"), tmp_path / "rest.csv") == []
    rest.assign(proline=rest.proline * 1000).to_csv(tmp_path / "rest.csv", index=False)
    (found,) = messages(fit_table(WINE, [], HALF, "x"), tmp_path / "rest.csv")
    assert found.startswith("proline: ")


def test_messages_are_few_and_the_rest_is_counted() -> None:
    data = load_breast_cancer(as_frame=True).data
    table = data.assign(**{f"w{i}": ["p", "q", "r"][i % 3] for i in range(9)})
    schema = fit_table(table, [], np.arange(300), "x")
    other = data * 1000
    other = other.assign(**{f"w{i}": "new" for i in range(9)})
    found = messages(schema, other)
    assert found[3] == "27 more columns far outside training"
    assert found[7] == "6 more columns with such categories"
    assert len(found) == 8


def test_unseen_categories_are_counted_by_column() -> None:
    table = pd.DataFrame({"plan": ["a", "b"] * 20, "town": ["x", None] * 20, "n": np.arange(40.0)})
    schema = fit_table(table, [], np.arange(40), "x")
    other = table.assign(plan=["a", "c", "d", "e", "f", *["b"] * 35])
    assert messages(schema, other) == [
        "plan: 4 of 40 rows have a category that training never had ('c', 'd', 'e', …)"
    ]
    assert messages(schema, other.iloc[[1]]) == ["plan: the row has a category that training never had ('c')"]


def test_holes_that_training_had_not_are_counted() -> None:
    table = pd.DataFrame({"plan": ["a", "b"] * 20, "town": ["x", None] * 20, "n": np.arange(40.0)})
    schema = fit_table(table, [], np.arange(40), "x")
    other = table.assign(plan=[None, None, *["b"] * 38], n=np.where(np.arange(40) < 3, np.nan, np.arange(40.0)))
    assert messages(schema, other) == ["n in 3, plan in 2 of 40 rows: no value, and training had one in every row"]
