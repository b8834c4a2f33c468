"""R9 and O5: a wider net fits the training part better, and one is found that fits it all."""

from dataclasses import dataclass

import numpy as np

from hpsearch.recipe import pictures
from hpsearch.recipe.bench import Bench
from hpsearch.recipe.initial import at_zero_of, of_prior
from hpsearch.recipe.verdict import Finding, judged, skipped

_WIDTHS = {"mlp": (4, 16, 64, 256), "resnet": (4, 8, 16)}
_RATES = (3e-3, 1e-2)
_STEPS = {"mlp": 2000, "resnet": 250}
_FITS, _WORSE = 0.05, 0.02  # of the loss of the best constant; of that of outputs of zero


@dataclass(frozen=True)
class Rung:
    """The best of a width's runs: its training loss, and the share of training rows that it has right."""

    width: int
    depth: int
    loss: float
    right: float | None


def wider_fits_better(bench: Bench) -> Finding:
    """R9: the training loss falls with the width, or is as low as it can be at any."""
    rungs, zero = _ladder(bench), at_zero_of(bench, bench.params)
    worse = not rungs[-1].loss <= rungs[0].loss + _WORSE * zero
    return judged(
        worse and bench.with_plain(rungs[-1].width).is_full,
        worse,
        _told(rungs, bench),
        f"not above that of width {rungs[0].width} at width {rungs[-1].width}, by {_WORSE * zero:.2g}",
        "more capacity does not fit better: training is not what limits the loss; look for a fault in the loss, "
        "the inputs or the rate before searching",
        picture=pictures.lines(
            {"loss": np.array([rung.loss for rung in rungs])},
            "width",
            "training loss",
            [r.width for r in rungs],
            True,
        ),
    )


def floor(bench: Bench) -> Finding:
    """O5: the smallest width that fits the training part; a search begins there, and then regularizes."""
    rungs, prior = _ladder(bench), of_prior(bench)
    fitting = next((rung for rung in rungs if rung.loss < _FITS * prior), None)
    told, (low, high) = _told(rungs, bench), _searched(bench)
    if fitting is None:
        return skipped(f"{told}: none below {_FITS * prior:.2g} in so few steps, which tells nothing")
    return judged(
        False,
        high is not None and high < fitting.width,
        f"{told}; its floor is width {fitting.width}"
        + (f", the search has {low} to {high}" if low is not None else ""),
        "the search's widest net at the floor or above",
        "a net that cannot fit the training part cannot show what regularization gains: raise width",
    )


def _ladder(bench: Bench) -> tuple[Rung, ...]:
    """The plain net at rising widths, each at two rates, up and down in one cycle; every regularizer off."""
    if "ladder" not in bench.kept:
        bench.kept["ladder"] = _climbed(bench)
    found: tuple[Rung, ...] = bench.kept["ladder"]
    return found


def _climbed(bench: Bench) -> tuple[Rung, ...]:
    name, rungs = bench.plain_net, []
    plain = bench.with_plain(_WIDTHS[name][-1])
    steps = plain.size.steps(_STEPS[name])  # the same for all: what the widest can have
    for width in _WIDTHS[name]:
        run = plain.run([{"lr": rate, "width": width, "schedule": "one_cycle"} for rate in _RATES], steps)
        losses = np.nan_to_num(run.loss, nan=np.inf)
        best = int(losses.argmin())
        right = None
        if bench.is_classification:
            right = float((run.predicted[best].argmax(-1).numpy() == bench.arrays.train.y).mean())
        rungs.append(Rung(width, int(plain.params["depth"]), float(losses[best]), right))
    return tuple(rungs)


def _searched(bench: Bench) -> tuple[int | None, int | None]:
    if bench.prepared.net.name not in _WIDTHS:
        return None, None
    low, high = bench.prepared.space["width"].bounds
    return int(low), int(high)


def _told(rungs: tuple[Rung, ...], bench: Bench) -> str:
    def right(rung: Rung) -> str:
        return "" if rung.right is None else f" ({100 * rung.right:.1f} % right)"

    shown = ", ".join(f"{rung.width}: {rung.loss:.3g}{right(rung)}" for rung in rungs)
    short = bench.with_plain(rungs[-1].width).size.told
    told = f"training loss of the plain {bench.plain_net} by width, depth {rungs[0].depth}: {shown}"
    return told + (f" ({short})" if short else bench.of)
