"""All rows of an MLP at once, forward and backward by hand, in memory that is kept from step to step.

The products are batched; everything else is done in place, while it is in the cache. Gradients go straight into
the matrix. For nets of `nets.mlp.MLP`; their norms and activations are in `pack.by_hand`.

Shapes: K rows, N examples, D inputs and W outputs of a block.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hpsearch.nets.mlp import MLP
from hpsearch.pack.by_hand import ACTIVATIONS, NORMS, Kept, Layer, Views, room
from hpsearch.pack.rows import Rows


def fits(rows: Rows) -> bool:
    """Whether these nets are MLPs of layers that are known here."""
    net = rows.modules[0]
    return type(net) is MLP and all(
        type(block.get_submodule("norm")) in NORMS and type(block.get_submodule("activation")) in ACTIVATIONS
        for block in net.blocks
    )


@dataclass(frozen=True)
class _Block:
    """A block on the way forward, and what its way back needs."""

    name: str
    norm: Layer
    activation: Layer
    inputs: Tensor  # [K, N, D]
    kept: Kept  # by the norm
    before: Tensor  # the activation's input [K, N, W]
    active: Tensor  # its output, masked


def train(rows: Rows, x_KN: Tensor, loss: Callable[[Tensor, slice], Tensor]) -> Tensor:
    """Fills `rows.grad`; gives the losses [K]."""
    theta, grad = rows.views(rows.theta), rows.views(rows.grad)
    last, blocks = _forward(rows, theta, grad, x_KN.flatten(2), training=True)
    outputs = _linear(theta, "head", last).requires_grad_()
    losses_K = loss(outputs, slice(None))
    (delta,) = torch.autograd.grad(losses_K.sum(), outputs)
    _gradients(grad, "head", last, delta)
    above, skipped = "head", None
    for block in reversed(blocks):
        back = torch.bmm(delta, theta[f"{above}.weight"], out=room(rows, f"{block.name} back", block.active))
        if skipped is not None:
            back.add_(skipped)
        mask = rows.buffers[f"{block.name}.dropout.mask"]
        delta = torch.mul(back, _column(mask, back), out=room(rows, f"{block.name} delta", back))
        ACTIVATIONS[type(block.activation.module)].backward(delta, block.before, block.active)
        NORMS[type(block.norm.module)].backward(block.norm, delta, block.kept)
        _gradients(grad, f"{block.name}.linear", block.inputs, delta)
        gate_K = rows.buffers.get(f"{block.name}.skip.gate")
        skipped = None if gate_K is None else back.mul_(_column(gate_K, back))
        above = f"{block.name}.linear"
    return losses_K.detach()


@torch.no_grad()
def predict(rows: Rows, x: Tensor, own: bool = False) -> Tensor:
    """Outputs [K, N, C] in evaluation mode; every row sees the same inputs [N, ...], or its `own`, [K, N, ...]."""
    theta = rows.views(rows.theta)
    last, _ = _forward(rows, theta, {}, _each(rows, x, own), training=False)
    return _linear(theta, "head", last)


@torch.no_grad()
def refresh(rows: Rows, x: Tensor, own: bool = False) -> None:
    """A pass in training mode over the same inputs or each row's own, for what it leaves in the buffers."""
    _forward(rows, rows.views(rows.theta), {}, _each(rows, x, own), training=True)


def _each(rows: Rows, x: Tensor, own: bool) -> Tensor:
    """The inputs of every row, [K, N, D]."""
    return x.flatten(2) if own else x.flatten(1).expand(len(rows), -1, -1)


@torch.no_grad()
def _forward(rows: Rows, theta: Views, grad: Views, x_KND: Tensor, training: bool) -> tuple[Tensor, list[_Block]]:
    """The head's input [K, N, D], and the blocks on the way."""
    out, blocks = x_KND, []
    for i in range(len(rows.modules[0].get_submodule("blocks"))):  # type: ignore[arg-type]
        name = f"blocks.{i}"
        norm, activation = (Layer(rows, theta, grad, f"{name}.{part}") for part in ("norm", "activation"))
        inputs, width = out, theta[f"{name}.linear.bias"].shape[1]
        linear = _linear(theta, f"{name}.linear", inputs, room(rows, f"{name} linear", inputs, width))
        before, kept = NORMS[type(norm.module)].forward(norm, linear, training)
        out = active = ACTIVATIONS[type(activation.module)].forward(activation, before)
        if training:
            active.mul_(_column(rows.buffers[f"{name}.dropout.mask"], active))
        gate_K = rows.buffers.get(f"{name}.skip.gate")
        if gate_K is not None:
            out = torch.mul(inputs, _column(gate_K, active), out=room(rows, f"{name} out", active)).add_(active)
        blocks.append(_Block(name, norm, activation, inputs, kept, before, active))
    return out, blocks


def _linear(theta: Views, name: str, x_KND: Tensor, out: Tensor | None = None) -> Tensor:
    weight, bias = theta[f"{name}.weight"], theta[f"{name}.bias"]
    return torch.baddbmm(bias.unsqueeze(1), x_KND, weight.mT, out=out)


def _gradients(grad: Views, name: str, x_KND: Tensor, delta_KNW: Tensor) -> None:
    torch.bmm(delta_KNW.mT, x_KND, out=grad[f"{name}.weight"])
    torch.sum(delta_KNW, 1, out=grad[f"{name}.bias"])


def _column(values: Tensor, like: Tensor) -> Tensor:
    """Values [K] or [K, …] with as many axes as `like`."""
    return values.view(values.shape + (1,) * (like.dim() - values.dim()))
