"""One step of every row's own optimizer.

Shapes: K rows, S steps of an epoch.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from hpsearch.pack.rows import Rows
from hpsearch.tricks.optimizers import OPTIMIZERS, Now, Slab, clip_, unbias
from hpsearch.tricks.schedules import rates

_OF_RATES = ("lr", "lr_min", "begins", "warmup", "cycles", "lr_drops", "lr_decay")


class Update:
    """Moves θ along the gradients in `rows.grad`."""

    def __init__(self, rows: Rows, params: Sequence[Mapping[str, Any]], steps: int) -> None:
        """Rows of one kind of optimizer lie side by side; `steps` is the number of steps of an epoch."""
        self._rows, self._steps = rows, steps
        self._schedules = [str(p["schedule"]) for p in params]
        self._host = {name: np.array([[float(p[name])] for p in params]) for name in _OF_RATES}
        self._total_K1 = np.array([[int(p["epochs"]) * steps] for p in params])
        self._clip_K = rows.theta.new_tensor([float(p["clip"]) for p in params])
        self._clips = any(float(p["clip"]) > 0 for p in params)
        self._slabs = list(self._cut_slabs(params))

    def _cut_slabs(self, params: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, slice, Slab]]:
        rows, kinds = self._rows, [str(p["optimizer"]) for p in params]
        decay_K1, momentum_K1 = (
            rows.theta.new_tensor([[float(p[name])] for p in params]) for name in ("weight_decay", "momentum")
        )
        for kind in sorted(set(kinds)):
            run = slice(kinds.index(kind), kinds.index(kind) + kinds.count(kind))
            yield kind, run, Slab(
                rows.theta[run], rows.grad[run], rows.first[run], rows.second[run], rows.work[run],
                decay_K1[run], momentum_K1[run], by_row=rows.device.type == "cpu",
            )  # fmt: skip

    def begin(self, epochs: np.ndarray) -> None:
        """Looks up what the steps of an epoch bring; `epochs` [K] are how many each row has behind it."""
        step_KS = epochs[:, None] * self._steps + np.arange(self._steps)
        lr_KS = rates(self._schedules, self._host, step_KS, self._total_K1)
        moving = torch.from_numpy(np.stack([lr_KS, step_KS + 1, *unbias(step_KS + 1)]))
        self._moving = moving.to(self._rows.device, self._rows.dtype)

    def step(self, s: int, held: tuple[torch.Tensor, torch.Tensor] | None = None) -> None:
        """Takes step s of the epoch. `held`: rows and places of θ that do not move, and so are not clipped by."""
        if self._clips:
            aside = None if held is None else self._rows.grad[held]
            if held is not None:
                self._rows.grad[held] = 0.0
            clip_(self._rows.grad, self._clip_K)
            if held is not None and aside is not None:
                self._rows.grad[held] = aside
        now = Now(*self._moving[..., s : s + 1])
        for kind, run, slab in self._slabs:
            OPTIMIZERS[kind](slab, now.of(run))
