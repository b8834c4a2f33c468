"""R4 and R5: the loss before the first step is known in closed form."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from hpsearch.pack.examples import Batch
from hpsearch.pack.train import Pack
from hpsearch.recipe import tail
from hpsearch.recipe.bench import Bench
from hpsearch.recipe.verdict import Finding, judged, skipped, some
from hpsearch.tricks.losses import LOSSES, PLAIN, Targets, at_zero, class_weight, prior

_ROUNDING = 1e-4  # of a loss in float32
_SEEDS = 8
_SLACK, _MOST_SLACK = 0.05, 0.5  # of the loss of outputs of zero
_SURE = 0.99


def zeroed(bench: Bench) -> Finding:
    """R4: with the last layer at zero each of the study's losses is what its formula says."""
    if _is_softmax(bench):
        return judged(
            True,
            False,
            "the net's outputs are a distribution already: never below 0, with the sum 1",
            "outputs of any size: the loss itself applies the softmax",
            "the net ends in a softmax, and the loss applies another: give its last layer's outputs as they are",
        )
    limited = tail.nonlinear(bench)
    if limited is not None:
        return limited
    if bench.last(bench.net()) is None:
        return skipped("the net has no last linear layer to set to zero")
    rows = list(_losses(bench))
    parts = [rows] if bench.is_full else [[row] for row in rows]  # large nets one at a time
    found = [_with_last_at_zero(bench, part) for part in parts]
    outputs_KNC = _as_read(bench, torch.cat([outputs for outputs, _ in found]))
    if outputs_KNC.any() and torch.equal(outputs_KNC, outputs_KNC[:, :1].expand_as(outputs_KNC)):
        return judged(
            True,
            False,
            f"outputs of {float(outputs_KNC.flatten()[0]):.3g} for every input",
            "outputs of 0: logits, or a standardised value",
            "something follows the last layer, such as a sigmoid or a softplus: give the last layer's outputs as "
            "they are",
        )
    if outputs_KNC.any():
        return skipped(
            "other layers, too, lead to the outputs: with its last linear layer at zero they are not zero"
        )
    measured_K = np.concatenate([losses for _, losses in found])
    params = [bench.params | row for row in rows]
    expected_K = np.array([at_zero_of(bench, one) for one in params])
    off_K = np.abs(measured_K - expected_K) / np.maximum(np.abs(expected_K), 1e-6)
    worst = int(np.nan_to_num(off_K, nan=np.inf).argmax())
    wrong = [_told(one) for one, off in zip(params, off_K, strict=True) if not off <= _ROUNDING]
    return judged(
        bool(wrong),
        False,
        f"{_told(params[worst])}: {measured_K[worst]:.5g}" + (f"; wrong for {some(wrong)}" if wrong else ""),
        f"{expected_K[worst]:.5g}, by its formula; {len(rows)} losses and weightings looked at",
        "the loss is not the one that is meant: look at what is done between the last layer and the loss",
    )


def fresh(bench: Bench) -> Finding:
    """R5: a fresh net predicts the prior: its loss is the prior's, and the first steps are not spent on the bias.

    Random weights add the variance of the outputs, over nets and rows, to a squared error and half of it at most
    to the others, to second order; and the mean of a few nets errs by chance (Student's t over them). No more than
    half the loss of outputs of zero is put down to both.
    """
    pack = bench.pack([{} for _ in range(_SEEDS)])
    for module in pack.rows.modules:
        bench.settled(module)
    outputs_KNC = bench.outputs(pack)
    losses_K = _of_outputs(bench, pack, outputs_KNC)
    measured, chance = float(losses_K.mean()), float(stats.sem(losses_K) * stats.t.ppf(_SURE, _SEEDS - 1))
    spread = float(outputs_KNC.flatten(0, 1).var(0).mean()) * (0.5 if bench.is_classification else 1.0)
    expected, uniform = of_prior(bench), at_zero_of(bench, bench.params)
    slack = _SLACK * uniform + min(spread + chance, _MOST_SLACK * uniform)
    far = not measured <= uniform + slack
    return judged(
        far,
        not measured <= expected + slack,
        f"{measured:.4g}, mean of {_SEEDS} fresh nets{bench.of}",
        f"{expected:.4g} for the prior, at most {slack:.2g} more from random weights; {uniform:.4g} for outputs "
        "of zero",
        "the first outputs are far from what the targets ask for, and the first steps go into unlearning them: "
        "see how the last layer is initialised"
        if far
        else "set the last bias from the training targets: params: {prior_bias: true}",
    )


