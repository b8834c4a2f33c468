"""Differences of scores and their intervals, against the mean's own standard error."""

import numpy as np
import pytest

from hpsearch.intervals import ahead, ahead_95


@pytest.fixture
def values() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.normal(size=800)
    return y + 0.5 * rng.normal(size=800), y + rng.normal(size=800), y


def test_above_zero_is_better_whichever_way_the_metric_goes(values: tuple[np.ndarray, ...]) -> None:
    good, bad, y = values
    for metric in ("mae", "rmse", "r2"):
        assert ahead(good, bad, y, metric) == -ahead(bad, good, y, metric) > 0


def test_the_interval_of_a_mean_is_the_one_of_its_standard_error(values: tuple[np.ndarray, ...]) -> None:
    good, bad, y = values
    each = np.abs(bad - y) - np.abs(good - y)
    low, high = ahead_95(good, bad, y, "mae")
    half = 1.96 * each.std(ddof=1) / np.sqrt(len(y))
    assert (low, high) == pytest.approx((each.mean() - half, each.mean() + half), abs=half / 6)
    assert ahead_95(good, good, y, "mae") == (0, 0)
    assert ahead_95(good, bad, y, "mae", seed=1) != (low, high)
