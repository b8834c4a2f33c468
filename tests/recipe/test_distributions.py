"""How data are distributed, on tables made for one thing each, and against plain loops."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from test_duplicates import view_of

from hpsearch.recipe.distributions import classes, drift, formats, identifiers, normalised, outliers
from hpsearch.recipe.leakage import leakage
from hpsearch.recipe.verdict import Finding
from hpsearch.recipe.view import View


def of_values(inputs: np.ndarray, y: np.ndarray, part: np.ndarray) -> View:
    view = view_of(inputs, y, part)
    return replace(view, target=replace(view.target, task="regression", classes=()))


def parts(rows: int) -> np.ndarray:
    """Three fifths training, a fifth validation, a fifth test."""
    return np.array([0, 0, 0, 1, 2])[np.arange(rows) % 5]


def far_rows(values: np.ndarray, train: set[int]) -> set[int]:
    """Rows more than 20 standard deviations from the mean of the other training rows."""
    found = set()
    for i, value in enumerate(values):
        others = values[[j for j in sorted(train - {i}) if not np.isnan(values[j])]]
        if abs(value - others.mean()) > 20 * others.std() > 0:
            found.add(i)
    return found


@pytest.mark.parametrize("size", [30.0, 500.0, 1e10, -3.4e38])
def test_every_outlier_is_found_and_no_other(size: float) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=600)
    values[rng.integers(600, size=3)] = np.nan
    values[[7, 203]] = size, -size
    part = np.where(np.arange(600) < 500, 0, 1 + np.arange(600) % 2)
    found = outliers(view_of(values[:, None], np.zeros(600, dtype=int), part))
    assert set(found.rows) == {10 * i for i in far_rows(values, set(range(500)))}


def test_one_value_far_from_all_others_is_found_whatever_its_size() -> None:
    values = np.random.default_rng(1).normal(5, 0.1, size=600)
    values[44] = -3.4e38  # what maps and sensors write where they have nothing
    found = outliers(view_of(values[:, None], np.zeros(600, dtype=int), parts(600)))
    assert (found.verdict, found.rows) == ("warn", (440,))


def test_one_number_that_was_scaled_before_the_split_is_found() -> None:
    x = np.random.default_rng(0).normal(size=(200, 1))
    scaled = (x - x.mean()) / x.std()
    assert normalised(view_of(scaled, np.zeros(200, dtype=int), parts(200))).verdict == "warn"
    assert normalised(view_of(x, np.zeros(200, dtype=int), parts(200))).verdict == "pass"


def by_group(rng: np.random.Generator, share_of_ones: Callable[[int], float]) -> Finding:
    """Drift among 200 groups of 5 rows with one answer each, of which 40 are validation and 40 test."""
    unit, of_group = np.repeat(np.arange(200), 5), np.repeat([0, 1, 2], [120, 40, 40])
    answers = rng.random(200) < [share_of_ones(part) for part in of_group]
    view = view_of(rng.normal(size=(1000, 1)), answers.astype(int)[unit], of_group[unit])
    return drift(replace(view, unit=unit))


def test_classes_that_differ_between_parts_are_found_by_group() -> None:
    found = by_group(np.random.default_rng(0), lambda part: 0.5 if part == 0 else 0.0)
    assert found.verdict == "fail"
    assert "the target in validation" in found.measured


def test_groups_of_one_kind_do_not_drift() -> None:
    found = [by_group(np.random.default_rng(seed), lambda part: 0.5).verdict for seed in range(20)]
    assert found == ["pass"] * 20


def test_a_target_in_other_units_is_found_whatever_its_skew() -> None:
    rng = np.random.default_rng(0)
    y = np.exp(2 * rng.normal(size=1000))
    assert leakage(of_values(np.stack([rng.normal(size=1000), 2.54 * y], 1), y, parts(1000))).verdict == "fail"
    assert leakage(of_values(rng.normal(size=(1000, 2)), y, parts(1000))).verdict == "pass"


def test_a_class_by_number_is_found_where_there_are_many() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(300), 15)
    view = view_of(np.stack([rng.normal(size=len(y)), y * 7.0], 1), y, np.tile(parts(15), 300))
    view = replace(view, target=replace(view.target, classes=tuple(map(str, range(300)))))
    assert leakage(view).verdict == "fail"


def test_a_few_rows_that_an_honest_feature_tells_apart_are_no_failure() -> None:
    y = np.arange(40) % 2
    view = view_of(y[:, None] + 0.1 * np.random.default_rng(0).normal(size=(40, 1)), y, parts(40))
    assert leakage(view).verdict == "warn"


def test_of_very_many_numbers_the_one_that_leaks_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpsearch.recipe.leakage._COLUMNS", 10)
    rng = np.random.default_rng(0)
    y = rng.normal(size=100)
    x = rng.normal(size=(100, 60))
    x[:, 47] = np.exp(y)
    assert "x47" in leakage(of_values(x, y, parts(100))).measured


def of_classes(counts: dict[str, int]) -> View:
    y = np.repeat(np.arange(len(counts)), list(counts.values()))
    view = view_of(np.arange(len(y))[:, None], y, parts(len(y)))
    return replace(view, target=replace(view.target, classes=tuple(counts)))


@pytest.mark.parametrize(
    ("counts", "named"),
    [
        ({"no": 50, "yes": 60, "Yes": 20}, "'yes' (60 rows) and 'Yes' (20 rows) differ only by case"),
        ({"01": 50, "1": 60}, "'1' (60 rows) and '01' (50 rows) are the same number"),
        ({"-1": 10, "0": 60, "1": 60, "2": 60, "3": 60, "4": 60}, "'-1' (10 rows) lies outside the others"),
        ({"?": 30, "a": 60}, "'?' (30 rows) reads like a missing label"),
    ],
)
def test_a_strange_class_is_warned_of(counts: dict[str, int], named: str) -> None:
    found = classes(of_classes(counts))
    assert found.verdict == "warn"
    assert named in found.measured
    assert "the source" in found.advice


def test_plain_classes_are_no_strangers() -> None:
    for counts in ({"no": 50, "yes": 60}, {"0": 50, "1": 60, "2": 70}, {"-1": 40, "0": 60, "1": 60}):
        assert classes(of_classes(counts)).verdict == "pass"


def test_columns_of_ambiguous_format_are_a_warning() -> None:
    view = view_of(np.zeros((9, 1)), np.zeros(9, dtype=int), parts(9))
    assert formats(view).verdict == "pass"
    found = formats(replace(view, doubts=("a: '1,234' is read as …; data.formats: {a: thousands_comma}",)))
    assert (found.verdict, "data.formats" in found.measured) == ("warn", True)


def test_a_date_in_the_order_of_rows_is_no_identifier() -> None:
    view = view_of(np.arange(60)[:, None] * 86400.0, np.zeros(60, dtype=int), parts(60))
    assert identifiers(view).verdict == "warn"
    dates = tuple(replace(feature, is_date=True) for feature in view.features)
    assert identifiers(replace(view, features=dates)).verdict == "pass"
