"""Norms and activations of all rows at once, forward and backward by hand, for `pack.fused`.

Each equals the torch layer of its name, row by row. A backward pass turns the gradient of a layer's output into
that of its input in place, and writes the gradients of the layer's own parameters into the matrix.

Shapes: K rows, N examples, W units.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hpsearch.pack.rows import Rows

Views = dict[str, Tensor]


@dataclass(frozen=True)
class Layer:
    """One layer of all rows: its module in row 0, parameters and gradients [K, ...], and memory that it keeps."""

    rows: Rows
    theta: Views
    grad: Views
    name: str

    @property
    def module(self) -> nn.Module:
        return self.rows.modules[0].get_submodule(self.name)

    def parameter(self, leaf: str) -> Tensor:
        return self.theta[f"{self.name}.{leaf}"]

    def gradient(self, leaf: str) -> Tensor:
        return self.grad[f"{self.name}.{leaf}"]

    def buffer(self, leaf: str) -> Tensor:
        return self.rows.buffers[f"{self.name}.{leaf}"]

    def room(self, use: str, like_KN: Tensor, width: int | None = None) -> Tensor:
        """Memory [K, N, W] that is this use's own from step to step."""
        return room(self.rows, f"{self.name}.{use}", like_KN, width)


def room(rows: Rows, use: str, like_KN: Tensor, width: int | None = None) -> Tensor:
    """Memory [K, N, W] that is this use's own from step to step."""
    shape = (*like_KN.shape[:2], like_KN.shape[2] if width is None else width)
    key = f"{use} {shape}"
    if key not in rows.scratch:
        rows.scratch[key] = torch.empty(shape, dtype=rows.theta.dtype, device=rows.device)
    return rows.scratch[key]


# --- norms: forward gives the output and what backward needs; x may be overwritten -----------------------------

Kept = tuple[Tensor, ...]


@dataclass(frozen=True)
class Norm:
    forward: Callable[[Layer, Tensor, bool], tuple[Tensor, Kept]]
    backward: Callable[[Layer, Tensor, Kept], None]


def _no_norm(layer: Layer, x_KNW: Tensor, training: bool) -> tuple[Tensor, Kept]:
    return x_KNW, ()


def _no_norm_back(layer: Layer, delta_KNW: Tensor, kept: Kept) -> None:
    return


def _batch_norm(layer: Layer, x_KNW: Tensor, training: bool) -> tuple[Tensor, Kept]:
    """Over a row's own batch, or in evaluation by its running statistics (Ioffe & Szegedy 2015)."""
    norm = layer.module
    assert isinstance(norm, nn.BatchNorm1d)
    weight_K1W, bias_K1W = (layer.parameter(leaf).unsqueeze(1) for leaf in ("weight", "bias"))
    if not training:
        scale_K1W = weight_K1W * (layer.buffer("running_var").unsqueeze(1) + norm.eps).rsqrt()
        shift_K1W = bias_K1W - layer.buffer("running_mean").unsqueeze(1) * scale_K1W
        return x_KNW.mul_(scale_K1W).add_(shift_K1W), ()
    examples = x_KNW.shape[1]
    mean_K1W = x_KNW.mean(1, keepdim=True)
    x_KNW.sub_(mean_K1W)
    out = layer.room("out", x_KNW)
    var_K1W = torch.mul(x_KNW, x_KNW, out=out).mean(1, keepdim=True)
    momentum = norm.momentum or 0.0
    layer.buffer("running_mean").lerp_(mean_K1W.squeeze(1), momentum)
    layer.buffer("running_var").lerp_(var_K1W.squeeze(1) * (examples / (examples - 1)), momentum)
    layer.buffer("num_batches_tracked").add_(1)
    rstd_K1W = (var_K1W + norm.eps).rsqrt_()
    normed = x_KNW.mul_(rstd_K1W)
    return torch.addcmul(bias_K1W, normed, weight_K1W, out=out), (normed, rstd_K1W)


def _batch_norm_back(layer: Layer, delta_KNW: Tensor, kept: Kept) -> None:
    """dx = γ/σ (dy - mean(dy) - x̂ mean(dy x̂)), the means over the batch."""
    normed, rstd_K1W = kept
    examples = delta_KNW.shape[1]
    d_weight, d_bias = layer.gradient("weight"), layer.gradient("bias")
    torch.sum(torch.mul(delta_KNW, normed, out=layer.room("out", delta_KNW)), 1, out=d_weight)
    torch.sum(delta_KNW, 1, out=d_bias)
    delta_KNW.addcmul_(normed, d_weight.unsqueeze(1), value=-1 / examples)
    delta_KNW.sub_(d_bias.unsqueeze(1), alpha=1 / examples)
    delta_KNW.mul_(rstd_K1W.mul_(layer.parameter("weight").unsqueeze(1)))


