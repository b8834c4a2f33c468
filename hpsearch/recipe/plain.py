"""R2, O1, O2 and O4: begin plainly."""

import numpy as np

from hpsearch.knobs import KNOBS
from hpsearch.recipe.bench import RATES, SEEDS, STEPS, Bench
from hpsearch.recipe.controls import gain
from hpsearch.recipe.initial import at_zero_of, of_prior
from hpsearch.recipe.verdict import Finding, judged, skipped, some

_WORSE = 0.1  # of what ignorance loses
_SAFE = {"adam": 3e-4, "adamw": 3e-4, "sgd": 1e-2, "nesterov": 1e-2}  # a rate for the steps of a short run


def trains(bench: Bench) -> Finding:
    """R2: with every regularizer off and Adam at 3e-4, training brings the loss down."""
    run, zero, prior, off = bench.baseline, at_zero_of(bench, bench.params), of_prior(bench), _off(bench)
    if run.failure is not None:
        return judged(
            True, False, run.failure, "a run to its end", "see whether the inputs are of the size 1: R10.scale"
        )
    loss = float(run.loss.mean())
    return judged(
        not loss < zero and bench.is_full,
        not loss < prior,
        f"training loss {run.loss.mean():.4g} after {run.epochs} epochs, {bench.proper} of validation "
        f"{run.scores.mean():.4g} at best{bench.of}",
        f"below {prior:.4g}, the loss of the best constant" + (f", without {some(off, 8)}" if off else ""),
        "the net does not learn at the rate that is safe: look at R5, R7 and R8",
    )


def all_weights_move(bench: Bench) -> Finding:
    """R2.frozen: every weight takes part in training."""
    sizes = {name: p.numel() for name, p in bench.net().named_parameters()}
    frozen = [name for name, p in bench.net().named_parameters() if not p.requires_grad]
    still = [name for name, far in bench.baseline.moved.items() if not np.nan_to_num(far).max() > 0]
    meant = bench.prepared.study.init_from is not None
    return judged(
        sum(sizes[name] for name in still) > sum(sizes.values()) / 2,
        bool(still) or (bool(frozen) and not meant),
        f"of {len(sizes)} tensors {len(frozen)} are frozen{f' ({some(frozen)})' if frozen else ''}, "
        f"{len(still)} did not move in training{f' ({some(still)})' if still else ''}",
        "none frozen without weights to start from (init_from), and each that trains moves",
        "a weight without a gradient is not on the way from input to output; one that is frozen learns "
        "nothing: see "
        "whether that is meant",
    )


def no_hero(bench: Bench) -> Finding:
    """O1: a net of the user's own does no worse than the plain one in the same steps, each at its best rate."""
    name = bench.prepared.net.name
    if name in ("mlp", "resnet"):
        return judged(False, False, f"the plain {name}", "a plain net, or one that is no worse", "")
    plain, other = bench.plain_net, bench.with_plain()
    if other.size.cut > bench.size.cut:
        return skipped(f"the plain {plain} costs so much more here that it would be cut short")
    (ours, own_rate), (theirs, plain_rate) = (
        _at_best_rate(one, bench.size.steps(STEPS)) for one in (bench, other)
    )
    mean, low, high = gain(theirs - ours)
    size = f"width {other.params['width']}, depth {other.params['depth']}"
    return judged(
        False,
        high < 0,
        f"validation {bench.proper} {ours.mean():.4g} at rate {own_rate:g}, "
        f"the plain {plain} ({size}) {theirs.mean():.4g} at rate {plain_rate:g}; "
        f"ahead by {mean:+.3g} (95 % {low:+.3g} to {high:+.3g}){bench.of}",
        "no worse than the plain net",
        f"begin with net: {plain}, and complicate one thing at a time",
    )


def _at_best_rate(bench: Bench, steps: int) -> tuple[np.ndarray, float]:
    """A net's scores by seed, at the rate of three with the best mean; and that rate."""
    run = bench.run([{"lr": rate} for rate in RATES for _ in range(SEEDS)], steps)
    by_rate = run.scores.reshape(len(RATES), SEEDS)
    best = int(np.nan_to_num(by_rate.mean(1), nan=np.inf).argmin())
    return by_rate[best], RATES[best]


def rate(bench: Bench) -> Finding:
    """O2: the study's own learning rates train about as well as Adam's 3e-4, the safe one."""
    space = bench.prepared.space
    low, high = space["lr"].bounds
    optimizer, momentum = space.choices("optimizer")[0], space["momentum"].bounds[1]
    rates = sorted({float(low), float(np.sqrt(low * high)), float(high)})
    run = bench.run([{"lr": r, "optimizer": optimizer, "momentum": momentum} for r in rates for _ in range(2)])
    losses, scores = (np.nan_to_num(v, nan=np.inf).reshape(-1, 2).mean(1) for v in (run.loss, run.scores))
    safe, prior, ignorant = bench.baseline, of_prior(bench), _ignorant(bench)
    told = ", ".join(f"{r:.3g}: {a:.3g} and {b:.3g}" for r, a, b in zip(rates, losses, scores, strict=True))
    wasted = not losses.min() <= safe.loss.mean() + _WORSE * prior
    wasted |= not scores.min() <= ignorant and bool(safe.scores.mean() <= ignorant)
    slow = high < _SAFE[optimizer] and high * _own_steps(bench) >= _SAFE[optimizer] * STEPS  # but gets there
    worse = not scores.min() <= safe.scores.mean() + _WORSE * ignorant
    return judged(
        bool(wasted) and bench.is_full and not slow,
        bool(wasted or worse) or not scores[-1] <= ignorant,
        f"training loss and best validation {bench.proper} in {run.epochs} epochs, by rate ({optimizer}): {told}; "
        f"Adam at 0.0003: {safe.loss.mean():.3g} and {safe.scores.mean():.3g}{bench.of}",
        f"the best rate about as good as the safe one, the highest not above {ignorant:.3g}, which is ignorance",
        "no rate of the study trains as the safe one does: lr is far too high or too low"
        if wasted or worse
        else "the highest rates do not train: trials that draw them are lost; lower lr's upper end",
    )


def constant_rate(bench: Bench) -> Finding:
    """O4: a constant rate is among the schedules, so that decay has something to beat."""
    schedules = bench.prepared.space.choices("schedule")
    return judged(
        False,
        "constant" not in schedules,
        f"schedules: {some(schedules)}",
        "constant among them",
        "decay that is tuned for one length of run misleads in another; here it is in fractions of each run, "
        "and a "
        "constant rate in the search shows what it gains",
    )


def _own_steps(bench: Bench) -> int:
    """Of the study's longest trial."""
    space, rows = bench.prepared.space, len(bench.prepared.arrays.train.y)
    return int(rows // int(space.lowest("batch_size")) * int(space.highest("epochs")))


def _ignorant(bench: Bench) -> float:
    """Log loss of even probabilities, or the rmse of the training mean on the validation part."""
    if bench.is_classification:
        return float(np.log(bench.target.outputs))
    return float(np.sqrt(np.mean((bench.arrays.validation.y - bench.target.mean) ** 2)))


def _off(bench: Bench) -> list[str]:
    """The regularizers of the study, which the baseline has not."""
    listed = [name for name in bench.prepared.space.listed() if name in KNOBS]
    return [name for name in listed if KNOBS[name].off is not None and not KNOBS[name].structural]
