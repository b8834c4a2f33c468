"""Augments and mixes each row's training examples, with strengths that are columns.

Shapes: K rows, N examples of a batch.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch import keyed
from hpsearch.nets.front import Pieces
from hpsearch.nets.shape import Layout
from hpsearch.pack.draws import Draws, normals
from hpsearch.pack.examples import Batch
from hpsearch.tricks import augment, mixing
from hpsearch.tricks.losses import Targets

_OF_EXAMPLE = 16  # uniform numbers an example: 5 to move, 5 to erase, 2 for light, 4 to mix
NAMES = (
    "shift", "flip", "rotation", "scale", "erasing", "brightness", "contrast", "noise", "swap_noise", "mixup",
    "cutmix",
)  # fmt: skip


class Augment:
    """What is done to the inputs of a step; each trick touches the rows alone that have it."""

    def __init__(
        self,
        params: Sequence[Mapping[str, Any]],
        trials: Sequence[int],
        seed: int,
        layout: Layout | None,
        like: Tensor,
        pieces: Pieces | None = None,
    ) -> None:
        """`layout` tells a table's columns; `like`: the device and the precision; `pieces` encoded its numbers."""
        self._keys = {use: keyed.keys(seed, trials, use) for use in ("augment", "noise", "swap")}
        self._params = list(params)
        self._like = like
        self._feature_D = None if layout is None else torch.from_numpy(layout.feature).to(like.device)
        self._number_D = None if layout is None else torch.from_numpy(layout.number).to(like)
        self._pieces = None if pieces is None else deepcopy(pieces).to(like)
        self._set_columns()

    def _set_columns(self) -> None:
        values = {name: [float(p[name]) for p in self._params] for name in NAMES}
        self._strength = {name: self._like.new_tensor(column) for name, column in values.items()}
        self._on = {name: any(column) for name, column in values.items()}
        alphas = {name: np.array(values[name]) for name in ("mixup", "cutmix")}
        self._tables = {name: self._like.new_tensor(mixing.beta_table(alpha)) for name, alpha in alphas.items()}
        self._draws: dict[tuple[str, int], Draws] = {}

    @property
    def idle(self) -> bool:
        """Whether no row has any of the tricks."""
        return not any(self._on.values())

    def keep(self, places: Sequence[int]) -> None:
        """Drops all rows but these."""
        self._keys = {use: keys[list(places)] for use, keys in self._keys.items()}
        self._params = [self._params[k] for k in places]
        self._set_columns()

    def __call__(self, batch: Batch, epochs: np.ndarray, step: int) -> Batch:
        """The batch of step `step` of the rows' epochs [K], changed."""
        if self.idle:
            return batch
        u = self._uniforms("augment", batch.x.shape[1] * _OF_EXAMPLE, epochs, step)
        u_KN = u.reshape(len(u), -1, _OF_EXAMPLE)
        return self._mixed(replace(batch, x=self._changed(batch.x, u_KN, epochs, step)), u_KN[..., 12:])

    def _changed(self, x: Tensor, u_KN: Tensor, epochs: np.ndarray, step: int) -> Tensor:
        s = self._strength

        def moved(x: Tensor, k: Tensor) -> Tensor:
            return augment.moved(x, s["shift"][k], s["flip"][k], s["rotation"][k], s["scale"][k], u_KN[k, :, :5])

        def erased(x: Tensor, k: Tensor) -> Tensor:
            return augment.erased(x, s["erasing"][k], u_KN[k, :, 5:10])

        def lit(x: Tensor, k: Tensor) -> Tensor:
            return augment.lit(x, s["brightness"][k], s["contrast"][k], u_KN[k, :, 10:12])

        x = self._rows_with(("shift", "flip", "rotation", "scale"), x, moved)
        x = self._rows_with(("erasing",), x, erased)
        x = self._rows_with(("brightness", "contrast"), x, lit)
        if self._on["swap_noise"]:
            assert self._feature_D is not None
            features = int(self._feature_D.max()) + 1
            u_KN2F = self._uniforms("swap", x.shape[1] * 2 * features, epochs, step).view(
                *x.shape[:2], 2, features
            )
            x = augment.swapped(x, s["swap_noise"], self._feature_D, u_KN2F)
        if self._on["noise"]:
            normal = normals(self._uniforms("noise", x[0].numel(), epochs, step)).reshape(x.shape)
            x = augment.noisy(x, s["noise"], normal if self._number_D is None else normal * self._number_D)
            if self._pieces is not None:  # else the clean numbers could be read off them
                x = self._rows_with(("noise",), x, self._encoded)
        return x

    def _encoded(self, x: Tensor, _rows: Tensor) -> Tensor:
        assert self._pieces is not None
        encoded: Tensor = self._pieces(x[..., : -len(self._pieces.numbers)])
        return encoded

    def _rows_with(self, names: Sequence[str], x: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """The inputs, changed in the rows that have one of these tricks."""
        if not any(self._on[name] for name in names):
            return x
        has_K = torch.stack([self._strength[name] > 0 for name in names]).any(0)
        rows = has_K.nonzero().squeeze(1)
        if len(rows) == len(x):
            return change(x, rows)
        return x.index_copy(0, rows, change(x[rows], rows))

    def _mixed(self, batch: Batch, u_KN4: Tensor) -> Batch:
        """mixup or cutmix with the next example of the batch, which is in random order; of both, one is drawn."""
        if not (self._on["mixup"] or self._on["cutmix"]):
            return batch
        alpha_K = self._strength["mixup"]
        cuts_KN = u_KN4[..., 1] * (alpha_K + self._strength["cutmix"]).unsqueeze(1) >= alpha_K.unsqueeze(1)
        share_KN = mixing.beta(self._tables["mixup"], u_KN4[..., 0])
        share_KN = torch.maximum(share_KN, 1 - share_KN)  # mostly itself; in random order the same mixtures
        other = torch.roll(batch.x, -1, dims=1)
        if self._on["cutmix"]:
            stays_KN = mixing.beta(self._tables["cutmix"], u_KN4[..., 0])
            cut, stays_KN = mixing.cutmix(batch.x, other, stays_KN, u_KN4[..., 2:])
            share_KN = torch.where(cuts_KN, 1.0, share_KN)
        x = mixing.mixup(batch.x, other, share_KN) if self._on["mixup"] else batch.x
        if self._on["cutmix"]:
            x = torch.where(cuts_KN.view(*cuts_KN.shape, *(1,) * (x.dim() - 2)), cut, x)
            share_KN = torch.where(cuts_KN, stays_KN, share_KN)
        first, weight = batch.targets.first, _blend(batch.weight, share_KN)
        if batch.weight is not None and weight is not None:  # each target counts by its own example's weight
            share_KN = torch.where(weight > 0, share_KN * batch.weight / weight, share_KN)
        teacher = _blend(batch.teacher, share_KN, logs=first.dtype == torch.int64)
        labelled = None if batch.labelled is None else batch.labelled & torch.roll(batch.labelled, -1, dims=1)
        targets = Targets(first, torch.roll(first, -1, dims=1), share_KN)
        return Batch(x, targets, teacher, weight, labelled=labelled)

    def _uniforms(self, use: str, count: int, epochs: np.ndarray, step: int) -> Tensor:
        """`count` uniform numbers a row, [K, count]."""
        if (use, count) not in self._draws:
            self._draws[use, count] = Draws(len(self._params), -(-count // 2), self._like.device)
        keys = keyed.fold(self._keys[use], epochs, step)
        return self._draws[use, count].uniforms(keys, self._like.dtype)[:, :count]


def _blend(values: Tensor | None, share_KN: Tensor, logs: bool = False) -> Tensor | None:
    """What belongs to examples, [K, N, ...], mixed as they are; log-probabilities as probabilities."""
    if values is None:
        return None
    share = share_KN.view(*share_KN.shape, *(1,) * (values.dim() - 2))
    other = torch.roll(values, -1, dims=1)
    if not logs:
        return torch.lerp(other, values, share)
    return torch.where(share == 1, values, torch.lerp(other.exp(), values.exp(), share).log())
