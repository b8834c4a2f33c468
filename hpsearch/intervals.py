"""How much better one prediction scores than another, and how sure that is: a bootstrap over examples, paired."""

import warnings

import numpy as np
import torch
from torch import Tensor

from hpsearch.metrics import METRICS, OURS, PROPER

_RESAMPLES, _OF_OWN = 1000, 100  # somebody's metric may take long
_DRAWN = 2e7  # examples of all resamples together, but for the first hundred


def scores(predictions_K: Tensor, truth: Tensor, metric: str) -> Tensor:
    """Of some rows [K]; NaN where a metric of the user's own cannot be told of them, such as of one class."""
    try:
        return METRICS[metric].score(predictions_K, truth)
    except Exception:
        if metric in OURS:
            raise
        return torch.full((len(predictions_K),), torch.nan, dtype=torch.float64)


def score(prediction: np.ndarray, y: np.ndarray, task: str, metric: str) -> dict[str, float]:
    """The study's metric of one prediction [N, C] or [N], and always log loss or rmse."""
    predicted, truth = torch.from_numpy(prediction).unsqueeze(0), torch.from_numpy(np.array(y))
    return {name: float(scores(predicted, truth, name)[0]) for name in dict.fromkeys((metric, PROPER[task]))}


def ahead(a: np.ndarray, b: np.ndarray, y: np.ndarray, metric: str) -> float:
    """How much better `a` scores than `b`, above zero is better; predictions [N, C] or [N]."""
    both = torch.from_numpy(np.stack([a, b]))
    found = scores(both, torch.from_numpy(np.array(y)), metric)
    return METRICS[metric].sign * float(found[0] - found[1])


def ahead_95(
    a: np.ndarray, b: np.ndarray, y: np.ndarray, metric: str, seed: int = 0, block_N: np.ndarray | None = None
) -> tuple[float, float]:
    """The ends of the 95 % interval of that (percentiles; Efron 1979).

    Examples of one block, where there are some, are drawn together (Field and Welsh 2007).
    """
    rng = np.random.default_rng(seed)
    members = None if block_N is None else [np.flatnonzero(block_N == one) for one in np.unique(block_N)]

    def draw() -> np.ndarray:
        if members is None:
            return rng.integers(len(y), size=len(y))
        return np.concatenate([members[place] for place in rng.integers(len(members), size=len(members))])

    most = _RESAMPLES if metric in OURS else _OF_OWN
    resamples = max(min(most, int(_DRAWN / len(y))), _OF_OWN)
    draws = (draw() for _ in range(resamples))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a net whose outputs are NaN there is no number at all
        low, high = np.nanquantile([ahead(a[rows], b[rows], y[rows], metric) for rows in draws], [0.025, 0.975])
    return float(low), float(high)
