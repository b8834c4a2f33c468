"""Confident learning, against the definition written out."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch.recipe.labels import suspects


@given(st.integers(0, 10_000), st.integers(2, 4))
@settings(max_examples=40, deadline=None)
def test_suspects_are_those_of_the_definition(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), rng.integers(classes, size=40)])
    p = rng.dirichlet(np.full(classes, 0.3), size=len(y))
    usual = [np.mean([p[i, c] for i in range(len(y)) if y[i] == c]) for c in range(classes)]
    expected = []
    for i in range(len(y)):
        confident = [c for c in range(classes) if p[i, c] >= usual[c]]
        if confident and max(confident, key=lambda c: p[i, c]) != y[i] and p[i, y[i]] < 0.1:
            expected.append(i)
    assert suspects(p, y).tolist() == expected


def test_a_sure_and_wrong_label_is_suspect_and_an_unsure_one_is_not() -> None:
    p = np.array([[0.9, 0.1], [0.95, 0.05], [0.1, 0.9], [0.2, 0.8], [0.99, 0.01], [0.6, 0.4]])
    y = np.array([0, 0, 1, 1, 1, 1])
    assert suspects(p, y).tolist() == [4]
