"""The loss of a pack's rows: each row's own, from columns.

Shapes: K rows, N examples of a batch, C outputs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from hpsearch.pack.examples import Batch
from hpsearch.tricks.losses import DISTILLED, LOSSES

_COLUMNS = ("label_smoothing", "distill", "temperature")


class Losses:
    """What each row minimises."""

    def __init__(self, params: Sequence[Mapping[str, Any]], task: str, like: Tensor) -> None:
        """`like`: the device and the precision."""
        self._task = task
        self._columns = {name: like.new_tensor([float(p[name]) for p in params]) for name in _COLUMNS}

    def __call__(self, outputs: Tensor, rows: slice, *, batch: Batch) -> Tensor:
        """The mean loss over the batch [k] of some rows, from their outputs [k, N, C]."""
        columns = {name: column[rows] for name, column in self._columns.items()}
        loss_KN = LOSSES[self._task](outputs, batch.y[rows], columns)
        if batch.teacher is not None:
            loss_KN = DISTILLED[self._task](loss_KN, outputs, batch.teacher[rows], columns)
        return loss_KN.mean(1)
