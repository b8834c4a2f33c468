"""Metrics of whole parts of the data, for K rows at once.

Each takes predictions and targets and gives float64 [K]. For classification a prediction is log-probabilities
[K, N, C] and a target the class index [N]; for regression both are values, [K, N] and [N], in the target's own
units. Definitions are scikit-learn's.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hpsearch.code import at_hand, find, is_code


def accuracy(logp_KNC: Tensor, target_N: Tensor) -> Tensor:
    """The share of examples whose most probable class is right."""
    return (logp_KNC.argmax(-1) == target_N).double().mean(-1)


def balanced_accuracy(logp_KNC: Tensor, target_N: Tensor) -> Tensor:
    """The mean of the classes' recalls, over the classes that occur in the targets."""
    hit_KN = (logp_KNC.argmax(-1) == target_N).double()
    recalls = [hit_KN[:, target_N == c].mean(-1) for c in target_N.unique()]
    return torch.stack(recalls).mean(0)


def log_loss(logp_KNC: Tensor, target_N: Tensor) -> Tensor:
    """The mean negative log-probability of the right class, in nats."""
    index = target_N.expand(logp_KNC.shape[:-1]).unsqueeze(-1)
    return -logp_KNC.gather(-1, index).double().mean((-2, -1))


def f1(logp_KNC: Tensor, target_N: Tensor) -> Tensor:
    """Two classes: F1 of the second in sorted order. More: the mean of the classes' F1."""
    guess_KN = logp_KNC.argmax(-1)
    classes = range(1, 2) if logp_KNC.shape[-1] == 2 else range(logp_KNC.shape[-1])
    both_KC = torch.stack([((guess_KN == c) & (target_N == c)).sum(-1) for c in classes], -1)
    either_KC = torch.stack([(guess_KN == c).sum(-1) + (target_N == c).sum() for c in classes], -1)
    counts_KC = either_KC > 0  # a class that is in no target and that this row never guesses does not count
    return (2 * both_KC.double() / either_KC.clamp(min=1)).sum(-1) / counts_KC.sum(-1).clamp(min=1)


def auroc(logp_KNC: Tensor, target_N: Tensor) -> Tensor:
    """The area under the ROC curve; more than two classes: one against the rest, the mean over classes."""
    present = [c for c in range(logp_KNC.shape[-1]) if 0 < int((target_N == c).sum()) < len(target_N)]
    classes = [c for c in present if c == 1] if logp_KNC.shape[-1] == 2 else present
    if not classes:
        return torch.full(logp_KNC.shape[:1], torch.nan, dtype=torch.float64)
    areas = [_rank_area(logp_KNC[..., c].double().exp(), target_N == c) for c in classes]
    return torch.stack(areas).mean(0)


def _rank_area(score_KN: Tensor, positive_N: Tensor) -> Tensor:
    """Mann-Whitney's U over the number of pairs; ties count half."""
    n_pos, n_neg = int(positive_N.sum()), int((~positive_N).sum())
    ranks_KN = torch.stack([_mean_ranks(row) for row in score_KN])
    u_K = ranks_KN[:, positive_N].sum(-1) - n_pos * (n_pos + 1) / 2
    return u_K / (n_pos * n_neg)


def _mean_ranks(score_N: Tensor) -> Tensor:
    _, place_N, count = score_N.unique(return_inverse=True, return_counts=True)
    last = count.cumsum(0)
    ranks: Tensor = (last - (count - 1) / 2.0).double()
    return ranks[place_N]


def rmse(value_KN: Tensor, target_N: Tensor) -> Tensor:
    return (value_KN - target_N).double().square().mean(-1).sqrt()


def mae(value_KN: Tensor, target_N: Tensor) -> Tensor:
    return (value_KN - target_N).double().abs().mean(-1)


def r2(value_KN: Tensor, target_N: Tensor) -> Tensor:
    """The share of the targets' variance that is explained; 0 for a constant mean.

    Of targets that are all the same: 1 where each is met, else 0.
    """
    spread = (target_N.double() - target_N.double().mean()).square().mean()
    error_K = (value_KN - target_N).double().square().mean(-1)
    return 1 - error_K / spread if spread > 0 else (error_K == 0).double()


@dataclass(frozen=True)
class Metric:
    take: Callable[[Tensor, Tensor], Tensor] | None
    task: str  # classification, regression, or any
    direction: str  # maximize or minimize
    bounds: tuple[float, float] = (-math.inf, math.inf)  # between which every score lies

    def score(self, prediction_K: Tensor, target: Tensor) -> Tensor:
        """Of each row's predictions, float64 [K]."""
        assert self.take is not None
        return self.take(prediction_K, target)

    @property
    def sign(self) -> int:
        """Times the score: more is better."""
        return 1 if self.direction == "maximize" else -1


METRICS: dict[str, Metric] = {
    "accuracy": Metric(accuracy, "classification", "maximize", (0, 1)),
    "balanced_accuracy": Metric(balanced_accuracy, "classification", "maximize", (0, 1)),
    "auroc": Metric(auroc, "classification", "maximize", (0, 1)),
    "log_loss": Metric(log_loss, "classification", "minimize", (0, math.inf)),
    "f1": Metric(f1, "classification", "maximize", (0, 1)),
    "rmse": Metric(rmse, "regression", "minimize", (0, math.inf)),
    "mae": Metric(mae, "regression", "minimize", (0, math.inf)),
    "r2": Metric(r2, "regression", "maximize", (-math.inf, 1)),
}

OURS = tuple(METRICS)  # without those that a study registers
PROPER = {"classification": "log_loss", "regression": "rmse"}  # always reported, and breaks ties


def arguments(values: Tensor, target: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return what a user's metric is called with: copies, so that it may write into them.

    Args:
        values: probabilities [N, C] or values [N] of one row.
        target: class indices or values [N].
    """
    return values.double().cpu().numpy().copy(), target.cpu().numpy().copy()


@dataclass(frozen=True)
class Own:
    """A metric of the user's own as it travels to workers: `module:name`, found from `base`.

    Its function is called as `score(prediction, target)` with the arrays of one trial's whole validation or test
    part, and for the ensemble with those of shares and resamples of it: probabilities [N, C] and class indices
    [N], or values [N] and [N]. It gives a number.
    """

    spec: str
    base: Path
    direction: str

    def register(self) -> None:
        """Makes it one of METRICS in this process.

        A word that is no code is what a training function of the user's own reports: nobody else takes it.

        Raises:
            UserError: its code cannot be imported.
        """
        if not is_code(self.spec):
            METRICS[self.spec] = Metric(None, "any", self.direction)
            return
        function = find(self.spec, at_hand(self.base), "search.metric").load("search.metric")

        def score(prediction_K: Tensor, target: Tensor) -> Tensor:
            values = prediction_K.exp() if prediction_K.dim() == 3 else prediction_K
            whole = values.flatten(1).isfinite().all(1)  # a row that diverged has no score
            found = [
                float(function(*arguments(row, target))) if fine else float("nan")
                for row, fine in zip(values, whole.tolist(), strict=True)
            ]
            return torch.tensor(found, dtype=torch.float64, device=prediction_K.device)

        METRICS[self.spec] = Metric(score, "any", self.direction)
