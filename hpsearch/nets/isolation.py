"""Guards between a user's net and the tensors it is handed or hands out.

Batches, validation inputs and predictions are shared by many rows and passes. A net that writes into its input in
place, or that returns one buffer from every pass, must not change what others see.
"""

from typing import Any

import torch
from torch import Tensor, nn


def isolate(net: nn.Module) -> None:
    """Give the net a copy of its input in each pass, and its caller a copy of its output."""
    net.register_forward_pre_hook(_copied_inputs)
    net.register_forward_hook(_copied_output)


def _copied_inputs(net: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.clone() if isinstance(value, Tensor) else value for value in inputs)


def _copied_output(net: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
    return output.clone() if isinstance(output, Tensor) else output


@torch.no_grad()
def writes_into_input(net: nn.Module, x: Tensor) -> bool:
    """Return whether a pass of the net changes its input in place; `x` itself stays as it is."""
    given = x.clone()
    net.forward(given)  # without the hooks
    return not torch.equal(given, x)


def shared_tensors(net: nn.Module, other: nn.Module) -> list[str]:
    """Return the names of trained parameters and buffers of a net that another net has as well."""
    theirs = {tensor.data_ptr() for tensor in _state(other).values() if tensor.numel()}
    return [name for name, tensor in _state(net).items() if tensor.numel() and tensor.data_ptr() in theirs]


def _state(net: nn.Module) -> dict[str, Tensor]:
    return {**{n: p for n, p in net.named_parameters() if p.requires_grad}, **dict(net.named_buffers())}
