"""R11: how predictions on a fixed batch move through training."""

import torch

from hpsearch.recipe import pictures
from hpsearch.recipe.bench import Bench
from hpsearch.recipe.pictures import Draw
from hpsearch.recipe.verdict import Finding, judged, skipped

_RESTLESS = 0.25  # of the way a prediction can go, from one look to the next


def settle(bench: Bench) -> Finding:
    """R11: they move, and move less at the end than at the beginning."""
    seen = bench.baseline.watched  # [T, K, n, …]
    if len(seen) < 3:
        return skipped("too few epochs to see predictions move")
    if bench.is_classification:
        steps = (seen.exp()[1:] - seen.exp()[:-1]).abs().sum(-1) / 2  # total variation
    else:
        steps = (seen[1:] - seen[:-1]).abs() / bench.target.std
    early, late = (float(part.mean()) for part in (steps[: len(steps) // 2], steps[-max(len(steps) // 4, 1) :]))
    still = not float(steps.abs().max()) > 0
    return judged(
        still,
        not late <= _RESTLESS,
        f"from one look to the next {early:.2g} in the first half, {late:.2g} in the last quarter, of 1 at most",
        f"more than 0, and below {_RESTLESS} in the last quarter",
        "predictions do not move: nothing reaches the output"
        if still
        else "predictions jump to the end: the rate is too high, or batches are too small",
        picture=_picture(bench, seen),
    )


def _picture(bench: Bench, seen: torch.Tensor) -> Draw:
    """Of each row of the batch: the probability of its class, or its value, through the first run."""
    y = torch.from_numpy(bench.arrays.train.y[: seen.shape[2]])
    first = seen[:, 0].exp()[:, torch.arange(len(y)), y] if bench.is_classification else seen[:, 0]
    up = "probability of the right class" if bench.is_classification else "predicted value"
    return pictures.lines({"a row of the batch": first.numpy()}, "look", up)
