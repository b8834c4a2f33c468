"""The law of the learning curve, on curves whose law is known."""

import numpy as np
import pytest

from hpsearch.recipe.more_data import doubled, law, promised

SIZES = np.array([100, 200, 400, 800])


@pytest.mark.parametrize(("a", "b", "c"), [(0.1, 0.5, 0.5), (0.0, 1.0, 0.3), (2.0, 3.0, 1.0)])
def test_a_power_law_is_found_again(a: float, b: float, c: float) -> None:
    curve = a + b * (SIZES / 100) ** -c
    assert law(SIZES, curve, 1600) == pytest.approx(a + b * 16**-c, abs=0.01 * b)


def test_the_interval_holds_the_truth_of_noisy_seeds() -> None:
    rng, held = np.random.default_rng(0), 0
    for _ in range(20):
        truth = 0.2 + 0.6 * (SIZES / 100.0) ** -0.5
        scores = truth[:, None] + 0.01 * rng.normal(size=(4, 6))
        _, low, middle, high = doubled(SIZES, scores, 1600)
        assert low <= middle <= high
        held += low <= 0.2 + 0.6 / 4 <= high
    assert held >= 14  # resampled seeds of few are a little too sure of themselves


def test_a_curve_that_does_not_fall_promises_nothing() -> None:
    assert law(SIZES, np.array([0.5, 0.5, 0.5, 0.5]), 1600) == pytest.approx(0.5, abs=0.01)


def test_nothing_is_promised_where_scores_do_not_fall() -> None:
    falling = np.array([[0.9, 0.91], [0.7, 0.71], [0.55, 0.56], [0.45, 0.46]])
    assert promised(SIZES, falling, 1600).startswith("1600 rows would give 0.3")
    down_and_up = np.array([[0.5, 0.5], [0.3, 0.3], [0.2, 0.2], [0.45, 0.45]])
    for scores in (falling[::-1], down_and_up):
        assert promised(SIZES, scores, 1600).startswith("no clear trend"), scores
