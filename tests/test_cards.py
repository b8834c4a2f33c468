"""docs/tricks.md is what the code says, and whole."""

import ast
from pathlib import Path

import pytest

from hpsearch.cards import CARDS, RECIPE, page
from hpsearch.knobs import KNOBS

ROOT = Path(__file__).parents[1]


def test_every_parameter_has_a_card() -> None:
    assert CARDS.keys() == {name for name, knob in KNOBS.items() if not knob.internal}
    for cards in CARDS.values():
        assert cards
        assert all(isinstance(card, str) or (card.__doc__ or "").strip() for card in cards)


def test_the_page_is_the_codes() -> None:
    written = (ROOT / "docs" / "tricks.md").read_text(encoding="utf-8")
    assert written == page(), "write it anew: python -m hpsearch.cards > docs/tricks.md"


def test_every_row_of_the_recipe_is_there() -> None:
    assert list(RECIPE) == [*(f"G{number}" for number in range(1, 14)), *(f"T{number}" for number in range(1, 10))]


DIMENSIONS = {id_: row for id_, row in RECIPE.items() if row.parameters}


@pytest.mark.parametrize("row", DIMENSIONS.values(), ids=DIMENSIONS)
def test_a_row_names_parameters_and_a_test_that_are_there(row) -> None:
    assert set(row.parameters) <= KNOBS.keys()
    path, _, name = row.test.partition("::")
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
