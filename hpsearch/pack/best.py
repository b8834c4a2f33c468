"""Each row as it was at its best epoch."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from hpsearch.metrics import METRICS
from hpsearch.pack.rows import Rows


class Best:
    """Weights, buffers and validation predictions of the best epoch so far, row by row."""

    def __init__(self, rows: Rows, predictions: Sequence[Tensor | None]) -> None:
        self._rows = rows
        self.theta = rows.theta.clone()
        self.buffers = {name: rows.buffers[name].clone() for name in rows.state_names()}
        self.predictions = list(predictions)

    def stacked(self) -> dict[str, Tensor]:
        """What a row's state holds of it, beside the prediction."""
        return {"best.theta": self.theta, **{f"best.buffer.{n}": tensor for n, tensor in self.buffers.items()}}

    def take(self, places: Sequence[int], prediction_K: Sequence[Tensor]) -> None:
        """Keeps these rows as they are now."""
        if not places:
            return
        index = torch.tensor(places, device=self._rows.device)
        self.theta[index] = self._rows.theta[index]
        for name, tensor in self.buffers.items():
            tensor[index] = self._rows.buffers[name][index]
        for k in places:
            self.predictions[k] = prediction_K[k].cpu().clone()

    def keep(self, places: Sequence[int]) -> None:
        """Drops all rows but these."""
        index = torch.tensor(list(places), device=self._rows.device)
        self.theta = self.theta[index]
        self.buffers = {name: tensor[index] for name, tensor in self.buffers.items()}
        self.predictions = [self.predictions[k] for k in places]


def rank(scores: Mapping[str, float], metric: str, proper: str) -> tuple[float, float]:
    """Sorts results: the study's metric first, ties by log loss or rmse; more is better."""
    return METRICS[metric].sign * scores[metric], METRICS[proper].sign * scores[proper]
