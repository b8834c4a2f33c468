"""R7: what a net learns, it learns from its inputs and their labels: against runs without one or the other."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy import stats

from hpsearch.recipe import pictures
from hpsearch.recipe.bench import Bench, Run
from hpsearch.recipe.verdict import Finding, judged

_RESAMPLES = 500


def inputs_matter(bench: Bench) -> Finding:
    """R7: runs on real inputs, on zeroed ones, and with shuffled labels; the same seeds, paired."""
    arrays = bench.arrays
    blank, held = (replace(part, x=np.zeros_like(part.x)) for part in (arrays.train, arrays.validation))
    shuffled = replace(arrays.train, y=np.random.default_rng(0).permutation(arrays.train.y))
    seeds: list[dict[str, Any]] = [{} for _ in bench.baseline.scores]
    runs = {
        "real": bench.baseline,
        "zeroed inputs": bench.run(seeds, arrays=replace(arrays, train=blank, validation=held)),
        "shuffled labels": bench.run(seeds, arrays=replace(arrays, train=shuffled)),
    }
    real, zeroed, mixed = (run.scores for run in runs.values())
    mean, low, high = gain(zeroed - real, 0.98)
    worst = _lower_end(bench, runs["real"], runs["zeroed inputs"])
    nothing = mean <= 0 and bench.is_full
    return judged(
        nothing,
        not low > 0 or not worst > 0 or not (mixed - real).mean() > 0,
        f"validation {bench.proper} {real.mean():.4g} on real inputs, {zeroed.mean():.4g} on zeroed ones, "
        f"{mixed.mean():.4g} with shuffled labels; real ones better than zeroed ones by {mean:+.3g} "
        f"(98 % {low:+.3g} to {high:+.3g}, {len(real)} seeds){bench.of}",
        "real inputs surely better than zeroed ones, beyond the chance of the validation rows",
        "nothing is learnt from the inputs: labels may be shuffled or belong to other rows, inputs may be lost on "
        "their way, or they do not tell the target"
        if nothing
        else "hardly anything is learnt from the inputs in a short run: labels may belong to other rows, "
        "the signal may be weak, or the rate low",
        picture=pictures.lines(
            {name: run.curve for name, run in runs.items()}, "evaluation", f"validation {bench.proper}"
        ),
    )


def gain(differences: np.ndarray, confidence: float = 0.95) -> tuple[float, float, float]:
    """The mean of differences paired by seed, and Student's interval."""
    mean, error = float(differences.mean()), float(stats.sem(differences))
    half = float(stats.t.ppf((1 + confidence) / 2, len(differences) - 1)) * error
    return mean, mean - half, mean + half


def _lower_end(bench: Bench, real: Run, zeroed: Run) -> float:
    """Of the gain of real inputs over zeroed ones, the bootstrap's first percentile over validation rows."""
    one, two = (_losses(bench, run.best) for run in (real, zeroed))
    rng = np.random.default_rng(0)
    drawn = [rng.integers(len(one), size=len(one)) for _ in range(_RESAMPLES)]
    return float(np.quantile([(two[rows] - one[rows]).mean() for rows in drawn], 0.01))


def _losses(bench: Bench, predicted: torch.Tensor) -> np.ndarray:
    """Of each validation row, the mean over runs of its log loss or squared error, [N]."""
    y = torch.from_numpy(bench.arrays.validation.y.copy())
    if bench.is_classification:
        return np.asarray(-predicted[:, torch.arange(len(y)), y].double().mean(0).numpy())
    return np.asarray((predicted - y).square().mean(0).numpy())
