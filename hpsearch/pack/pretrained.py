"""Weights that a net starts from, by the names of its own tensors."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from hpsearch.errors import UserError
from hpsearch.nets.layers import Skip


def read_weights(path: Path, place: str) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file; of an export's, those of its first member.

    Raises:
        UserError: it is no such file.
    """
    try:
        loaded = load_file(path)
    except FileNotFoundError:
        raise UserError(f"{place}: {path}: no such file") from None
    except (SafetensorError, OSError, ValueError) as error:
        told = " ".join(str(error).split())[:150]
        raise UserError(f"{place}: {path}: cannot be read as safetensors: {told}") from None
    tensors = {name: (t.float() if t.is_floating_point() else t).numpy() for name, t in loaded.items()}
    first = {name.removeprefix("member.0."): t for name, t in tensors.items() if name.startswith("member.0.")}
    found = first or tensors
    for within in ("1.0.", "0.", "1."):  # behind a front and before the sigmoid of its loss, or one of the two
        inner = {name.removeprefix(within): t for name, t in found.items() if name.startswith(within)}
        found = {**inner, **found}
    return found


def start_from(net: nn.Module, weights: Mapping[str, np.ndarray]) -> tuple[list[str], list[str]]:
    """Copies the tensors whose names and shapes are the net's; gives their names, and those of the others.

    A head for another number of classes keeps its own first weights; a skip's gate is its trial's.
    """
    loaded, drawn = [], []
    gates = {f"{name}.gate" for name, module in net.named_modules() if isinstance(module, Skip)}
    with torch.no_grad():
        for name, tensor in [*net.named_parameters(), *net.named_buffers()]:
            given = None if name in gates else weights.get(name)
            if given is not None and given.shape == tensor.shape:
                tensor.copy_(torch.from_numpy(given.copy()))
                loaded.append(name)
            elif isinstance(tensor, nn.Parameter):
                drawn.append(name)
    return loaded, drawn
