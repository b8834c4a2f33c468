"""What a net holds outside its parameters and buffers: no checkpoint, rebuilt net or export has it."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

_OF_MODULES = frozenset(vars(nn.Module()))
_DEPTH = 5  # of lists in dicts in objects in …


def unregistered(net: nn.Module) -> dict[str, Any]:
    """Return tensors, and plain numbers, that a net's modules reach through attributes and do not register.

    The names are paths from the net, such as `layers[0].weight`. Layers in a list, a dict or an object count with
    their parameters and buffers. Values are those of now: copy what is to be compared later.
    """
    registered = {id(tensor) for tensor in (*net.parameters(), *net.buffers())}
    found: dict[str, Any] = {}
    seen = {id(module) for module in net.modules()}
    for path, module in net.named_modules():
        for name, value in vars(module).items():
            if name not in _OF_MODULES:
                found.update(_reached(value, f"{path}.{name}".lstrip("."), seen, _DEPTH))
    return {name: value for name, value in found.items() if id(value) not in registered}


def unregistered_names(net: nn.Module) -> list[str]:
    """Return the names of a net's tensors outside its parameters and buffers, in order."""
    return [name for name, value in unregistered(net).items() if isinstance(value, Tensor)]


def differing(a: nn.Module, b: nn.Module) -> list[str]:
    """Return the names of what two nets of one structure hold outside their states and do not share."""
    one, other = unregistered(a), unregistered(b)
    return [name for name in {**one, **other} if not _same(one.get(name), other.get(name))]


def _reached(value: Any, path: str, seen: set[int], depth: int) -> Iterator[tuple[str, Any]]:
    """The tensors and numbers in a value: itself, or what a container, a module or an object of it holds."""
    if isinstance(value, Tensor | bool | int | float):
        yield path, value
        return
    if depth == 0 or id(value) in seen:
        return
    inner = dict(_inside(value))
    if inner:
        seen.add(id(value))
    for name, part in inner.items():
        yield from _reached(part, f"{path}{name}", seen, depth - 1)


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, nn.Module):
        yield from ((f".{name}", tensor) for name, tensor in value.named_parameters())
        yield from ((f".{name}", tensor) for name, tensor in value.named_buffers())
    elif isinstance(value, Mapping):
        yield from ((f"[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"[{i}]", part) for i, part in enumerate(value))
    elif hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
        yield from ((f".{name}", part) for name, part in vars(value).items())


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and torch.equal(a.detach().cpu(), b.detach().cpu())
    return not isinstance(a, Tensor) and not isinstance(b, Tensor) and (a == b or a != a)