def at_zero_of(bench: Bench, params: Mapping[str, Any]) -> float:
    """The loss of outputs of zero over the training part."""
    targets = _scaled(bench)
    return float(at_zero(_kind(bench, params), _columns(bench, params), targets, bench.target.outputs)[0])


def of_prior(bench: Bench) -> float:
    """The loss of a constant: the shares of the classes as the loss weighs them, or the mean."""
    params, targets = bench.params, _scaled(bench)
    kind, columns = _kind(bench, params), _columns(bench, params)
    if bench.is_classification:
        mass = torch.bincount(targets, minlength=bench.target.outputs).double() * columns["class_weight"][0]
        outputs = prior(kind, mass).expand(1, len(targets), -1)
    else:
        outputs = torch.zeros(1, len(targets), 1).double()
    return float(LOSSES[bench.target.task][kind](outputs, Targets(targets.unsqueeze(0)), columns).mean())


def _with_last_at_zero(bench: Bench, rows: Sequence[Mapping[str, Any]]) -> tuple[Tensor, np.ndarray]:
    """What fresh nets put out then for the training part [K, N, C], and each one's loss [K]."""
    pack = bench.pack(rows)
    for module in pack.rows.modules:
        last = bench.last(module)
        assert last is not None and last.bias is not None
        last.weight.data.zero_()
        last.bias.data.zero_()
    outputs_KNC = bench.outputs(pack)
    return outputs_KNC, _of_outputs(bench, pack, outputs_KNC)


def _as_read(bench: Bench, outputs_KNC: Tensor) -> Tensor:
    """Outputs as the loss reads them: a softmax takes no notice of what is added to all of them."""
    if tail.kinds(bench) != ["softmax"]:
        return outputs_KNC
    apart_KNC = outputs_KNC - outputs_KNC.mean(-1, keepdim=True)
    return torch.where(apart_KNC.abs() <= _ROUNDING * outputs_KNC.abs(), 0.0, apart_KNC)


def _losses(bench: Bench) -> Iterator[dict[str, Any]]:
    """Every loss of the study with the ends of what changes its value."""
    shaped = ("label_smoothing", "class_weights") if bench.is_classification else ()
    ends = {name: _ends(bench, name) for name in shaped}
    for kind in bench.prepared.space.choices("loss"):
        own = {"focal": "focal_gamma", "huber": "huber_delta"}.get(str(kind))
        mine = {**ends, **({own: _ends(bench, own)} if own else {})}
        for values in itertools.product(*mine.values()):
            yield {"loss": kind, **dict(zip(mine, values, strict=True))}


def _ends(bench: Bench, name: str) -> list[float]:
    low, high = bench.prepared.space[name].bounds
    return [float(low)] if low == high else [float(low), float(high)]


def _of_outputs(bench: Bench, pack: Pack, outputs_KNC: Tensor) -> np.ndarray:
    """Each row's loss [K] over the training part, of these outputs."""
    targets_KN = torch.from_numpy(bench.target.scaled(bench.arrays.train.y)).expand(len(outputs_KNC), -1)
    batch = Batch(torch.zeros(0), Targets(targets_KN))
    with torch.no_grad():
        found = pack.losses(outputs_KNC, slice(0, len(outputs_KNC)), batch=batch)
    return np.asarray(found.double().numpy())


def _columns(bench: Bench, params: Mapping[str, Any]) -> dict[str, Tensor]:
    names = ("focal_gamma", "huber_delta", "label_smoothing")
    columns = {name: torch.tensor([float(params[name])]).double() for name in names}
    if bench.is_classification:
        counts = torch.from_numpy(np.bincount(bench.arrays.train.y, minlength=bench.target.outputs)).double()
        columns["class_weight"] = class_weight(torch.tensor([float(params["class_weights"])]).double(), counts)
    return columns


def _kind(bench: Bench, params: Mapping[str, Any]) -> str:
    return str(params["loss"] or PLAIN[bench.target.task])


def _scaled(bench: Bench) -> Tensor:
    targets = torch.from_numpy(bench.target.scaled(bench.arrays.train.y))
    return targets if bench.is_classification else targets.double()


def _is_softmax(bench: Bench) -> bool:
    if not bench.is_classification:
        return False
    with torch.no_grad():
        outputs = bench.net().eval()(bench.inputs(64))
    return bool((outputs >= 0).all() and (outputs.sum(-1) - 1).abs().max() < 1e-4)


def _told(params: Mapping[str, Any]) -> str:
    shown = {name: params[name] for name in ("label_smoothing", "class_weights") if params[name]}
    shown |= {"focal_gamma": params["focal_gamma"]} if params["loss"] == "focal" else {}
    return " ".join(
        [str(params["loss"] or "the plain loss"), *(f"{name} {value:g}" for name, value in shown.items())]
    )
