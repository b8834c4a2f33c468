"""G1: what more data would buy."""

import warnings
from dataclasses import replace

import numpy as np
from scipy.optimize import curve_fit

from hpsearch.recipe import pictures
from hpsearch.recipe.bench import RATES, SEEDS, Bench
from hpsearch.recipe.verdict import Finding, judged, skipped

_SHARES = (0.125, 0.25, 0.5, 1.0)
_FEWEST = 80  # training rows
_RESAMPLES = 200


def learning_curve(bench: Bench) -> Finding:
    """G1: the best validation score of the baseline on an eighth to all of the training rows.

    With the power law a + b n^-c through it, a not below 0 (Cortes et al. 1993, "Learning Curves"), at twice as
    many rows. Its span is that of resampled seeds alone: which rows there are has no part in it.
    """
    train = bench.arrays.train
    if len(train.y) < _FEWEST:
        return skipped(f"fewer than {_FEWEST} training rows")
    order = np.random.default_rng(0).permutation(len(train.y))
    rate, sizes, scores = _best_rate(bench), [], []
    for share in _SHARES:
        kept = np.sort(order[: round(share * len(order))])
        if bench.is_classification and len(np.unique(train.y[kept])) < len(np.unique(train.y)):
            continue
        batch = min(int(bench.params["batch_size"]), len(kept))
        rows = [{"lr": rate, "batch_size": batch} for _ in range(SEEDS)]
        sizes.append(len(kept))
        scores.append(bench.run(rows, bench.longer_steps, replace(bench.arrays, train=train.at(kept))).scores)
    if len(sizes) < 3:
        return skipped("rare classes are missing in smaller parts")
    twice = 2 * sizes[-1]
    told = ", ".join(f"{size} rows {score.mean():.4g}" for size, score in zip(sizes, scores, strict=True))
    more = promised(np.array(sizes), np.array(scores), twice)
    return judged(
        False,
        False,
        f"validation {bench.proper}: {told}{bench.of}; {more}",
        "told, not judged",
        "",
        picture=pictures.lines(
            {"seeds": np.array(scores)}, "training rows", f"validation {bench.proper}", sizes, True
        ),
    )


def _best_rate(bench: Bench) -> float:
    """Of the longer runs' rates, that with the best mean score."""
    by_rate = np.nan_to_num(bench.longer.scores, nan=np.inf).reshape(len(RATES), -1).mean(1)
    return RATES[int(by_rate.argmin())]


def doubled(sizes: np.ndarray, scores: np.ndarray, twice: int) -> tuple[float, float, float, float]:
    """The mean now, and the law's lower end, middle and upper end at twice the rows."""
    rng, found = np.random.default_rng(0), []
    for _ in range(_RESAMPLES):
        drawn = np.array([rng.choice(one, len(one)).mean() for one in scores])
        found.append(law(sizes, drawn, twice))
    low, middle, high = np.nanquantile(found, [0.025, 0.5, 0.975])
    return float(scores[-1].mean()), float(low), float(middle), float(high)


def promised(sizes: np.ndarray, scores: np.ndarray, rows: int) -> str:
    """What so many rows would buy, in words: nothing where all rows do no better than fewer of them.

    A law that falls goes through such scores as their mean, and would promise that.
    """
    now, low, middle, high = doubled(sizes, scores, rows)
    if now > scores.mean(1).min() or not middle < now:
        return f"no clear trend, so nothing is promised of {rows} rows"
    return f"{rows} rows would give {middle:.4g} ({low:.4g} to {high:.4g} by seeds), now {now:.4g}"


def law(sizes: np.ndarray, means: np.ndarray, at: int) -> float:
    """The power law through these means, at another size; NaN where none fits."""

    def curve(n: np.ndarray, a: float, b: float, c: float) -> np.ndarray:
        return np.asarray(a + b * (n / sizes[0]) ** -c)

    span = max(float(means[0] - means[-1]), 1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fitted, _ = curve_fit(
                curve, sizes, means, p0=[max(float(means[-1]) - span / 2, 1e-9), 1.5 * span, 0.5],
                bounds=([0, 0, 0.05], [max(float(means.max()), 1e-8), np.inf, 3]), maxfev=5000,
            )  # fmt: skip
        except (RuntimeError, ValueError):
            return float("nan")
    return float(curve(np.array([at]), *fitted)[0])
