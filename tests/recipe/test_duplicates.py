"""Duplicates, against a plain loop over pairs of rows."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch.data.dataset import Target
from hpsearch.recipe.duplicates import conflicts, duplicates, extra, leakage, near, twins_of_tree
from hpsearch.recipe.verdict import Finding, percent
from hpsearch.recipe.view import Copies, Feature, View, hashes


def view_of(inputs: np.ndarray, y: np.ndarray, part: np.ndarray) -> View:
    names = ("train", "validation", "test")
    features = tuple(Feature(f"x{i}", column.astype(np.float64), True) for i, column in enumerate(inputs.T))
    rows = 10 * np.arange(len(y))  # a row's number in the source is not its place
    parts = {name: np.flatnonzero(part == i) for i, name in enumerate(names)}
    copies = Copies(hashes(inputs), rows, y, parts)
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


def test_twins_of_a_tree_are_counted_as_a_sum_over_all_rows_counts_them() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(3, size=400)
    b, c = ((a + (rng.random(400) < 0.2)) % 3 for _ in range(2))
    d = (c + (rng.random(400) < 0.3)) % 2
    joint = {name: np.zeros((3, 3)) for name in ("ab", "ac", "cd")}
    for name, pair in (("ab", (a, b)), ("ac", (a, c)), ("cd", (c, d))):
        np.add.at(joint[name], pair, 1 / 400)
    of_a, of_c = joint["ab"].sum(1), joint["cd"].sum(1)
    by_hand = sum(
        (of_a[i] * joint["ab"][i, j] / of_a[i] * joint["ac"][i, k] / of_a[i] * joint["cd"][k, m] / of_c[k]) ** 2
        for i, j, k, m in product(range(3), range(3), range(3), range(2))
    )
    assert twins_of_tree([a, b, c, d]) == pytest.approx(by_hand)
    assert twins_of_tree([a, a, a]) == pytest.approx(float(np.square(np.bincount(a) / 400).sum()))


def test_answers_that_hang_together_are_no_copies() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(5, size=900)
    answers = [first]
    for _ in range(11):  # each answer is mostly the one before it
        answers.append(np.where(rng.random(900) < 0.12, rng.integers(5, size=900), answers[-1]))
    inputs, part = np.stack(answers, axis=1), np.repeat([0, 1, 2], [500, 200, 200])
    found = leakage(view_of(inputs, np.zeros(900, dtype=int), part))
    assert found.verdict == "warn", found.measured
    assert int(found.measured.split()[0]) > 10


def test_large_images_are_compared_as_means_of_blocks() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(5, 3, 96, 64), dtype=np.uint8)
    view = View("images", (), np.zeros(5, int), Target("classification", ("a",)), np.arange(5), {},
                Copies(hashes(images), np.arange(5), np.zeros(5, int), {}), images)  # fmt: skip
    blocks = images.reshape(5, 3, 32, 3, 32, 2).mean((3, 5))
    np.testing.assert_allclose(view.flat(np.arange(5)), blocks.reshape(5, -1), rtol=1e-5)
    assert len(set(hashes(images).tolist())) == 5
    np.testing.assert_array_equal(hashes(np.array([[0.0], [-0.0]])), hashes(np.zeros((2, 1))))


def test_numbers_that_are_all_missing_have_no_distance() -> None:
    found = near(view_of(np.full((60, 2), np.nan), np.zeros(60, dtype=int), np.repeat([0, 1, 2], 20)))
    assert found.verdict == "skip"


def beside_words(copies: int) -> Finding:
    """D2.near of a number beside ten words of two values, and of some rows measured again."""
    rng = np.random.default_rng(0)
    words, number = rng.integers(2, size=(1000, 10)), rng.normal(size=1000)
    words = np.concatenate([words, words[:copies]])
    number = np.append(number, number[:copies] + 0.01 * rng.normal(size=copies))
    rows = len(number)
    view = view_of(np.column_stack([words, number]), np.zeros(rows, dtype=int), rng.permutation(rows) % 3)
    text = tuple(Feature(f"w{i}", np.array(["no", "yes"], dtype=object)[words[:, i]], False) for i in range(10))
    return near(replace(view, features=(*text, view.features[-1])))


def test_few_numbers_beside_words_have_near_rows_by_chance() -> None:
    assert beside_words(copies=0).verdict == "pass"
    assert beside_words(copies=200).verdict == "warn"


def test_extra_data_with_the_rows_of_a_small_part_are_a_failure() -> None:
    rng = np.random.default_rng(0)
    part = np.repeat([0, 1, 2], [100, 20_000, 150])
    view = view_of(rng.normal(size=(len(part), 2)), np.zeros(len(part), dtype=int), part)
    assert extra(replace(view, in_extra=view.rows[part == 2])).verdict == "fail"
    assert extra(replace(view, in_extra=view.rows[part == 2][:1])).verdict == "warn"
    assert extra(replace(view, in_extra=view.rows[:0])).verdict == "pass"
