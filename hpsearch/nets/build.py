"""Builds a trial's own net from its params: same params and seed, same weights."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import nn

from hpsearch import code
from hpsearch.nets import own
from hpsearch.nets.layers import Dropout, Skip, SpatialDropout
from hpsearch.nets.mlp import MLP
from hpsearch.nets.resnet import ResNet
from hpsearch.nets.shape import Factory, Params, Shape
from hpsearch.nets.tables import TableInput


def _mlp(params: Params, shape: Shape) -> nn.Module:
    learned = params["embedding"] or params["periodic"]
    inputs = TableInput(
        prod(shape.inputs), shape.layout, params["embedding"], params["periodic"], params["periodic_scale"]
    )
    size = inputs.outputs if learned else prod(shape.inputs)
    net = MLP(size, shape.outputs, *(params[name] for name in ("width", "depth", "norm", "activation")))
    return _filled(nn.Sequential(inputs, net) if learned else net, params)


def _resnet(params: Params, shape: Shape) -> nn.Module:
    names = ("width", "depth", "norm", "activation", "head")
    return _filled(ResNet(shape.inputs, shape.outputs, *(params[name] for name in names)), params)


def _filled(net: nn.Module, params: Params) -> nn.Module:
    """The net, its layers with a row's hyperparameter set."""
    for module in net.modules():
        if isinstance(module, Skip):
            module.gate.fill_(float(params["skip"]))
        elif isinstance(module, SpatialDropout):
            module.p.fill_(float(params["spatial_dropout"]))
        elif isinstance(module, Dropout):
            module.p.fill_(float(params["dropout"]))
    return net


NETS: dict[str, Factory] = {"mlp": _mlp, "resnet": _resnet}


@dataclass(frozen=True)
class Net:
    """A study's net by its name, as it travels to workers: one of ours, or `module:name` found from `base`.

    `takes`: the parameters with which a factory of the user's own is called.
    """

    name: str
    base: Path = Path()
    takes: tuple[str, ...] = ()

    def factory(self, fresh: bool = False) -> Factory:
        """
        `fresh`: of the user's code as it is before it has run, with its globals as at the start.

        Raises:
            UserError: its code cannot be imported.
        """
        if self.name in NETS:
            return NETS[self.name]
        found = code.find(self.name, code.at_hand(self.base), "net")
        return own.factory(found.load_fresh("net") if fresh else found.load("net"), self.name, self.takes)


def build(factory: Factory, params: Params, shape: Shape, seed: int) -> nn.Module:
    """One trial's net on the CPU, its weights drawn from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        net = factory(params, shape)
    own.adopt(net)
    return net
