"""Nets of a user's own: a factory that is called with what its signature names."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from hpsearch.errors import UserError
from hpsearch.nets.isolation import isolate
from hpsearch.nets.layers import Dropout, SpatialDropout
from hpsearch.nets.shape import Factory, Params, Shape

Function = Callable[..., Any]

# what hpsearch tells a factory that asks for it
OFFERS: dict[str, Callable[[Shape], Any]] = {
    "input_shape": lambda shape: shape.inputs,
    "outputs": lambda shape: shape.outputs,
    "num_classes": lambda shape: shape.outputs,  # timm's names
    "in_chans": lambda shape: shape.inputs[0],
}
_ALWAYS_OFFERED = {"timm:create_model": ("num_classes", "in_chans")}  # it takes these, and does not name them


@dataclass(frozen=True)
class Takes:
    """The parameters that a factory's signature names, beside what it is offered."""

    required: tuple[str, ...]
    optional: Mapping[str, Any]  # with their defaults
    anything: bool  # it has **kwargs

    @property
    def named(self) -> tuple[str, ...]:
        return (*self.required, *self.optional)


def takes(function: Function, where: str) -> Takes:
    """What a factory takes.

    Raises:
        UserError: it cannot be called by names.
    """
    required, optional, anything = [], {}, False
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        raise UserError(f"{where}: has no signature that tells what it takes; wrap it in a function") from None
    for parameter in parameters:
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise UserError(f"{where}: takes {parameter.name!r} by position alone; it is called by names")
        if parameter.kind is parameter.VAR_KEYWORD:
            anything = True
        elif parameter.kind is not parameter.VAR_POSITIONAL and parameter.name not in OFFERS:
            if parameter.default is parameter.empty:
                required.append(parameter.name)
            else:
                optional[parameter.name] = parameter.default
    return Takes(tuple(required), optional, anything)


def factory(function: Function, spec: str, names: Sequence[str]) -> Factory:
    """The factory of trials' nets: `function` called with these of a trial's params, and with what it is offered.

    A `dropout` or `spatial_dropout` that it does not take itself is set in each of the net's layers of that kind.
    A net never writes into what others see (`nets.isolation`).
    """
    offered = [name for name in inspect.signature(function).parameters if name in OFFERS]
    offered += [name for name in _ALWAYS_OFFERED.get(spec, ()) if name not in offered]

    def build(params: Params, shape: Shape) -> nn.Module:
        told = {name: OFFERS[name](shape) for name in offered}
        net = function(**told, **{name: params[name] for name in names})
        if not isinstance(net, nn.Module):
            raise TypeError(f"{spec} gave {type(net).__name__}, not an nn.Module")
        for name, kinds in DROPOUTS.items():
            if name not in names and params.get(name) is not None:
                for layer in (module for module in net.modules() if type(module) in kinds):
                    layer.p = float(params[name])  # type: ignore[assignment]
        isolate(net)
        return net

    return build


def wrong(net: nn.Module, x: Tensor, outputs: int) -> str | None:
    """What is wrong with a net as these examples [N, ...] show it, or None."""
    if any(isinstance(parameter, UninitializedParameter) for parameter in net.parameters()):
        return "has lazy layers, whose sizes only data tell; give them their sizes from input_shape"
    with torch.no_grad():
        out = net.eval()(x)
    wanted = [len(x), outputs]
    if not isinstance(out, Tensor) or list(out.shape) != wanted:
        got = list(out.shape) if isinstance(out, Tensor) else type(out).__name__
        return f"for {len(x)} examples of shape {list(x.shape[1:])} its output must be {wanted}, got {got}"
    return None if any(parameter.requires_grad for parameter in net.parameters()) else "has no parameter to train"


def drops(net: nn.Module, name: str) -> bool:
    """Whether a net, as built, has a layer that `dropout` or `spatial_dropout` sets."""
    return any(type(module) is OURS[name] for module in net.modules())


def adopt(net: nn.Module) -> None:
    """Swaps a user's dropout layers for ours, in place; their probabilities stay."""
    for module in list(net.modules()):
        for name, child in module._modules.items():  # named_children leaves out a second place of one layer
            for ours, kinds in DROPOUTS.items():
                if type(child) in kinds:
                    module._modules[name] = OURS[ours](child.p)  # type: ignore[union-attr,arg-type]


DROPOUTS = {"dropout": (nn.Dropout,), "spatial_dropout": (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)}
OURS = {"dropout": Dropout, "spatial_dropout": SpatialDropout}