def _layer_norm(layer: Layer, x_KNW: Tensor, training: bool) -> tuple[Tensor, Kept]:
    """Over groups of an example's own units, or over all of them (Ba et al. 2016; Wu & He 2018)."""
    x_KNGW, shape, eps = _grouped(layer.module, x_KNW)
    normed, mean, rstd = torch.native_layer_norm(x_KNGW, shape, None, None, eps)
    out = layer.room("out", x_KNW)
    weight_K1W, bias_K1W = (layer.parameter(leaf).unsqueeze(1) for leaf in ("weight", "bias"))
    normed = normed.view(x_KNW.shape)
    return torch.addcmul(bias_K1W, normed, weight_K1W, out=out), (x_KNW, normed, mean, rstd)


def _layer_norm_back(layer: Layer, delta_KNW: Tensor, kept: Kept) -> None:
    x_KNW, normed, mean, rstd = kept
    torch.sum(torch.mul(delta_KNW, normed, out=layer.room("out", delta_KNW)), 1, out=layer.gradient("weight"))
    torch.sum(delta_KNW, 1, out=layer.gradient("bias"))
    delta_KNW.mul_(layer.parameter("weight").unsqueeze(1))
    x_KNGW, shape, _ = _grouped(layer.module, x_KNW)
    through, _, _ = torch.ops.aten.native_layer_norm_backward(
        delta_KNW.view(x_KNGW.shape), x_KNGW, shape, mean, rstd, None, None, [True, False, False]
    )
    delta_KNW.copy_(through.view(delta_KNW.shape))


def _grouped(norm: nn.Module, x_KNW: Tensor) -> tuple[Tensor, list[int], float]:
    """The units in groups that are normed together, the size of one as a shape, and the norm's epsilon."""
    assert isinstance(norm, nn.LayerNorm | nn.GroupNorm)
    groups = norm.num_groups if isinstance(norm, nn.GroupNorm) else 1
    size = x_KNW.shape[2] // groups
    return x_KNW.view(*x_KNW.shape[:2], groups, size), [size], norm.eps


NORMS: dict[type[nn.Module], Norm] = {
    nn.Identity: Norm(_no_norm, _no_norm_back),
    nn.BatchNorm1d: Norm(_batch_norm, _batch_norm_back),
    nn.GroupNorm: Norm(_layer_norm, _layer_norm_back),
    nn.LayerNorm: Norm(_layer_norm, _layer_norm_back),
}


# --- activations: forward may work in place; backward sees the input and the output ---------------------------


@dataclass(frozen=True)
class Activation:
    forward: Callable[[Layer, Tensor], Tensor]
    backward: Callable[[Tensor, Tensor, Tensor], None]


def _relu_back(delta: Tensor, x: Tensor, out: Tensor) -> None:
    """Where the output was masked to zero so was its gradient: elsewhere it has the input's sign."""
    torch.ops.aten.threshold_backward.grad_input(delta, out, 0, grad_input=delta)


def _gelu(layer: Layer, x: Tensor) -> Tensor:
    return torch.ops.aten.gelu.out(x, out=layer.room("out", x))  # type: ignore[no-any-return]


def _gelu_back(delta: Tensor, x: Tensor, out: Tensor) -> None:
    torch.ops.aten.gelu_backward.grad_input(delta, x, grad_input=delta)


def _silu(layer: Layer, x: Tensor) -> Tensor:
    return torch.ops.aten.silu.out(x, out=layer.room("out", x))  # type: ignore[no-any-return]


def _silu_back(delta: Tensor, x: Tensor, out: Tensor) -> None:
    torch.ops.aten.silu_backward.grad_input(delta, x, grad_input=delta)


def _leaky(layer: Layer, x: Tensor) -> Tensor:
    return torch.ops.aten.leaky_relu.out(x, _SLOPE, out=layer.room("out", x))  # type: ignore[no-any-return]


def _leaky_back(delta: Tensor, x: Tensor, out: Tensor) -> None:
    torch.ops.aten.leaky_relu_backward.grad_input(delta, x, _SLOPE, False, grad_input=delta)


_SLOPE = nn.LeakyReLU().negative_slope
ACTIVATIONS: dict[type[nn.Module], Activation] = {
    nn.ReLU: Activation(lambda _, x: x.relu_(), _relu_back),
    nn.GELU: Activation(_gelu, _gelu_back),
    nn.SiLU: Activation(_silu, _silu_back),
    nn.LeakyReLU: Activation(_leaky, _leaky_back),
}
