"""All rows of a plain MLP at once, forward and backward by hand, in memory that is kept from step to step.

The products are batched; everything else is done in place, while it is in the cache. Gradients go straight into
the matrix. For nets of `nets.mlp.MLP` with ReLU and without norm; dropout and skip gates as they come.

Shapes: K rows, N examples, D inputs and W outputs of a block.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from hpsearch.nets.mlp import MLP
from hpsearch.pack.rows import Rows

Views = dict[str, Tensor]


def fits(rows: Rows) -> bool:
    """Whether these nets are such MLPs."""
    net = rows.modules[0]
    return type(net) is MLP and net.is_plain


def train(rows: Rows, x_KN: Tensor, loss: Callable[[Tensor, slice], Tensor]) -> Tensor:
    """Fills `rows.grad`; gives the losses [K]."""
    theta, grad = rows.views(rows.theta), rows.views(rows.grad)
    inputs, active = _forward(rows, theta, x_KN.flatten(2), training=True)
    outputs = _linear(theta, "head", inputs[-1]).requires_grad_()
    losses_K = loss(outputs, slice(None))
    (delta,) = torch.autograd.grad(losses_K.sum(), outputs)
    _gradients(grad, "head", inputs[-1], delta)
    for i in reversed(range(len(active))):
        above = f"blocks.{i + 1}.linear" if i + 1 < len(active) else "head"
        back = _room(rows, f"back.{i}", active[i])
        torch.bmm(delta, theta[f"{above}.weight"], out=back)
        if i + 1 < len(active):
            _add_skipped(rows, i + 1, _room(rows, f"back.{i + 1}", active[i + 1]), back)
        delta = _room(rows, f"delta.{i}", active[i])
        torch.mul(back, _column(rows.buffers[f"blocks.{i}.dropout.mask"], back), out=delta)
        # where the mask is zero so is the gradient: elsewhere the output has the activation's sign
        torch.ops.aten.threshold_backward.grad_input(delta, active[i], 0, grad_input=delta)
        _gradients(grad, f"blocks.{i}.linear", inputs[i], delta)
    return losses_K.detach()


@torch.no_grad()
def predict(rows: Rows, x_N: Tensor) -> Tensor:
    """Outputs [K, N, C] in evaluation mode; every row sees the same inputs."""
    theta = rows.views(rows.theta)
    inputs, _ = _forward(rows, theta, x_N.flatten(1).expand(len(rows), -1, -1), training=False)
    return _linear(theta, "head", inputs[-1])


@torch.no_grad()
def _forward(rows: Rows, theta: Views, x_KND: Tensor, training: bool) -> tuple[list[Tensor], list[Tensor]]:
    """The inputs [K, N, D] of every block and of the head, and each block's masked activation [K, N, W]."""
    inputs, active = [x_KND], []
    for i in range(len(rows.modules[0].get_submodule("blocks"))):  # type: ignore[arg-type]
        name = f"blocks.{i}"
        width = theta[f"{name}.linear.bias"].shape[1]
        out = _room(rows, f"active.{i}", x_KND, width)
        _linear(theta, f"{name}.linear", inputs[-1], out).relu_()
        if training:
            out.mul_(_column(rows.buffers[f"{name}.dropout.mask"], out))
        active.append(out)
        gate_K = rows.buffers.get(f"{name}.skip.gate")
        if gate_K is not None:
            total = _room(rows, f"total.{i}", out)
            out = torch.mul(inputs[-1], _column(gate_K, out), out=total).add_(out)
        inputs.append(out)
    return inputs, active


def _linear(theta: Views, name: str, x_KND: Tensor, out: Tensor | None = None) -> Tensor:
    weight, bias = theta[f"{name}.weight"], theta[f"{name}.bias"]
    return torch.baddbmm(bias.unsqueeze(1), x_KND, weight.mT, out=out)


def _gradients(grad: Views, name: str, x_KND: Tensor, delta_KNW: Tensor) -> None:
    torch.bmm(delta_KNW.mT, x_KND, out=grad[f"{name}.weight"])
    torch.sum(delta_KNW, 1, out=grad[f"{name}.bias"])


def _add_skipped(rows: Rows, i: int, back: Tensor, below: Tensor) -> None:
    """Adds what block i's skip lets through from its output's gradient to its input's."""
    gate_K = rows.buffers.get(f"blocks.{i}.skip.gate")
    if gate_K is not None:
        below.add_(back.mul_(_column(gate_K, back)))


def _column(values: Tensor, like: Tensor) -> Tensor:
    """Values [K] or [K, …] with as many axes as `like`."""
    return values.view(values.shape + (1,) * (like.dim() - values.dim()))


def _room(rows: Rows, name: str, like_KN: Tensor, width: int | None = None) -> Tensor:
    """Memory [K, N, W] that is this use's own from step to step."""
    shape = (*like_KN.shape[:2], like_KN.shape[2] if width is None else width)
    key = f"{name} {shape}"
    if key not in rows.scratch:
        rows.scratch[key] = torch.empty(shape, dtype=rows.theta.dtype, device=rows.device)
    return rows.scratch[key]
