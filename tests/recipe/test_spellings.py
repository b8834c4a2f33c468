"""Categories of a column that differ only by how they are written."""

from dataclasses import replace

import numpy as np
from test_duplicates import view_of

from hpsearch.recipe.spellings import spellings
from hpsearch.recipe.verdict import Finding
from hpsearch.recipe.view import Feature


def found(words: list[str | None]) -> Finding:
    rows = len(words)
    view = view_of(np.zeros((rows, 1)), np.zeros(rows, dtype=int), np.arange(rows) % 3)
    return spellings(replace(view, features=(*view.features, Feature("plan", np.array(words, object), False))))


def test_two_spellings_of_a_category_are_warned_of() -> None:
    finding = found(["gold", "Gold", "silver", None] * 10 + ["gold"])
    assert finding.verdict == "warn"
    assert "plan: 'gold' (11 rows) and 'Gold' (10 rows) differ only by case" in finding.measured
    assert "007" in found(["007", "7", "8"] * 10).measured


def test_categories_of_their_own_pass() -> None:
    assert found(["gold", "silver", None] * 10).verdict == "pass"
    assert found([f"{i}{letter}" for i in range(9) for letter in "aA"]).verdict == "pass"  # names of rows


def test_numbers_have_no_spellings() -> None:
    view = view_of(np.zeros((9, 1)), np.zeros(9, dtype=int), np.arange(9) % 3)
    assert spellings(view).verdict == "skip"
