"""R8: a few rows are learnt by heart."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from hpsearch.nets.build import NETS
from hpsearch.recipe import pictures
from hpsearch.recipe.bench import Bench
from hpsearch.recipe.initial import at_zero_of, of_prior
from hpsearch.recipe.pictures import Draw
from hpsearch.recipe.verdict import Finding, judged, skipped

_ROWS, _STEPS = 8, 400
_LOOKED_AT, _APART = 400, 0.05  # rows from which they are taken; of the inputs' spread, the distance they have
_RATES = (1e-3, 3e-3, 1e-2)
_LEARNT, _HALF_LEARNT = 0.01, 0.1  # of the loss of the best constant on these rows
_LEAST = 0.1  # of the loss with outputs of zero: rows with one answer have a constant without loss


def one_batch(bench: Bench) -> Finding:
    """R8: the loss of a handful of rows goes to about zero, at one rate of three at least."""
    if bench.params.get("depth") == 0 and bench.prepared.net.name in NETS:
        return skipped("a net without a hidden layer cannot learn any rows by heart")
    few, widest = _few(bench), _widest(bench)
    arrays = replace(bench.arrays, train=bench.arrays.train.at(few), validation=bench.arrays.train.at(few))
    run = bench.run([{"lr": rate, "batch_size": len(few), **widest} for rate in _RATES], _STEPS, arrays)
    constant = bench.on(arrays)
    prior = max(of_prior(constant), _LEAST * at_zero_of(constant, bench.params))
    losses = np.nan_to_num(run.loss, nan=np.inf) / prior
    losses = np.minimum(losses, _in_evaluation(bench, few, run.predicted)).clip(0)
    best = int(losses.argmin())
    pairs = _pairs(bench, few, run.predicted[best])
    return judged(
        not losses[best] < _HALF_LEARNT,
        not losses[best] < _LEARNT,
        f"{losses[best]:.2g} of the best constant's loss on {len(few)} rows after {run.epochs} steps at rate "
        f"{_RATES[best]:g}; label→prediction: {', '.join(map('→'.join, pairs))}",
        f"below {_LEARNT:g} of it",
        "a net that cannot learn a few rows by heart has a fault: a softmax before the loss, frozen weights, dead "
        "units, examples that mix (R12), or inputs that are all the same",
        bench.arrays.train.index[few],
        _picture(bench, few, pairs),
    )


def _widest(bench: Bench) -> dict[str, int]:
    """Of our nets the study's widest: a narrow one may not hold the rows."""
    return {"width": int(bench.prepared.space.highest("width"))} if bench.prepared.net.name in NETS else {}


def _in_evaluation(bench: Bench, few: np.ndarray, predicted: torch.Tensor) -> np.ndarray:
    """Each run's log loss or squared error on these rows, in evaluation mode, by that of the best constant [K]."""
    y = bench.arrays.train.y[few]
    if not bench.is_classification:
        off = predicted.numpy() - y
        return np.asarray(np.nan_to_num((off**2).mean(1) / max(y.var(), _LEAST * bench.target.std**2), nan=np.inf))
    shares = np.bincount(y) / len(y)
    entropy = -float((shares[shares > 0] * np.log(shares[shares > 0])).sum())
    told = predicted[:, torch.arange(len(few)), torch.from_numpy(y)]
    least = _LEAST * float(np.log(bench.target.outputs))
    return np.asarray(np.nan_to_num(-told.double().mean(1).numpy() / max(entropy, least), nan=np.inf))


def _few(bench: Bench) -> np.ndarray:
    """Places of rows apart from each other, a class after the other."""
    train, found = bench.arrays.train, list[int]()
    order = np.random.default_rng(0).permutation(len(train.y))
    if bench.is_classification:
        rank = {place: int((train.y[order[:i]] == train.y[place]).sum()) for i, place in enumerate(order[:400])}
        order = np.array(sorted(rank, key=lambda place: rank[place]))
    flat = train.x[order[:_LOOKED_AT]].reshape(min(len(order), _LOOKED_AT), -1).astype(np.float64)
    apart = _APART * float(np.linalg.norm(flat.std(0)))
    kept: list[int] = []
    for i, row in enumerate(flat):
        if not kept or np.linalg.norm(flat[kept] - row, axis=1).min() > apart:
            kept.append(i)
            found.append(int(order[i]))
        if len(found) == _ROWS:
            break
    return np.array(found)


def _picture(bench: Bench, few: np.ndarray, pairs: Sequence[tuple[str, str]]) -> Draw:
    x = bench.arrays.train.x[few]
    if x.ndim == 4:
        return pictures.images(x, ["→".join(pair) for pair in pairs], 4)
    rows = [[row, *pair] for row, pair in zip(bench.arrays.train.index[few], pairs, strict=True)]
    return pictures.table(["row", "label", "prediction"], rows)


def _pairs(bench: Bench, few: np.ndarray, predicted: torch.Tensor) -> list[tuple[str, str]]:
    """Each row's label and its prediction."""
    y = bench.arrays.train.y[few]
    if bench.is_classification:
        names = bench.target.classes
        return [(str(names[a]), str(names[b])) for a, b in zip(y, predicted.argmax(-1).tolist(), strict=True)]
    return [(f"{a:.3g}", f"{b:.3g}") for a, b in zip(y, predicted.tolist(), strict=True)]
