"""Greedy ensembles against a plain loop with scikit-learn's metrics, and the honesty of the gain."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, root_mean_squared_error

from hpsearch.squeeze.ensemble import combine, gain, greedy, weights_of

RNG = np.random.default_rng(0)


def library(members: int, examples: int, classes: int, skill: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities [M, N, C] of candidates that know a little, and the truth."""
    y = RNG.integers(classes, size=examples)
    logits = RNG.normal(size=(members, examples, classes))
    logits[:, np.arange(examples), y] += skill
    logp = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return logp.astype(np.float32), y


def plain_greedy(logp: np.ndarray, y: np.ndarray, metric: str, size: int) -> list[int]:
    """Caruana et al. 2004 with replacement, one candidate after another."""
    picks: list[int] = []
    for _ in range(size):
        best, best_score = -1, (-np.inf, -np.inf)
        for m in range(len(logp)):
            mean = np.exp(logp[[*picks, m]].astype(np.float64)).mean(0)
            loss = -log_loss(y, mean / mean.sum(-1, keepdims=True), labels=range(logp.shape[-1]))
            score = (accuracy_score(y, mean.argmax(-1)) if metric == "accuracy" else loss, loss)
            if score[0] > best_score[0] + 1e-12 or (
                abs(score[0] - best_score[0]) <= 1e-12 and score[1] > best_score[1] + 1e-9
            ):
                best, best_score = m, score
        picks.append(best)
    return picks


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_greedy_picks_what_a_plain_loop_picks(metric: str) -> None:
    logp, y = library(members=8, examples=120, classes=4, skill=1.0)
    assert greedy(logp, y, "classification", metric, 5) == plain_greedy(logp, y, metric, 5)


def test_the_first_pick_is_the_best_alone() -> None:
    logp, y = library(members=6, examples=200, classes=3, skill=1.0)
    losses = [log_loss(y, np.exp(p), labels=range(3)) for p in logp.astype(np.float64)]
    assert greedy(logp, y, "classification", "log_loss", 1) == [int(np.argmin(losses))]


def test_values_are_averaged_by_weight() -> None:
    a, b = RNG.normal(size=10), RNG.normal(size=10)
    np.testing.assert_allclose(combine([a, b], [3, 1], "regression"), 0.75 * a + 0.25 * b)


def test_probabilities_are_averaged_by_weight() -> None:
    logp, _ = library(members=2, examples=10, classes=3, skill=0.0)
    wanted = 0.2 * np.exp(logp[0].astype(np.float64)) + 0.8 * np.exp(logp[1].astype(np.float64))
    np.testing.assert_allclose(np.exp(combine(list(logp), [1, 4], "classification")), wanted, rtol=1e-5)


def test_a_greedy_regression_is_at_least_as_good_as_its_best_member() -> None:
    y = RNG.normal(size=100)
    values = y + RNG.normal(size=(6, 100))
    shares = weights_of(greedy(values, y, "regression", "rmse", 5))
    team = combine([values[m] for m in shares], list(shares.values()), "regression")
    assert root_mean_squared_error(y, team) <= min(root_mean_squared_error(y, v) for v in values)


def test_weights_count_the_picks() -> None:
    assert weights_of([3, 1, 3, 3]) == {3: 0.75, 1: 0.25}


def test_the_naive_gain_is_flattered_where_there_is_nothing_to_gain_and_the_cross_fitted_is_not() -> None:
    """Candidates that guess: any gain in accuracy on the rows that chose is luck."""
    naive, fitted = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y = rng.integers(2, size=150)
        logits = rng.normal(size=(20, 150, 2))
        logp = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        won = gain(logp.astype(np.float32), y, "classification", "accuracy", 5, seed)
        naive.append(won.naive)
        fitted.append(won.value)
        assert won.low <= won.value <= won.high
    error = np.std(fitted, ddof=1) / np.sqrt(len(fitted))
    assert np.mean(naive) > 0.02
    assert abs(np.mean(fitted)) < 3 * error


def test_a_gain_is_positive_where_averaging_helps_whatever_the_direction() -> None:
    y = RNG.normal(size=300)
    values = y + RNG.normal(size=(8, 300))
    won = gain(values, y, "regression", "rmse", 5, 0)
    assert won.low > 0
    logp, truth = library(members=8, examples=300, classes=5, skill=1.5)
    assert gain(logp, truth, "classification", "log_loss", 5, 0).low > 0
