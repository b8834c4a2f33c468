"""What an ensemble is chosen from: finished trials at their best epochs, with their validation predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import log_softmax

from hpsearch.data.dataset import Arrays, Target
from hpsearch.folder import Folder
from hpsearch.metrics import METRICS, PROPER
from hpsearch.nets.build import NETS, Shape
from hpsearch.pack import checkpoint
from hpsearch.pack.net import trained

_MOST = 100  # candidates beyond the hundredth best are not looked at


@dataclass(frozen=True)
class Candidate:
    """A trial's best-epoch weights. `prediction`: validation log-probabilities [N, C] or values [N]."""

    trial: int
    epoch: int
    state: checkpoint.RowState
    prediction: np.ndarray
    scores: dict[str, float]
    kind: str = "best"

    def named(self) -> dict[str, Any]:
        return {"trial": self.trial, "kind": self.kind, "epoch": self.epoch}


def candidates(folder: Folder, rows: Sequence[dict[str, Any]], arrays: Arrays) -> list[Candidate]:
    """The finished trials, best first by the study's metric, ties by log loss or rmse, then by number."""
    finished = [row for row in rows if row["state"] == "complete"]
    metric, proper = METRICS[arrays.metric], METRICS[PROPER[arrays.target.task]]

    def rank(row: dict[str, Any]) -> tuple[float, float, int]:
        proper_score = row["outcome"]["scores"][PROPER[arrays.target.task]]
        return -metric.sign * row["value"], -proper.sign * proper_score, row["number"]

    best = sorted(finished, key=rank)[:_MOST]
    by_leg: dict[int, list[int]] = {}
    for row in best:
        by_leg.setdefault(row["outcome"]["leg"], []).append(row["number"])
    states = {
        state.record.trial: state
        for leg, trials in by_leg.items()
        for state in checkpoint.load(folder.rows(leg), trials)
    }
    return [_candidate(states[row["number"]]) for row in best]


def _candidate(state: checkpoint.RowState) -> Candidate:
    record = state.record
    assert record.best_epoch is not None
    prediction = state.tensors["best.prediction"].numpy()
    return Candidate(record.trial, record.best_epoch, state, prediction, record.best)


def net_of(candidate: Candidate, name: str, arrays: Arrays) -> nn.Module:
    return trained(NETS[name], candidate.state, Shape(arrays.input_shape, arrays.target.outputs))


def predict(net: nn.Module, x: np.ndarray, target: Target) -> np.ndarray:
    """Log-probabilities [N, C] float32, or values [N] float64 in the target's units."""
    with torch.no_grad():
        outputs = torch.cat([net(part) for part in torch.from_numpy(np.array(x)).split(8192)])
    if target.task == "classification":
        return log_softmax(outputs, dim=-1).numpy()
    return (outputs.squeeze(-1).double() * target.std + target.mean).numpy()


def score(prediction: np.ndarray, y: np.ndarray, target: Target, metric: str) -> dict[str, float]:
    """The study's metric, and always log loss or rmse."""
    predicted, truth = torch.from_numpy(prediction).unsqueeze(0), torch.from_numpy(np.array(y))
    names = dict.fromkeys((metric, PROPER[target.task]))
    return {name: float(METRICS[name].score(predicted, truth)[0]) for name in names}
