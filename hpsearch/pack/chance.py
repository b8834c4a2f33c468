"""What the nets of a pack draw at random in a step: dropout masks, and seeds for what a net draws itself."""

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from hpsearch import keyed
from hpsearch.nets.layers import Dropout
from hpsearch.pack.masks import Masks
from hpsearch.pack.rows import Rows


class Chance:
    """Fills the masks of all dropout layers before a step, each row's from its own keys."""

    def __init__(self, rows: Rows, seed: int, trials: Sequence[int], x_N: Tensor) -> None:
        """`x_N`: a batch of examples, with which the masks' shapes are found."""
        self._rows, self._x_N = rows, x_N
        self._keys = {use: keyed.keys(seed, trials, use) for use in ("dropout", "net's own")}
        self._masks: Masks | None = None
        self._notice_draws()
        self._shape_masks()

    def fill(self, epochs: np.ndarray, step: int) -> None:
        """For step `step` of the rows' epochs [K]."""
        if self._masks is not None:
            for layer in self._rows.dropout_layers:
                layer.restart()
            self._masks.fill(keyed.fold(self._keys["dropout"], epochs, step))
        if self._rows.draws is not None:
            self._rows.draws = keyed.fold(self._keys["net's own"], epochs, step).tolist()

    def still(self) -> None:
        """Lets everything through, until masks are filled again."""
        if self._masks is not None:
            for layer in self._rows.dropout_layers:
                layer.restart()
            self._masks.still()

    def keep(self, places: Sequence[int]) -> None:
        """Drops all rows but these; the rows' matrices have dropped them already."""
        self._keys = {use: keys[list(places)] for use, keys in self._keys.items()}
        self._shape_masks()

    def _notice_draws(self) -> None:
        """Finds out whether the net draws random numbers in a pass of its own, from torch's stream."""
        device = self._rows.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            before = _streams(device)
            for k in range(len(self._rows)):  # which rows draw may depend on their parameters
                self._pass_quietly(k)
            drew = any(not torch.equal(a, b) for a, b in zip(before, _streams(device), strict=True))
        self._rows.draws = [0] * len(self._rows) if drew else None

    def _pass_quietly(self, k: int = 0) -> None:
        """One pass of row k in training mode, which leaves its buffers as they were."""
        rows = self._rows
        before = {name: tensor[k].clone() for name, tensor in rows.buffers.items()}
        with torch.no_grad():
            rows.modules[k].train()(self._x_N)
        rows.collect_reassigned(k)
        for name, tensor in before.items():
            rows.buffers[name][k].copy_(tensor)

    def _shape_masks(self) -> None:
        """Finds the shape of each dropout layer's input by one quiet pass, and makes room for the masks."""
        rows = self._rows
        self._masks = None
        drop = {name: rows.buffers[f"{name}.p".lstrip(".")] for name in rows.dropouts}
        if not any(bool((p > 0).any()) for p in drop.values()):
            return
        layers = {name: rows.modules[0].get_submodule(name) for name in drop}
        shapes: dict[str, list[torch.Size]] = {name: [] for name in drop}
        for layer in rows.dropout_layers:
            layer.count_calls()
        hooks = [layer.register_forward_pre_hook(_note_shape(shapes, name)) for name, layer in layers.items()]
        self._pass_quietly()
        for hook in hooks:
            hook.remove()
        calls = [(name, i, shape) for name, found in shapes.items() for i, shape in enumerate(found)]
        if not calls:
            return
        outs = [rows.theta.new_ones(len(rows), *shape) for _, _, shape in calls]
        for (name, i, _), out in zip(calls, outs, strict=True):
            rows.set_buffer(f"{name}.{Dropout.mask_name(i)}".lstrip("."), out)
        for name in drop:
            for module in rows.modules:
                cast(Dropout, module.get_submodule(name)).expect(len(shapes[name]))
        self._masks = Masks([drop[name] for name, _, _ in calls], outs)


def _streams(device: torch.device) -> list[Tensor]:
    cuda = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *cuda]


def _note_shape(shapes: dict[str, list[torch.Size]], name: str) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shapes[name].append(cast(Dropout, module).mask_shape(inputs[0].shape))

    return hook
