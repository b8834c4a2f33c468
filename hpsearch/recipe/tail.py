"""What follows the last layer of a net: a nonlinearity there keeps outputs from what the loss needs of them.

The last layer's output is replaced by chosen values, and the net's output is read. A straight line is harmless
whatever it is made of: a temperature, a norm, a sum with another path; so is a log-softmax under a softmax.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from hpsearch.recipe.bench import Bench
from hpsearch.recipe.verdict import Finding, judged

_WEIGHTED = (
    nn.Linear, nn.Bilinear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d,
    nn.Embedding, nn.RNNBase, nn.MultiheadAttention,
)  # fmt: skip
_ROWS, _CLASSES, _NETS = 16, 16, 8
_FAR = 100.0  # how far an output of the last layer is moved
_STEPS = (-_FAR, -30.0, -10.0, -3.0, -1.0, 0.0, 1.0, 3.0, 10.0, 30.0, _FAR)
_BENT = 1e-3  # of the largest output: what is bent by less is a straight line
_LEAST_REACH = 2.0  # of a class's output above and below the others, in units of log-odds
_FLOOR = 0.01  # of the loss of outputs of zero
_TAILS = (0.01, 0.99)  # quantiles of the targets, which a net must reach
_ZEROS = 0.05  # of all outputs
_GROW = 100.0  # times, of the weights behind the last layer, which training may change
_SOFTMAX = "the outputs go into a softmax, which the loss applies itself"
_BINARY = "the loss applies a sigmoid to each output itself"
_STANDARDISED = (
    "targets are standardised before training, so that half of them are negative; to keep predictions above zero, "
    "train on the logarithm"
)


def nonlinear(bench: Bench) -> Finding | None:
    """A failure where a nonlinearity follows the last layer and limits the outputs; None where none is found."""
    net, outputs = bench.settled(bench.net()), bench.target.outputs
    x = bench.inputs(_ROWS)
    head = _head(net, x, outputs)
    if head is None:
        return _by_sign(bench)
    limited = _limited(bench, net, x, head)
    if not _weights_behind(net, x, head, outputs):
        return limited
    by_sign = _by_sign(bench)  # another path leads to the outputs, or the last layer is not what it was taken for
    return by_sign and (limited or by_sign)


def kinds(bench: Bench) -> list[str]:
    """How the study's losses read outputs: `softmax`, `binary`, `value`."""
    if not bench.is_classification:
        return ["value"]
    losses = {str(kind or "cross_entropy") for kind in bench.prepared.space.choices("loss")}
    return [*(["softmax"] if losses - {"binary"} else []), *(["binary"] if "binary" in losses else [])]


def _limited(bench: Bench, net: nn.Module, x: Tensor, head: nn.Module) -> Finding | None:
    for kind in kinds(bench):
        of = _of_value if kind == "value" else _of_classes
        found = of(bench, net, x, head, kind)
        if found is not None:
            return found
    return None


def _of_value(bench: Bench, net: nn.Module, x: Tensor, head: nn.Module, kind: str) -> Finding | None:
    """Of a regression: the outputs must reach nearly all of the standardised targets."""
    targets = bench.target.scaled(bench.arrays.train.y)
    needed = np.quantile(targets, _TAILS)

    def reach() -> tuple[float, float] | None:
        out_SN = torch.stack([_through(net, x, head, torch.full((1, 1), z)).flatten(1).mean(1) for z in _STEPS])
        if out_SN.isnan().any() or _is_straight(out_SN, torch.tensor(_STEPS)):
            return None
        return float(out_SN.amin(0).median()), float(out_SN.amax(0).median())

    found = reach()
    if found is None or (found[0] <= needed[0] and found[1] >= needed[1]):
        return None
    with _grown(net, x, head, bench.target.outputs):
        grown = reach()
    if grown is None or (grown[0] <= needed[0] and grown[1] >= needed[1]):
        return None  # weights that training may change set the limit
    return _failure(
        f"outputs from {found[0]:.3g} to {found[1]:.3g}, however far the last layer's output is moved",
        f"at least from {needed[0]:.3g} to {needed[1]:.3g}, where the standardised targets are",
        _STANDARDISED,
    )


def _of_classes(bench: Bench, net: nn.Module, x: Tensor, head: nn.Module, kind: str) -> Finding | None:
    """Of classes: each output must rise above the others and fall below them, as the loss reads them."""
    classes = bench.target.outputs

    def reach() -> tuple[float, float] | None:
        """How far a class falls and rises at least, median over rows, worst over classes."""
        ends = []
        for c in range(min(classes, _CLASSES)):
            patterns = [z * torch.eye(classes)[c : c + 1] for z in _STEPS]
            out_SNC = torch.stack([_through(net, x, head, pattern) for pattern in patterns])
            others = out_SNC[..., torch.arange(classes) != c].mean(-1) if kind == "softmax" else 0.0
            apart_SN = out_SNC[..., c] - others
            if apart_SN.isnan().any():
                return None
            if not _is_straight(apart_SN, torch.tensor(_STEPS)):
                ends.append((-float(apart_SN[0].median()), float(apart_SN[-1].median())))
        return (min(low for low, _ in ends), min(high for _, high in ends)) if ends else None

    def is_enough(found: tuple[float, float] | None) -> bool:
        if found is None:
            return True
        floor = np.log1p((classes - 1) * np.exp(-min(sum(found), 700.0)))
        return min(found) >= _LEAST_REACH and bool(floor < _FLOOR * np.log(classes))

    found = reach()
    if is_enough(found):
        return None
    with _grown(net, x, head, bench.target.outputs):
        if is_enough(reach()):
            return None  # weights that training may change set the limit
    assert found is not None
    against = "the others" if kind == "softmax" else "zero"
    return _failure(
        f"an output of the last layer moved by {_FAR:g} either way moves the net's own at most {_shown(found[0])} "
        f"below {against} and {_shown(found[1])} above",
        "as far as the last layer's outputs: of any size, and either sign",
        _SOFTMAX if kind == "softmax" else _BINARY,
    )


