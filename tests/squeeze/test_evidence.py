"""The honesty of what is said of an ensemble."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from hpsearch.squeeze.evidence import weigh
from hpsearch.squeeze.library import Library


def logs(logits: np.ndarray) -> np.ndarray:
    return (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float32)


def test_the_naive_gain_is_flattered_where_there_is_nothing_to_gain_and_the_cross_fitted_is_not() -> None:
    """Candidates that guess: any gain in accuracy on the rows that chose is luck."""
    naive, fitted = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y = rng.integers(2, size=150)
        found = Library(logs(rng.normal(size=(20, 150, 2))), y, "classification", "accuracy")
        won = weigh(found, 5, seed)[1].gain
        naive.append(won.naive)
        fitted.append(won.value)
        assert won.low <= won.value <= won.high
    error = np.std(fitted, ddof=1) / np.sqrt(len(fitted))
    assert np.mean(naive) > 0.01
    assert abs(np.mean(fitted)) < 3 * error


@pytest.mark.parametrize(("task", "metric"), [("regression", "rmse"), ("classification", "log_loss")])
def test_a_gain_is_positive_where_averaging_helps_whatever_the_direction(task: str, metric: str) -> None:
    rng = np.random.default_rng(0)
    if task == "regression":
        y: np.ndarray = rng.normal(size=300)
        predictions = y + rng.normal(size=(8, 300))
    else:
        y = rng.integers(5, size=300)
        logits = rng.normal(size=(8, 300, 5))
        logits[:, np.arange(300), y] += 1.5
        predictions = logs(logits)
    shares, evidence = weigh(Library(predictions, y, task, metric), 5, 0)
    assert evidence.gain.low > 0
    assert len(shares) <= 5
    assert sum(shares.values()) == pytest.approx(1)
    scores = [point["fitted"] for point in evidence.curve]
    assert [point["size"] for point in evidence.curve] == [1, 2, 3, 4, 5]
    assert scores[-1] < scores[0]
    assert scores[-1] == evidence.fitted["ensemble"][metric]


def test_the_temperature_mends_nets_that_are_too_sure() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(3, size=600)
    logits = np.repeat(rng.normal(size=(1, 600, 3)), 4, axis=0) + 0.1 * rng.normal(size=(4, 600, 3))
    logits[:, np.arange(600), y] += 0.5
    _, evidence = weigh(Library(logs(4 * logits), y, "classification", "accuracy"), 3, 0)
    assert evidence.temperature > 1.5
    assert evidence.fitted["ensemble, calibrated"]["log_loss"] < evidence.fitted["ensemble"]["log_loss"]
    assert evidence.fitted["ensemble, calibrated"]["accuracy"] == evidence.fitted["ensemble"]["accuracy"]


def test_values_have_no_temperature() -> None:
    y = np.random.default_rng(2).normal(size=50)
    _, evidence = weigh(Library(np.stack([y, y + 1]), y, "regression", "rmse"), 2, 0)
    assert evidence.temperature == 1
    assert set(evidence.fitted) == {"single", "top", "ensemble"}


def test_the_single_is_chosen_anew_on_each_four_fifths() -> None:
    """With one candidate there is no choice: what is cross-fitted is what is scored on all."""
    rng = np.random.default_rng(3)
    y = rng.integers(2, size=80)
    logp = logs(rng.normal(size=(1, 80, 2)))
    _, evidence = weigh(Library(logp, y, "classification", "log_loss"), 5, 0)
    wanted = log_loss(y, np.exp(logp[0].astype(np.float64)), labels=[0, 1])
    assert evidence.fitted["single"]["log_loss"] == pytest.approx(wanted, rel=1e-5)
    assert evidence.gain.value == evidence.gain.naive == 0


def test_rows_of_one_group_choose_or_score_together() -> None:
    """Candidates that guess, and say the same of all rows of a group: row by row, luck would pass for a gain."""
    by_row, by_group = [], []
    for seed in range(100, 115):
        rng = np.random.default_rng(seed)
        group = np.repeat(np.arange(60), 8)
        y = rng.integers(2, size=60)[group]
        found = Library(logs(rng.normal(size=(15, 60, 2))[:, group]), y, "classification", "accuracy")
        by_row.append(weigh(found, 5, seed)[1].gain)
        by_group.append(weigh(found, 5, seed, group)[1].gain)
    values = [gain.value for gain in by_group]
    assert np.mean([gain.value for gain in by_row]) > 0.01
    assert abs(np.mean(values)) < 3 * np.std(values, ddof=1) / np.sqrt(len(values))
    assert sum(gain.low <= 0 <= gain.high for gain in by_group) > sum(
        gain.low <= 0 <= gain.high for gain in by_row
    )


@pytest.mark.parametrize(("count", "block"), [(1, None), (40, np.zeros(40, dtype=int))])
def test_where_nothing_can_be_held_out_the_gain_is_unknown(count: int, block: np.ndarray | None) -> None:
    rng = np.random.default_rng(0)
    found = Library(
        logs(rng.normal(size=(4, count, 2))), rng.integers(2, size=count), "classification", "accuracy"
    )
    shares, evidence = weigh(found, 3, 0, block)
    assert sum(shares.values()) == pytest.approx(1)
    assert np.isnan([evidence.gain.value, evidence.gain.low, evidence.gain.high]).all()
    assert np.isfinite(evidence.gain.naive)
