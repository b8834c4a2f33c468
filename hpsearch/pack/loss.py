"""The loss of a pack's rows: each row's own, put together from columns.

Shapes: K rows, N examples of a batch, C outputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from hpsearch.data.dataset import Arrays
from hpsearch.pack.examples import Batch
from hpsearch.pack.first import mass
from hpsearch.tricks.losses import DISTILLED, LOSSES, PLAIN, class_weight, flooded, log_probabilities, of_extra

_ALWAYS = ("focal_gamma", "huber_delta", "distill", "temperature", "extra_weight")
_WHERE_ON = ("label_smoothing", "flood")  # left out where no row has it


class Losses:
    """What each row minimises, and what its outputs mean."""

    def __init__(
        self, params: Sequence[Mapping[str, Any]], arrays: Arrays, like: Tensor, extra_share: float = 0.0
    ) -> None:
        """`like`: the device and the precision; `extra_share`: of the examples, those that are extra data."""
        target = arrays.target
        self._task, self._extra_share = target.task, extra_share
        kinds = [str(p["loss"] or PLAIN[target.task]) for p in params]
        self._groups = {
            kind: torch.tensor([k for k, own in enumerate(kinds) if own == kind], device=like.device)
            for kind in dict.fromkeys(kinds)
        }
        values = {name: [float(p[name]) for p in params] for name in (*_ALWAYS, *_WHERE_ON)}
        on = [*_ALWAYS, *(name for name in _WHERE_ON if any(values[name]))]
        self._columns = {name: like.new_tensor(values[name]) for name in on}
        powers = [float(p["class_weights"]) for p in params]
        if any(powers):
            self._columns["class_weight"] = class_weight(like.new_tensor(powers), like.new_tensor(mass(arrays)))
        binary = [kind == "binary" for kind in kinds]
        self._is_binary_K = torch.tensor(binary, device=like.device) if any(binary) else None

    def __call__(self, outputs: Tensor, rows: slice, *, batch: Batch) -> Tensor:
        """The mean loss over the batch [k] of some rows, from their outputs [k, N, C]."""
        if outputs.requires_grad:
            outputs.register_hook(torch.Tensor.contiguous)  # products round by layout
        columns = {name: column[rows] for name, column in self._columns.items()}
        loss_KN = self._hard(outputs, rows, batch, columns)
        if batch.teacher is not None:
            told = self._told(outputs, rows)
            columns["distill"] = _of_teacher(columns["distill"].unsqueeze(1), batch, rows)
            loss_KN = DISTILLED[self._task](loss_KN, told, batch.teacher[rows], columns)
        if batch.weight is not None:
            loss_KN = loss_KN * batch.weight[rows]
        loss_K = loss_KN.mean(1)
        return flooded(loss_K, columns["flood"]) if "flood" in columns else loss_K

    def weighted(self, batch: Batch) -> Batch:
        """The batch of all rows, with its extra examples counted as each row does."""
        if batch.extra is None:
            return batch
        weight = of_extra(batch.extra, self._columns["extra_weight"], self._extra_share)
        return replace(batch, weight=weight if batch.weight is None else weight * batch.weight)

    def _hard(self, outputs: Tensor, rows: slice, batch: Batch, columns: Mapping[str, Tensor]) -> Tensor:
        """The loss against the targets, each row by its own kind."""
        losses, targets = LOSSES[self._task], batch.targets.rows(rows)
        if len(self._groups) == 1:
            (kind,) = self._groups
            return losses[kind](outputs, targets, columns)
        first = rows.start or 0
        found, places = [], []
        for kind, group in self._groups.items():
            own = group[(group >= first) & (group < first + len(outputs))] - first
            if len(own):
                part = {name: column[own] for name, column in columns.items()}
                found.append(losses[kind](outputs[own], targets.rows(own), part))
                places.append(own)
        return torch.cat(found)[torch.cat(places).argsort()]

    def _told(self, outputs: Tensor, rows: slice) -> Tensor:
        """Outputs as the logits of a softmax, or as values."""
        if self._is_binary_K is None:
            return outputs
        return log_probabilities(outputs, self._is_binary_K[rows])

    def log_probabilities(self, outputs: Tensor) -> Tensor:
        """Of each class, from all rows' outputs [K, N, C]."""
        return log_probabilities(outputs, self._is_binary_K)


def _of_teacher(distill_K1: Tensor, batch: Batch, rows: slice) -> Tensor:
    """The teacher's share in the loss of each example: all of it where there is no label."""
    if batch.labelled is None:
        return distill_K1
    return torch.where(batch.labelled[rows], distill_K1, 1.0)
