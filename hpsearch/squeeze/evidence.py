"""What an ensemble is worth, by choices made on four fifths of the validation part and scored on the other.

All that is chosen on validation is chosen anew on each four fifths: the single, the members, the temperature. What
stays shared is the choice of each trial's best epoch. Rows of one group, or of one stretch of time, where a study
is split by these, are no evidence each of its own: they choose or score together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hpsearch.intervals import ahead, ahead_95, scores
from hpsearch.metrics import PROPER
from hpsearch.squeeze import calibrate
from hpsearch.squeeze.ensemble import heaviest, top, votes
from hpsearch.squeeze.library import Library, Shares

_FOLDS = 5


@dataclass(frozen=True)
class Gain:
    """How much better than the best single trial, in the study's metric (above zero is better).

    `value` is cross-fitted: on each fifth of the validation part, the ensemble and the single that were both
    chosen on the other four fifths are scored. `low` and `high` hold 95 % of its paired bootstrap over examples.
    `naive` is the same difference scored on the very rows that chose. What stays shared is the choice of each
    trial's best epoch. Not numbers where the validation part is one example, or one block of them.
    """

    value: float
    low: float
    high: float
    naive: float


@dataclass(frozen=True)
class Evidence:
    """`curve`: of ensembles of 1, 2, … members at most, the metric cross-fitted and on the rows that chose.

    `fitted`: cross-fitted scores, {metric: value} each, of the best single (`single`), of the mean of as many of
    the best as the ensemble may have (`top`), of the ensemble; of single and ensemble also with a temperature.
    `temperature` is 1 where calibrating does not lower the cross-fitted log loss, and for values.
    """

    gain: Gain
    curve: Sequence[Mapping[str, float]]
    fitted: Mapping[str, Mapping[str, float]]
    temperature: float


def weigh(library: Library, size: int, seed: int, block_N: np.ndarray | None = None) -> tuple[Shares, Evidence]:
    """The ensemble of at most `size` members, and its evidence; `block_N`: which examples belong together."""
    sizes = range(1, size + 1)

    def rules(part: Library) -> list[Shares]:
        count = votes(part, size, seed)
        return [top(part, 1), top(part, size), *(heaviest(count, most) for most in sizes)]

    chosen = rules(library)
    folds = _folds(len(library.y), seed, block_N)
    naive = [library.together(shares) for shares in chosen]
    metric, y = library.metric, library.y
    if len(folds) < 2:  # nothing can be held out: nobody knows what it is worth
        return chosen[-1], _unknown(naive[0], naive[-1], y, metric)
    single, mean, *teams = _held_out(library, folds, rules)
    gain = Gain(
        ahead(teams[-1], single, y, metric), *ahead_95(teams[-1], single, y, metric, seed, block_N),
        naive=ahead(naive[-1], naive[0], y, metric),
    )  # fmt: skip
    curve = [
        {"size": most, "fitted": _score(team, y, metric), "naive": _score(whole, y, metric)}
        for most, team, whole in zip(sizes, teams, naive[2:], strict=True)
    ]
    compared = {"single": single, "top": mean, "ensemble": teams[-1]}
    temperature = 1.0
    if library.task == "classification":
        for name in ("single", "ensemble"):
            compared[f"{name}, calibrated"] = _calibrated(compared[name], y, folds)
        losses = [_score(compared[name], y, "log_loss") for name in ("ensemble", "ensemble, calibrated")]
        temperature = calibrate.temperature(teams[-1], y) if losses[1] < losses[0] else 1.0
    names = dict.fromkeys((metric, PROPER[library.task]))
    fitted = {what: {name: _score(p, y, name) for name in names} for what, p in compared.items()}
    return chosen[-1], Evidence(gain, curve, fitted, temperature)


def _unknown(single: np.ndarray, team: np.ndarray, y: np.ndarray, metric: str) -> Evidence:
    unknown = float("nan")
    return Evidence(Gain(unknown, unknown, unknown, ahead(team, single, y, metric)), [], {}, 1.0)


def _folds(count: int, seed: int, block_N: np.ndarray | None) -> list[np.ndarray]:
    """The examples' places in five parts, blocks whole; fewer where there are fewer blocks or examples."""
    rng = np.random.default_rng(seed)
    if block_N is None:
        parts = np.array_split(rng.permutation(count), _FOLDS)
    else:
        parts = [
            np.flatnonzero(np.isin(block_N, some))
            for some in np.array_split(rng.permutation(np.unique(block_N)), _FOLDS)
        ]
    return [part for part in parts if len(part)]


def _held_out(
    library: Library, folds: Sequence[np.ndarray], rules: Callable[[Library], Sequence[Shares]]
) -> list[np.ndarray]:
    """What each rule's choice predicts of each fold, chosen on the others."""
    found: list[np.ndarray] = []
    for fold in folds:
        chosen = rules(library.on(np.setdiff1d(np.arange(len(library.y)), fold)))
        found = found or [np.empty_like(library.together(shares)) for shares in chosen]
        for predicted, shares in zip(found, chosen, strict=True):
            predicted[fold] = library.on(fold).together(shares)
    return found


def _calibrated(logp_NC: np.ndarray, y: np.ndarray, folds: Sequence[np.ndarray]) -> np.ndarray:
    """Held-out log-probabilities, each fold at the temperature that fits the others."""
    found = logp_NC.copy()
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(y)), fold)
        found[fold] = calibrate.scaled(logp_NC[fold], calibrate.temperature(logp_NC[rest], y[rest]))
    return found


def _score(prediction: np.ndarray, y: np.ndarray, metric: str) -> float:
    return float(scores(torch.from_numpy(prediction[None]), torch.from_numpy(np.array(y)), metric)[0])