def _by_sign(bench: Bench) -> Finding | None:
    """For nets whose last layer is not known: whether the outputs of several fresh nets have one sign."""
    with torch.no_grad():
        x = bench.inputs(4 * _ROWS)
        every = [bench.settled(bench.net(trial))(part) for trial in range(_NETS) for part in (x, 10 * x)]
    outputs = torch.cat(every)
    if outputs.isnan().any():
        return None
    at_zero = float((outputs == 0).float().mean())
    is_log_softmax = bench.is_classification and bool(outputs.logsumexp(-1).abs().max() < 1e-3)
    if is_log_softmax and "binary" not in kinds(bench):
        return None
    if not (outputs >= 0).all() and not (outputs <= 0).all():
        return None
    advice = _STANDARDISED if not bench.is_classification else _SOFTMAX if not is_log_softmax else _BINARY
    if not outputs.any():
        return None  # a net that begins at zero
    return _failure(
        f"outputs of {_NETS} fresh nets all from {float(outputs.min()):.3g} to {float(outputs.max()):.3g}, "
        f"{100 * at_zero:.0f} % of them 0",
        "outputs of either sign",
        advice,
        warns=at_zero < _ZEROS,
    )


def _failure(measured: str, expected: str, why: str, warns: bool = False) -> Finding:
    return judged(
        not warns,
        warns,
        measured,
        expected,
        "what follows the last layer limits the outputs, such as a relu, softplus, sigmoid, tanh or clamp: give "
        f"the last layer's outputs as they are; {why}",
    )


def _head(net: nn.Module, x: Tensor, outputs: int) -> nn.Module | None:
    """The last layer with weights that is called, where it gives as many outputs as the net and is called once."""
    called: list[tuple[nn.Module, object]] = []
    hooks = [
        module.register_forward_hook(lambda module, _, out: called.append((module, out)))
        for module in net.modules()
        if isinstance(module, _WEIGHTED)
    ]
    try:
        with torch.no_grad():
            net(x)
    finally:
        for hook in hooks:
            hook.remove()
    if not called:
        return None
    last, out = called[-1]
    once = sum(module is last for module, _ in called) == 1
    fits = isinstance(out, Tensor) and out.dim() >= 2 and out.shape[_axis(last)] == outputs
    return last if once and fits else None


def _axis(head: nn.Module) -> int:
    """The axis of a layer's output that its units lie on."""
    return -1 if isinstance(head, nn.Linear | nn.Bilinear) else 1


@contextmanager
def _replaced(head: nn.Module, z_1C: Tensor) -> Iterator[None]:
    """Lets the last layer give these outputs for every row and place."""

    def hook(_module: nn.Module, _inputs: object, out: Tensor) -> Tensor:
        shape = [1] * out.dim()
        shape[_axis(head)] = -1
        return z_1C.to(out).reshape(shape).expand_as(out).clone()

    handle = head.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _through(net: nn.Module, x: Tensor, head: nn.Module, z_1C: Tensor) -> Tensor:
    """The net's outputs [N, C] where the last layer's are replaced, in double."""
    with torch.no_grad(), _replaced(head, z_1C):
        out: Tensor = net(x)
    return out.double()


def _is_straight(out_SN: Tensor, steps_S: Tensor) -> bool:
    """Whether outputs lie on a line over the steps, for every row."""
    slope_N = (out_SN[-1] - out_SN[0]) / (steps_S[-1] - steps_S[0])
    line_SN = out_SN[0] + (steps_S - steps_S[0]).unsqueeze(1) * slope_N
    return bool(((out_SN - line_SN).abs() <= _BENT * out_SN.abs().amax(0).clamp_min(1e-6)).all())


def _behind(net: nn.Module, x: Tensor, head: nn.Module, outputs: int) -> list[nn.Parameter]:
    """The weights that lead to the outputs on another way than through the last layer's inputs, or behind it."""
    params = [p for p in net.parameters() if p.requires_grad]
    with torch.enable_grad(), _replaced(head, torch.linspace(-1, 2, outputs)[None]):
        out = net(x)
        if not out.requires_grad:
            return []
        gradients = torch.autograd.grad(out.square().sum(), params, allow_unused=True)
    return [p for p, gradient in zip(params, gradients, strict=True) if gradient is not None and gradient.any()]


def _weights_behind(net: nn.Module, x: Tensor, head: nn.Module, outputs: int) -> bool:
    """Whether a weight matrix is among them: then it is not sure that the last layer is what was taken for it."""
    return any(p.dim() > 1 for p in _behind(net, x, head, outputs))


@contextmanager
def _grown(net: nn.Module, x: Tensor, head: nn.Module, outputs: int) -> Iterator[None]:
    """With the weights behind the last layer many times as large."""
    found: Sequence[nn.Parameter] = _behind(net, x, head, outputs)
    before = [p.detach().clone() for p in found]
    try:
        with torch.no_grad():
            for p in found:
                p.mul_(_GROW)
        yield
    finally:
        with torch.no_grad():
            for p, old in zip(found, before, strict=True):
                p.copy_(old)


def _shown(value: float) -> str:
    return f"{value:.3g}" if abs(value) >= 5e-4 else "0"
