"""A trial's net by itself, with the weights of its best epoch."""

from torch import nn

from hpsearch.nets.build import build
from hpsearch.nets.shape import Factory, Shape
from hpsearch.pack.checkpoint import RowState


def trained(factory: Factory, state: RowState, shape: Shape) -> nn.Module:
    """The net in evaluation mode on the CPU; it shares nothing with a pack.

    Its outputs are a softmax's logits, or a standardised value, whatever the loss was.
    """
    theta, start = state.tensors["best.theta"], 0
    net = build(factory, state.record.params, shape, seed=0).to(theta.dtype)
    for parameter in (p for p in net.parameters() if p.requires_grad):
        stop = start + parameter.numel()
        parameter.data = theta[start:stop].view(parameter.shape).clone()
        start = stop
    named = {
        **dict(net.named_buffers()),
        **{n: p.data for n, p in net.named_parameters() if not p.requires_grad},
    }
    for name, tensor in named.items():
        if f"best.buffer.{name}" in state.tensors:
            tensor.copy_(state.tensors[f"best.buffer.{name}"])
    return nn.Sequential(net, nn.LogSigmoid()).eval() if state.record.params["loss"] == "binary" else net.eval()
