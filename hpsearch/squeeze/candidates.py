"""What an ensemble is chosen from: finished trials at their best epochs, and the snapshots of cyclic ones."""

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
from hpsearch.intervals import scores
from hpsearch.metrics import METRICS, PROPER
from hpsearch.nets.build import Net
from hpsearch.pack import checkpoint, snapshots
from hpsearch.pack.best import rank
from hpsearch.pack.net import whole_net
from hpsearch.search import standing
from hpsearch.search.shelf import Shelf


@dataclass(frozen=True)
class Candidate:
    """A trial's weights at one epoch. `prediction`: validation log-probabilities [N, C] or values [N].

    `kind`: best, average (averaged weights, at the best epoch), snapshot, or prolonged.
    """

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
    found = [_candidate(states[row["number"]]) for row in best if row["number"] in states]
    more = [snapshot for row in best if row["number"] in states for snapshot in _snapshots(states[row["number"]])]
    return best_first([*found, *more], arrays)[: standing.MOST]


def best_first(library: Sequence[Candidate], arrays: Arrays) -> list[Candidate]:
    """By the study's metric, ties by log loss or rmse, then as they come."""
    proper = PROPER[arrays.target.task]
    return sorted(library, key=lambda one: rank(one.scores, arrays.metric, proper), reverse=True)


def _candidate(state: checkpoint.RowState) -> Candidate:
    record = state.record
    assert record.best_epoch is not None
    prediction = state.tensors["best.prediction"].numpy()
    return Candidate(record.trial, record.best_epoch, state, prediction, record.best, record.best_kind)


def _snapshots(state: checkpoint.RowState) -> list[Candidate]:
    """A trial's snapshots, but for one that is its best epoch."""
    record = state.record
    known = record.best_epoch if record.best_kind == "best" else None
    epochs = [epoch for epoch in snapshots.epochs_of(state.tensors) if epoch != known]
    return [
        Candidate(
            record.trial, epoch, state, state.tensors[f"snapshot.{epoch}.prediction"].numpy(),
            record.snapshots[str(epoch)], "snapshot",
        )
        for epoch in epochs
    ]  # fmt: skip


def net_of(candidate: Candidate, net: Net, arrays: Arrays) -> nn.Module:
    which = f"snapshot.{candidate.epoch}" if candidate.kind == "snapshot" else "best"
    return whole_net(net.factory(), candidate.state, arrays, which)


def predict(net: nn.Module, x: np.ndarray, target: Target) -> np.ndarray:
    """Log-probabilities [N, C] float32, or values [N] float64 in the target's units."""
    at_once = 512 if x.ndim == 4 else 8192  # what layers put out of images is large
    with torch.no_grad():
        outputs = torch.cat([net(part) for part in torch.from_numpy(np.array(x)).split(at_once)])
    if target.task == "classification":
        return log_softmax(outputs, dim=-1).numpy()
    return (outputs.squeeze(-1).double() * target.std + target.mean).numpy()


def score(prediction: np.ndarray, y: np.ndarray, target: Target, metric: str) -> dict[str, float]:
    """The study's metric, and always log loss or rmse; NaN where a metric of the user's own has none of these."""
    predicted, truth = torch.from_numpy(prediction).unsqueeze(0), torch.from_numpy(np.array(y))
    names = dict.fromkeys((metric, PROPER[target.task]))
    return {name: float(scores(predicted, truth, name)[0]) for name in names}
