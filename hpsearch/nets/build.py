"""Builds a trial's own net from its params: same params and seed, same weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn

from hpsearch.nets.layers import Dropout, Skip
from hpsearch.nets.mlp import MLP

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Shape:
    """What a net is built for: the shape of one input, and the number of outputs."""

    inputs: tuple[int, ...]
    outputs: int


Factory = Callable[[Params, Shape], nn.Module]


def _mlp(params: Params, shape: Shape) -> nn.Module:
    return MLP(
        prod(shape.inputs),
        shape.outputs,
        params["width"],
        params["depth"],
        params["norm"],
        params["activation"],
    )


NETS: dict[str, Factory] = {"mlp": _mlp}


def build(factory: Factory, params: Params, shape: Shape, seed: int) -> nn.Module:
    """One trial's net on the CPU, its weights drawn from `seed`, its per-row layers set from `params`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        net = factory(params, shape)
    adopt(net)
    for module in net.modules():
        if isinstance(module, Skip):
            module.gate.fill_(float(params["skip"]))
        elif isinstance(module, Dropout) and params.get("dropout") is not None:
            module.p.fill_(float(params["dropout"]))
    return net


def adopt(net: nn.Module) -> None:
    """Swaps a user's `nn.Dropout` layers for ours, in place; their probabilities stay."""
    for module in list(net.modules()):
        for name, child in module._modules.items():  # named_children leaves out a second place of one layer
            if type(child) is nn.Dropout:
                module._modules[name] = Dropout(child.p)
