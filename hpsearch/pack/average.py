"""Averaged weights beside the raw ones, row by row."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hpsearch.pack.rows import Rows
from hpsearch.tricks.averaging import average_rates

Refresh = Callable[[Rows, Tensor], None]  # a pass in training mode over examples [N, ...], for its side effects


class Average:
    """An average of each row's weights; of rows that take none it is their weights."""

    def __init__(self, rows: Rows, params: Sequence[Mapping[str, Any]], steps: int) -> None:
        """`steps` is the number of steps of an epoch."""
        self._rows, self._steps = rows, steps
        self.theta = rows.theta.clone()
        self.set_columns(params)

    def set_columns(self, params: Sequence[Mapping[str, Any]]) -> None:
        self._kinds = [str(p["average"]) for p in params]
        self._spans = {"average_span": np.array([[float(p["average_span"])] for p in params])}
        self._total_K1 = np.array([[int(p["epochs"]) * self._steps] for p in params])
        self.places = [k for k, kind in enumerate(self._kinds) if kind != "none"]

    def begin(self, epochs: np.ndarray) -> None:
        """Looks up the rates of an epoch's steps; `epochs` [K] are how many each row has behind it."""
        step_KS = epochs[:, None] * self._steps + np.arange(self._steps)
        rate_KS = average_rates(self._kinds, self._spans, step_KS, self._total_K1)
        self._rate_KS = torch.from_numpy(rate_KS).to(self._rows.device, self._rows.dtype)

    def step(self, s: int) -> None:
        """Takes in the weights after step s of the epoch."""
        if self.places:
            self.theta.lerp_(self._rows.theta, self._rate_KS[:, s : s + 1])

    def differs(self, k: int) -> bool:
        """Whether row k's average is another net than its weights, after the epoch that was looked up last."""
        return k in self.places and bool(self._rate_KS[k, -1] < 1)

    def keep(self, places: Sequence[int], params: Sequence[Mapping[str, Any]]) -> None:
        """Drops all rows but these."""
        self.theta = self.theta[torch.tensor(list(places), device=self.theta.device)]
        self.set_columns(params)

    @contextmanager
    def in_place(self, refresh: Refresh, x_parts: Sequence[Tensor]) -> Iterator[None]:
        """For a while the rows have their averaged weights, and the batch norms' statistics of these.

        Those are taken anew over the batches `x_parts`, each with the same weight.
        """
        rows = self._rows
        theta = rows.theta.clone()
        buffers = {name: rows.buffers[name].clone() for name in rows.state_names()}
        rows.theta.copy_(self.theta)
        try:
            _estimate_again(rows, refresh, x_parts)
            yield
        finally:
            rows.theta.copy_(theta)
            for name, tensor in buffers.items():
                rows.buffers[name].copy_(tensor)


def _estimate_again(rows: Rows, refresh: Refresh, x_parts: Sequence[Tensor]) -> None:
    norms = [norm for module in rows.modules for norm in _batch_norms(module)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    try:
        for i, part in enumerate(x_parts):
            for norm in norms:
                norm.momentum = 1 / (i + 1)  # the running mean is then the mean of all so far
            refresh(rows, part)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _batch_norms(module: nn.Module) -> list[_BatchNorm]:
    return [m for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
