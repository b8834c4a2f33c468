"""R14: baselines that anybody has in a minute, and that a net must beat."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from hpsearch.intervals import ahead_95
from hpsearch.metrics import METRICS, OURS, Metric
from hpsearch.recipe.bench import Bench
from hpsearch.recipe.verdict import Finding, judged

_WIDE = 500  # columns, of more the hundred directions that differ most
_FEWEST = 1e-6  # probability


def beaten(bench: Bench) -> Finding:
    """R14: constant, linear and nearest neighbours, fitted on the same rows, against the best of six short runs.

    Each half of the validation rows is predicted by the run that is best on the other one. The net must
    beat the constant by log loss or rmse; by the study's metric all are told.
    """
    proper, metric = METRICS[bench.proper], METRICS[bench.metric]
    truth = bench.arrays.validation.y.copy()
    y = torch.from_numpy(truth)
    ours = _best_on_other_half(bench.longer.best, y, proper)
    peers = {name: _predicted(bench, peer) for name, peer in _peers(bench).items()}
    scores = {n: float(metric.score(p.unsqueeze(0), y)[0]) for n, p in {**peers, "the baseline": ours}.items()}

    def behind(name: str) -> bool:
        """By the study's metric; by the proper score where that is somebody's own, which samples may not have."""
        by = bench.metric if bench.metric in OURS else bench.proper
        return ahead_95(ours.numpy(), peers[name].numpy(), truth, by)[1] < 0

    def over_constant(predicted: torch.Tensor) -> tuple[float, float]:
        return ahead_95(predicted.numpy(), peers["constant"].numpy(), truth, bench.proper)

    low, high = over_constant(ours)
    others = [name for name in ("linear", "neighbours") if name in peers]
    lost = [name for name in others if behind(name)]
    able = [name for name in others if over_constant(peers[name])[0] > 0]
    nothing = not high > 0 and bench.is_full
    return judged(
        nothing,
        bool(lost) or not low > 0,
        f"validation {bench.metric}: " + ", ".join(f"{n} {s:.4g}" for n, s in scores.items())
        + f"; the baseline ahead of the constant by {bench.proper} {low:+.3g} to {high:+.3g} (95 %){bench.of}",
        "the baseline ahead of the constant",
        _advice(nothing, low > 0, lost, able),
    )  # fmt: skip


def _advice(nothing: bool, sure: bool, lost: Sequence[str], able: Sequence[str]) -> str:
    if not sure and not able:
        return (
            "nothing is surely better than a constant, neither the net nor linear nor neighbours: labels may be "
            "shuffled or belong to other rows, or the inputs do not tell the target; a search will not mend that"
        )
    if nothing:
        return (
            f"the net is no better than a constant, and {' and '.join(able)} is: it learns nothing from its inputs"
        )
    if lost:
        return (
            f"{' and '.join(lost)} did better than the baseline in a short run: the search's best has to beat "
            "that too, else take the simpler one"
        )
    return "hardly ahead of a constant: the signal is weak, or the validation part is small"


def _best_on_other_half(runs_KN: torch.Tensor, y: torch.Tensor, metric: Metric) -> torch.Tensor:
    """Predictions [N, …] chosen among runs by rows that they are not compared on."""
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(y)))
    halves = order[: len(y) // 2], order[len(y) // 2 :]
    found = torch.empty_like(runs_KN[0])
    for half, other in (halves, halves[::-1]):
        scores = np.nan_to_num(metric.sign * metric.score(runs_KN[:, other], y[other]).numpy(), nan=-np.inf)
        found[half] = runs_KN[int(scores.argmax())][half]
    return found


def _peers(bench: Bench) -> dict[str, Any]:
    near = min(5, len(bench.arrays.train.y))
    if bench.is_classification:
        peers = {"constant": DummyClassifier(strategy="prior"), "neighbours": KNeighborsClassifier(near)}
        often = np.bincount(bench.arrays.train.y) >= 3
        linear = LogisticRegressionCV(Cs=[0.01, 0.1, 1.0], cv=3, max_iter=200)
        return peers | ({"linear": linear} if often.sum() > 1 else {})
    ridge = RidgeCV(np.logspace(-2, 3, 6))
    return {"constant": DummyRegressor(), "linear": ridge, "neighbours": KNeighborsRegressor(near)}


def _predicted(bench: Bench, peer: Any) -> torch.Tensor:
    """Log-probabilities [N, C], or values [N]."""
    train, held = bench.arrays.train, bench.arrays.validation
    x, x_held = (part.x.reshape(len(part.x), -1) for part in (train, held))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if x.shape[1] > _WIDE:
            directions = PCA(min(100, len(x)), random_state=0).fit(x)
            x, x_held = directions.transform(x), directions.transform(x_held)
        y = train.y
        if isinstance(peer, LogisticRegressionCV):  # which looks for every class in each of three folds
            often = np.isin(y, np.flatnonzero(np.bincount(y) >= 3))
            x, y = x[often], y[often]
        peer.fit(x, y)
        if not bench.is_classification:
            return torch.from_numpy(np.asarray(peer.predict(x_held), dtype=np.float64))
        found = peer.predict_proba(x_held)
    whole = np.full((len(held.y), bench.target.outputs), _FEWEST)
    whole[:, peer.classes_] = np.maximum(found, _FEWEST)
    return torch.from_numpy(np.log(whole / whole.sum(1, keepdims=True)))
