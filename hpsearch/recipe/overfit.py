"""R8: a few rows are learnt by heart."""

from dataclasses import replace

import numpy as np
import torch

from hpsearch.recipe import pictures
from hpsearch.recipe.bench import Bench
from hpsearch.recipe.initial import at_zero_of
from hpsearch.recipe.pictures import Draw
from hpsearch.recipe.verdict import Finding, judged

_ROWS, _STEPS = 8, 400
_RATES = (1e-3, 3e-3, 1e-2)
_LEARNT, _HALF_LEARNT = 0.01, 0.1  # of the loss with outputs of zero


def one_batch(bench: Bench) -> Finding:
    """R8: the loss of a handful of rows goes to about zero, at one rate of three at least."""
    few = _few(bench)
    arrays = replace(bench.arrays, train=bench.arrays.train.at(few), validation=bench.arrays.train.at(few))
    run = bench.run([{"lr": rate, "batch_size": len(few)} for rate in _RATES], _STEPS, arrays)
    zero = at_zero_of(bench, bench.params)
    losses = np.nan_to_num(run.loss, nan=np.inf)
    best = int(losses.argmin())
    return judged(
        not losses[best] < _HALF_LEARNT * zero,
        not losses[best] < _LEARNT * zero,
        f"loss {losses[best]:.3g} on {len(few)} rows after {run.epochs} steps at rate {_RATES[best]:g}; "
        f"label→prediction: {', '.join(_pairs(bench, few, run.predicted[best]))}",
        f"below {_LEARNT * zero:.2g}, a hundredth of the loss of outputs of zero",
        "a net that cannot learn a few rows by heart has a fault: a softmax before the loss, frozen weights, dead "
        "units, or inputs that are all the same",
        bench.arrays.train.index[few],
        _picture(bench, few, run.predicted[best]),
    )


def _few(bench: Bench) -> np.ndarray:
    """Places of rows with inputs of their own, a class after the other."""
    train, found, seen = bench.arrays.train, [], set()
    order = np.random.default_rng(0).permutation(len(train.y))
    if bench.is_classification:
        rank = {place: int((train.y[order[:i]] == train.y[place]).sum()) for i, place in enumerate(order[:400])}
        order = np.array(sorted(rank, key=lambda place: rank[place]))
    for place in order:
        key = train.x[place].tobytes()
        if key not in seen:
            seen.add(key)
            found.append(int(place))
        if len(found) == _ROWS:
            break
    return np.array(found)


def _picture(bench: Bench, few: np.ndarray, predicted: torch.Tensor) -> Draw:
    pairs, x = _pairs(bench, few, predicted), bench.arrays.train.x[few]
    if x.ndim == 4:
        return pictures.images(x, pairs, 4)
    rows = [[row, *pair.split("→")] for row, pair in zip(bench.arrays.train.index[few], pairs, strict=True)]
    return pictures.table(["row", "label", "prediction"], rows)


def _pairs(bench: Bench, few: np.ndarray, predicted: torch.Tensor) -> list[str]:
    """Each row's label and its prediction."""
    y = bench.arrays.train.y[few]
    if bench.is_classification:
        names = bench.target.classes
        return [f"{names[a]}→{names[b]}" for a, b in zip(y, predicted.argmax(-1).tolist(), strict=True)]
    return [f"{a:.3g}→{b:.3g}" for a, b in zip(y, predicted.tolist(), strict=True)]
