"""Which category a raw value is: by what training has left, and never by the type of the new column."""

import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch.data import cells
from hpsearch.data.categories import MISSING, UNSEEN, codes, fit, read
from hpsearch.errors import UserError

LARGE = 2**53 + 1


def objects(values: list[Any]) -> pd.Series:
    return pd.Series(values, dtype=object, name="c")


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ([1, 1.0, "1", "1.0", "1.00", "1e0", Decimal("1.00"), np.int8(1), np.float16(1), Fraction(1)], "1"),
        ([0.1, "0.1", "1e-1", Decimal("0.10"), np.float32(0.1), float(np.float32(0.1)), np.float16(0.1)], "0.1"),
        ([True, "True", "TRUE", "true", np.True_], "true"),
        ([0, -0.0, "-0.0", "0"], "0"),
        ([LARGE, str(LARGE), f"{LARGE}.0", Decimal(LARGE), np.int64(LARGE)], str(LARGE)),
        ([10**30, "1" + "0" * 30], "1" + "0" * 30),
        ([1e23, "1e23", "1e+23"], str(int(1e23))),
        (["007"], "007"), (["+7"], "+7"), ([" 7", "7 ", 7], "7"), (["1e999"], "1e999"), (["inf", np.inf], "inf"),
        (["1_000"], "1_000"), (["٣"], "٣"), ([""], ""), (["yes", np.str_("yes")], "yes"),
        ([datetime.date(2026, 3, 1), pd.Timestamp("2026-03-01"), "2026-03-01"], "2026-03-01"),
    ],
)  # fmt: skip
def test_equal_values_have_one_key(values: list[Any], key: str) -> None:
    assert {cells.key(value) for value in values} == {key}


@pytest.mark.parametrize(
    ("trained", "categories"),
    [
        ([1, 1.0, "1", True], ("1", "true")),
        (["1", "2.0", None], ("1", "2")),
        (["1.1", "1.10", "2.0"], ("1.1", "1.10", "2")),
        (["0.50", "1.00", "2.50"], ("0.5", "1", "2.5")),
        (["007", "7"], ("007", "7")),
        ([" 1", " 2"], ("1", "2")),
        ([" 1", "1", "2.0"], (" 1", "1", "2")),
        (["a", "A", "a "], ("A", "a", "a ")),
        ([None, None], ()),
    ],
)
def test_training_leaves_categories(trained: list[Any], categories: tuple[str, ...]) -> None:
    assert fit(objects(trained)) == categories


NO, GAP = UNSEEN, MISSING
CASES = {
    "numbers": (
        ["1", "2", "0.5"], [1.0, "01", " 2 ", "+2", "5e-1", True, "x", 3, None, "1.0"],
        [1, 1, 2, 2, 0, 1, NO, NO, GAP, 1],
    ),
    "booleans": (
        [True, False], ["TRUE", " false", 1, 0.0, "1", "0.0", 2, "no", None], [1, 0, 1, 0, 1, 0, NO, NO, GAP],
    ),
    "words": (
        ["x", "7", "yes"], ["X", "x ", 7.0, "7.0", "007", True, float("nan"), pd.NA, pd.NaT],
        [NO, NO, 0, 0, NO, NO, GAP, GAP, GAP],
    ),
    "codes": (["007", "7"], ["7", "007", 7, "07", 7.0], [1, 0, 1, NO, 1]),
    "zero-padded alone": (["007", "012"], [7, "7", "007"], [NO, NO, 0]),
    "versions": (["1.1", "1.10", "2.0"], ["1.1", "1.10", 1.1, 2, "2", "1.100"], [0, 1, 0, 2, 2, 0]),
    "blanks": ([" 1", "1", "2"], ["1", " 1", 1.0, "1.0", " 2", "  1"], [1, 0, 1, 1, 2, 1]),
    "large numbers": (
        [2**53, 2**53 + 1, 2**60 + 1], [2**53 + 1, str(2**53), float(2**60), 2**60, float(2**53), "7"],
        [2, 1, 0, NO, 1, NO],
    ),
    "large floats": ([float(2**53), 5.0], [2**53 + 1, "5", 2**54], [1, 0, NO]),
    "long fractions": (["0.123456789", "0.5"], [np.float32(0.123456789), 0.123456789, 0.1234], [0, 0, NO]),
    "nothing": ([None], ["a", None, 1], [NO, GAP, NO]),
    "dates": (["2026-03-01", "x"], [datetime.date(2026, 3, 1), pd.Timestamp("2026-03-01 12:00")], [0, NO]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_value_is_found_by_what_training_has_left(name: str) -> None:
    trained, values, found = CASES[name]
    categories = fit(objects(trained))
    assert codes(objects(values), categories).tolist() == found
    for value, code in zip(values, found, strict=True):
        (word,) = read(objects([value]), categories)
        assert (word is None) == (code == MISSING)
        assert code < 0 or word == categories[code]
        assert code != UNSEEN or word not in categories


SPECIAL = ["1", "1.0", "01", "1.10", "1.1", "True", "", " ", "nan", "-0", "1e5", "\0"]
NUMBERS = st.integers() | st.floats() | st.decimals(allow_nan=False)
VALUES = st.none() | st.booleans() | NUMBERS | st.text() | st.sampled_from(SPECIAL)


@settings(deadline=None, max_examples=100)
@given(st.lists(VALUES, max_size=8))
def test_every_value_of_training_is_known(values: list[Any]) -> None:
    series = objects(values)
    categories = fit(series)
    found = codes(series, categories)
    assert ((found == MISSING) == series.isna().to_numpy()).all()
    assert (found != UNSEEN).all()
    assert set(found[found >= 0].tolist()) == set(range(len(categories)))


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, np.zeros(2), b"x", (1, 2)])
def test_what_is_no_category_is_refused_by_name(value: Any) -> None:
    series = pd.Series([None, value], dtype=object, name="c")
    with pytest.raises(UserError, match=f"new.csv: the column 'c' holds {type(value).__name__} values"):
        codes(series, ("a",), False, "new.csv")
