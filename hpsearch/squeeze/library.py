"""What candidates predict of the same examples, and what shares of them predict together.

Shapes: M candidates, N examples, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from hpsearch.intervals import scores
from hpsearch.metrics import METRICS, PROPER

Shares = Mapping[int, float]  # members by their places in a library, summing to one

_LEAST = 1e-38  # of a probability; its logarithm is finite in float32


@dataclass(frozen=True)
class Library:
    """`predictions`: log-probabilities [M, N, C], or values [M, N] in the target's units; `y`: the truth [N]."""

    predictions: np.ndarray
    y: np.ndarray
    task: str
    metric: str

    def __len__(self) -> int:
        return len(self.predictions)

    def on(self, rows: np.ndarray) -> "Library":
        """The same candidates on some of the examples."""
        return replace(self, predictions=self.predictions[:, rows], y=self.y[rows])

    def together(self, shares: Shares) -> np.ndarray:
        """What these members predict together, [N, C] or [N]."""
        return combine([self.predictions[m] for m in shares], list(shares.values()), self.task)

    @cached_property
    def means(self) -> Tensor:
        """What is averaged, in double: probabilities, or values."""
        values = torch.from_numpy(self.predictions.astype(np.float64))
        return values.exp() if self.task == "classification" else values

    def ranks(self, means: Tensor) -> list[tuple[float, float]]:
        """How good averages of candidates are, [K, N, C] or [K, N]: more is better, ties by log loss or rmse."""
        predicted = means.clamp(min=_LEAST).log() if self.task == "classification" else means
        truth = torch.from_numpy(np.array(self.y))
        columns = [
            (METRICS[name].sign * scores(predicted, truth, name)).nan_to_num(-np.inf).tolist()
            for name in (self.metric, PROPER[self.task])
        ]
        return list(zip(*columns, strict=True))

    @cached_property
    def best_first(self) -> list[int]:
        """The candidates' places, best first on these examples."""
        ranks = self.ranks(self.means)
        return sorted(range(len(self)), key=lambda m: (*ranks[m], -m), reverse=True)


def combine(predictions: Sequence[np.ndarray], weights: Sequence[float], task: str) -> np.ndarray:
    """The weighted mean of probabilities, as log-probabilities [N, C] float32, or of values [N]."""
    shares = np.asarray(weights, dtype=np.float64) / np.sum(weights)
    mean = np.zeros(predictions[0].shape)
    for share, prediction in zip(shares, predictions, strict=True):  # one at a time: there may be many, and large
        values = prediction.astype(np.float64)
        mean += share * (values if task == "regression" else np.exp(values))
    return mean if task == "regression" else np.log(np.maximum(mean, _LEAST)).astype(np.float32)
