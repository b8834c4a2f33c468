"""Metrics for K rows at once, against scikit-learn's for each row."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from hpsearch.metrics import METRICS, PROPER

Oracle = Callable[[np.ndarray, np.ndarray], float]


def guess(p_NC: np.ndarray) -> np.ndarray:
    return np.asarray(p_NC.argmax(-1))


def f1(y: np.ndarray, p: np.ndarray) -> float:
    how: dict[str, Any] = {"average": "binary"} if p.shape[1] == 2 else {"average": "macro"}
    return float(sk.f1_score(y, guess(p), zero_division=0, **how))


def auroc(y: np.ndarray, p: np.ndarray) -> float:
    """One class against the rest, over the classes that occur and are not all there is."""
    if p.shape[1] == 2:
        return float(sk.roc_auc_score(y == 1, p[:, 1]))
    return float(np.mean([sk.roc_auc_score(y == c, p[:, c]) for c in np.unique(y)]))


ORACLES: dict[str, Oracle] = {
    "accuracy": lambda y, p: float(sk.accuracy_score(y, guess(p))),
    "balanced_accuracy": lambda y, p: float(sk.recall_score(y, guess(p), average="macro", labels=np.unique(y))),
    "auroc": auroc,
    "log_loss": lambda y, p: float(sk.log_loss(y, p / p.sum(1, keepdims=True), labels=range(p.shape[1]))),
    "f1": f1,
    "rmse": lambda y, v: float(sk.root_mean_squared_error(y, v)),
    "mae": lambda y, v: float(sk.mean_absolute_error(y, v)),
    "r2": lambda y, v: float(sk.r2_score(y, v)),
}


def predictions(rng: np.random.Generator, k: int, n: int, c: int, levels: int) -> np.ndarray:
    """Log-probabilities [K, N, C]; few levels make many ties between examples."""
    weights = rng.integers(1, levels + 1, (k, n, c)) + np.arange(c) * 1e-3  # no tie within an example
    return np.asarray(np.log(weights / weights.sum(-1, keepdims=True)), dtype=np.float32)


def score(name: str, prediction: np.ndarray, y: np.ndarray) -> np.ndarray:
    out = METRICS[name].score(torch.from_numpy(prediction), torch.from_numpy(y))
    assert (out.dtype, out.shape) == (torch.float64, prediction.shape[:1])
    return np.asarray(out)


def test_every_metric_has_an_oracle_and_every_task_its_proper_one() -> None:
    assert ORACLES.keys() == METRICS.keys()
    assert {task: METRICS[name].task for task, name in PROPER.items()} == {task: task for task in PROPER}


@pytest.mark.parametrize("name", [name for name, m in METRICS.items() if m.task == "classification"])
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(5, 40), st.integers(2, 5), st.integers(1, 20))
def test_a_classification_metric_is_scikit_learns(
    name: str, seed: int, k: int, n: int, c: int, levels: int
) -> None:
    """Classes may be absent from the targets and from the guesses."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, rng.integers(1, c + 1), n)
    y[:2] = (0, 1)
    logp = predictions(rng, k, n, c, levels)
    expected = [ORACLES[name](y, np.exp(row, dtype=np.float64)) for row in logp]
    np.testing.assert_allclose(score(name, logp, y), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", [name for name, m in METRICS.items() if m.task == "regression"])
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(2, 40), st.sampled_from([1e-3, 1.0, 1e4]))
def test_a_regression_metric_is_scikit_learns(name: str, seed: int, k: int, n: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    y, value = (rng.normal(1, scale, size).astype(np.float32) for size in [(n,), (k, n)])
    expected = [ORACLES[name](y.astype(np.float64), row.astype(np.float64)) for row in value]
    np.testing.assert_allclose(score(name, value, y), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", METRICS)
@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32))
def test_a_rows_score_does_not_depend_on_its_neighbours(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    if METRICS[name].task == "classification":
        y, prediction = rng.integers(0, 3, 12), predictions(rng, 5, 12, 5, 4)
    else:
        y, prediction = rng.normal(size=12).astype(np.float32), rng.normal(size=(5, 12)).astype(np.float32)
    alone = np.concatenate([score(name, row[None], y) for row in prediction])
    np.testing.assert_array_equal(score(name, prediction, y), alone)


@pytest.mark.parametrize("name", METRICS)
def test_a_perfect_prediction_scores_best(name: str) -> None:
    metric, rng = METRICS[name], np.random.default_rng(0)
    if metric.task == "classification":
        y = np.arange(30) % 3
        prediction = np.concatenate([predictions(rng, 3, 30, 3, 5), np.log(np.eye(3)[y] * 0.97 + 0.01)[None]])
    else:
        y = rng.normal(size=30).astype(np.float32)
        prediction = np.stack([*rng.normal(size=(3, 30)), y])
    assert (score(name, prediction.astype(np.float32), y) * metric.sign).argmax() == 3


def test_guessing_gives_what_the_definitions_say() -> None:
    y = np.array([0, 0, 0, 1])
    even = np.log(np.full((1, 4, 2), 0.5))
    assert [float(score(name, even, y)[0]) for name in ("auroc", "log_loss")] == pytest.approx([0.5, np.log(2)])
    values = np.array([2.0, 4.0, 6.0])
    mean = np.full((1, 3), 4.0)
    got = [float(score(name, mean, values)[0]) for name in ("r2", "mae", "rmse")]
    assert got == pytest.approx([0, 4 / 3, (8 / 3) ** 0.5])


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "log_loss", "f1"])
def test_a_part_with_one_class_alone_still_has_a_score(name: str) -> None:
    y, logp = np.zeros(4, dtype=np.int64), np.log(np.full((2, 4, 2), [0.75, 0.25]))
    np.testing.assert_allclose(score(name, logp, y), ORACLES[name](y, np.exp(logp[0])))


def test_a_part_with_one_class_alone_has_no_auroc() -> None:
    assert np.isnan(score("auroc", np.log(np.full((2, 4, 3), 1 / 3)), np.zeros(4, dtype=np.int64))).all()


def test_targets_that_are_all_the_same_have_scikit_learns_r2() -> None:
    y = np.full(4, 3.0)
    value = np.array([[3.0, 3, 3, 3], [3, 3, 3, 4]])
    np.testing.assert_array_equal(score("r2", value, y), [ORACLES["r2"](y, row) for row in value])


def test_the_rank_of_certain_predictions_is_kept() -> None:
    """Probabilities near 0 differ in the logarithm, and so do they in the area."""
    logp = np.array([[-1e-5, -11.5], [-1e-6, -13.8], [-1e-3, -6.9], [-1e-2, -4.6]], dtype=np.float32)
    assert score("auroc", logp[None], np.array([0, 0, 1, 1]))[0] == 1
