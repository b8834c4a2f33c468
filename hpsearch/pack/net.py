"""A trial's net by itself, with the weights of its best epoch or of a snapshot."""

from torch import nn

from hpsearch.data.dataset import Arrays
from hpsearch.nets.build import build
from hpsearch.nets.shape import Factory, Shape
from hpsearch.pack.checkpoint import RowState
from hpsearch.pack.front import front_of


def trained(factory: Factory, state: RowState, shape: Shape, which: str = "best") -> nn.Module:
    """The net as it was at its best epoch, or at `snapshot.EPOCH`; in evaluation mode, on the CPU.

    It shares nothing with a pack. Its outputs are a softmax's logits or a standardised value, whatever the loss.
    """
    theta, start = state.tensors[f"{which}.theta"], 0
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
        if f"{which}.buffer.{name}" in state.tensors:
            tensor.copy_(state.tensors[f"{which}.buffer.{name}"])
    return nn.Sequential(net, nn.LogSigmoid()).eval() if state.record.params["loss"] == "binary" else net.eval()


def whole_net(factory: Factory, state: RowState, arrays: Arrays, which: str = "best") -> nn.Module:
    """The net with what its params put before it, from the inputs that `arrays` has."""
    front, shape = front_of(state.record.params, arrays)
    net = trained(factory, state, shape, which)
    return net if front is None else nn.Sequential(front, net).eval()
