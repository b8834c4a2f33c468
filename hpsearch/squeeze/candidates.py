"""What an ensemble is chosen from: finished trials at their best epochs, with their validation predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import log_softmax

from hpsearch.data.dataset import Arrays, Target
from hpsearch.errors import DamagedError, RunError
from hpsearch.folder import Folder
from hpsearch.metrics import METRICS, PROPER
from hpsearch.nets.build import Net
from hpsearch.nets.shape import Shape
from hpsearch.pack import checkpoint
from hpsearch.pack.net import trained
from hpsearch.search import standing
from hpsearch.search.shelf import Shelf


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
    """The finished trials whose rows are on disk, best first by the study's metric, ties by log loss or rmse.

    Raises:
        RunError: a row is damaged; launching again trains it anew.
    """
    best = standing.ranked(rows, METRICS[arrays.metric].direction)[: standing.MOST]
    try:
        place = Shelf.look(folder).rows()
        by_leg: dict[int, list[int]] = {}
        for number in (row["number"] for row in best if row["number"] in place):
            by_leg.setdefault(place[number], []).append(number)
        states = {
            state.record.trial: state
            for leg, trials in by_leg.items()
            for state in checkpoint.load(folder.rows(leg), trials)
        }
    except DamagedError as error:
        raise RunError(f"{error}; launch again: it is then set aside, and its trials are trained anew") from None
    return [_candidate(states[row["number"]]) for row in best if row["number"] in states]


def _candidate(state: checkpoint.RowState) -> Candidate:
    record = state.record
    assert record.best_epoch is not None
    prediction = state.tensors["best.prediction"].numpy()
    return Candidate(record.trial, record.best_epoch, state, prediction, record.best)


def net_of(candidate: Candidate, net: Net, arrays: Arrays) -> nn.Module:
    return trained(net.factory(), candidate.state, Shape(arrays.input_shape, arrays.target.outputs))


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
