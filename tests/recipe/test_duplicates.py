"""Duplicates, against a plain loop over pairs of rows."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch.data.dataset import Target
from hpsearch.recipe.duplicates import conflicts, duplicates, leakage, near
from hpsearch.recipe.verdict import percent
from hpsearch.recipe.view import Copies, Feature, View, equal_rows


def view_of(inputs: np.ndarray, y: np.ndarray, part: np.ndarray) -> View:
    names = ("train", "validation", "test")
    features = tuple(Feature(f"x{i}", column.astype(np.float64), True) for i, column in enumerate(inputs.T))
    rows = 10 * np.arange(len(y))  # a row's number in the source is not its place
    parts = {name: np.flatnonzero(part == i) for i, name in enumerate(names)}
    copies = Copies(equal_rows(inputs), rows, y, parts)
    return View("tables", features, y, Target("classification", ("a", "b", "c")), rows, parts, copies)


@st.composite
def tables(draw: st.DrawFn) -> View:
    count = draw(st.integers(6, 30))
    inputs = np.array(
        draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=count, max_size=count))
    )
    y = np.array(draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    part = np.array([0, 1, 2, *draw(st.lists(st.integers(0, 2), min_size=count - 3, max_size=count - 3))])
    return view_of(inputs, y, part)


@given(tables())
@settings(max_examples=60, deadline=None)
def test_every_duplicate_is_found_and_no_other(view: View) -> None:
    equal = {
        frozenset(pair)
        for pair in combinations(range(len(view.y)), 2)
        if all(f.values[pair[0]] == f.values[pair[1]] for f in view.features)
    }
    group = view.copies.group
    assert equal == {frozenset(p) for p in combinations(range(len(view.y)), 2) if group[p[0]] == group[p[1]]}
    train = set(view.part["train"].tolist())
    seen = {i for pair in equal for i in pair if i not in train and (pair - {i}) & train}
    assert set(leakage(view).rows) == {10 * i for i in seen}
    again = {max(pair) for pair in equal if pair <= train}
    found = duplicates(view)
    assert found.measured.startswith(f"{len(again)} of {len(train)} training rows")
    torn = {i for pair in equal for i in pair if len(set(view.y[list(pair)])) > 1}
    whole = {i for i in range(len(view.y)) if any(group[i] == group[j] for j in torn)}
    assert set(conflicts(view).rows) == {10 * i for i in whole}


def test_the_ceiling_is_the_best_that_any_answer_by_group_can_have() -> None:
    inputs = np.array([[0], [0], [0], [1], [1], [2]])
    y = np.array([0, 0, 1, 1, 2, 0])
    found = conflicts(view_of(inputs, y, np.array([0, 0, 0, 1, 2, 0])))
    best = sum(np.bincount(y[inputs[:, 0] == value]).max() for value in range(3)) / len(y)
    assert f"an accuracy of {percent(best)}" in found.measured


def test_rows_moved_a_little_are_near_and_an_equal_one_is_not() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(300, 3))
    inputs[200:215] = inputs[:15] + 1e-3
    inputs[215] = inputs[15]
    part = np.repeat([0, 1, 2], 100)
    found = near(view_of(inputs, np.zeros(300, dtype=int), part))
    assert found.verdict == "warn"
    assert set(found.rows) >= {10 * i for i in range(200, 215)}
    assert 2150 not in found.rows


@pytest.mark.parametrize("kind", ["words", "missing"])
def test_words_and_missing_values_are_equal_to_themselves(kind: str) -> None:
    values = (
        np.array(["p", None, "p", None], dtype=object) if kind == "words" else np.array([1, np.nan, 1, np.nan])
    )
    codes = Feature("f", values, kind != "words").codes
    assert codes[0] == codes[2] != codes[1] == codes[3] == -1
    assert pd.Series(codes).nunique() == 2


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_independent_rows_are_near_no_more_often_than_chance_has_it(dimensions: int) -> None:
    part = np.repeat([0, 1, 2], [300, 150, 150])
    found = [
        near(view_of(np.random.default_rng(seed).normal(size=(600, dimensions)), np.zeros(600, dtype=int), part))
        for seed in range(20)
    ]
    assert sum(finding.verdict == "warn" for finding in found) <= 1


def test_in_a_table_of_few_answers_equal_rows_are_natural() -> None:
    rng = np.random.default_rng(0)
    inputs, part = rng.integers(2, size=(300, 4)), np.repeat([0, 1, 2], 100)
    y = (rng.random(300) < 0.3 + 0.1 * inputs.sum(1)).astype(int)
    found = leakage(view_of(inputs, y, part)), conflicts(view_of(inputs, y, part))
    assert [finding.verdict for finding in found] == ["warn", "warn"]
    inputs = rng.integers(1000, size=(300, 4))
    inputs[100:120] = inputs[:20]
    assert leakage(view_of(inputs, y, part)).verdict == "fail"
