"""Greedy ensembles: the members whose averaged prediction scores best on the validation part.

Caruana et al. 2004, "Ensemble Selection from Libraries of Models": forward selection with replacement. Classes
are combined by the mean of probabilities, values by their mean.

Shapes: M candidates, N examples, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hpsearch.intervals import ahead, ahead_95, scores
from hpsearch.metrics import METRICS, PROPER

_FOLDS = 5


@dataclass(frozen=True)
class Gain:
    """How much better than the best single trial, in the study's metric (above zero is better).

    `value` is cross-fitted: on each fifth of the validation part, the ensemble and the single that were both
    chosen on the other four fifths are scored. `low` and `high` hold 95 % of its paired bootstrap over examples.
    `naive` is the same difference scored on the very rows that chose. What stays shared is the choice of each
    trial's best epoch.
    """

    value: float
    low: float
    high: float
    naive: float


def combine(predictions: Sequence[np.ndarray], weights: Sequence[float], task: str) -> np.ndarray:
    """The weighted mean of probabilities, as log-probabilities [N, C] float32, or of values [N]."""
    share = np.asarray(weights, dtype=np.float64) / np.sum(weights)
    if task == "regression":
        return np.asarray(np.tensordot(share, np.stack(predictions), 1))
    mean = np.tensordot(share, np.exp(np.stack(predictions).astype(np.float64)), 1)
    return np.log(np.maximum(mean, 1e-38)).astype(np.float32)


def greedy(predictions_MN: np.ndarray, y_N: np.ndarray, task: str, metric: str, size: int) -> list[int]:
    """`size` picks of candidates, with replacement: each the one that makes the running mean score best.

    Candidates come best first, and the first pick is the best alone. Ties go by log loss or rmse, then by
    order. A pick may repeat: counts are weights.
    """
    values = torch.from_numpy(predictions_MN.astype(np.float64))
    if task == "classification":
        values = values.exp()
    truth = torch.from_numpy(np.array(y_N))
    total = torch.zeros_like(values[0])
    picks: list[int] = []
    for count in range(1, size + 1):
        mean = (values + total) / count
        scores = _ranks(mean if task == "regression" else mean.clamp(min=1e-38).log(), truth, task, metric)
        picks.append(max(range(len(scores)), key=lambda m: (*scores[m], -m)))
        total = total + values[picks[-1]]
    return picks


def _ranks(predictions: torch.Tensor, truth: torch.Tensor, task: str, metric: str) -> list[tuple[float, float]]:
    names = (metric, PROPER[task])
    columns = [
        (METRICS[name].sign * scores(predictions, truth, name)).nan_to_num(-np.inf).tolist() for name in names
    ]
    return list(zip(*columns, strict=True))


def weights_of(picks: Sequence[int]) -> dict[int, float]:
    """Members in the order of their first pick, with their shares."""
    return {member: picks.count(member) / len(picks) for member in dict.fromkeys(picks)}


def gain(predictions_MN: np.ndarray, y_N: np.ndarray, task: str, metric: str, size: int, seed: int) -> Gain:
    """The ensemble's gain over the best single, cross-fitted, with its interval (see Gain)."""
    order = np.random.default_rng(seed).permutation(len(y_N))
    single, team = np.empty_like(predictions_MN[0]), np.empty_like(predictions_MN[0])
    for held_out in np.array_split(order, _FOLDS):
        rest = np.setdiff1d(order, held_out)
        picks = greedy(predictions_MN[:, rest], y_N[rest], task, metric, size)
        single[held_out] = predictions_MN[greedy(predictions_MN[:, rest], y_N[rest], task, metric, 1)[0]][held_out]
        shares = weights_of(picks)
        team[held_out] = combine([predictions_MN[m][held_out] for m in shares], list(shares.values()), task)
    picks = greedy(predictions_MN, y_N, task, metric, size)
    shares = weights_of(picks)
    whole = combine([predictions_MN[m] for m in shares], list(shares.values()), task)
    low, high = ahead_95(team, single, y_N, metric, seed)
    naive = ahead(whole, predictions_MN[picks[0]], y_N, metric)
    return Gain(ahead(team, single, y_N, metric), low, high, naive)
