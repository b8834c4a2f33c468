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
from hpsearch.intervals import score
from hpsearch.metrics import METRICS, PROPER
from hpsearch.pack import checkpoint, snapshots
from hpsearch.pack.best import rank
from hpsearch.search import standing
from hpsearch.search.outcomes import by_trial, mean_epoch, out_of_fold
from hpsearch.search.shelf import Shelf


@dataclass(frozen=True)
class Candidate:
    """A trial's weights at one epoch. `prediction`: validation log-probabilities [N, C] or values [N].

    `kind`: best, average (averaged weights, at the best epoch), snapshot, or prolonged; of a cross-validated trial
    folds or snapshot: its `states` are the rows of its folds, its prediction is of what each held out, and its
    epoch the mean of theirs.
    """

    trial: int
    epoch: int
    states: tuple[checkpoint.RowState, ...]
    prediction: np.ndarray
    scores: dict[str, float]
    kind: str = "best"

    def named(self) -> dict[str, Any]:
        """What tells it from all others."""
        told = {"trial": self.trial, "kind": self.kind, "epoch": self.epoch}
        if self.kind == "prolonged":
            told["schedule"] = self.states[0].record.params["schedule"]
        return told


def candidates(
    folder: Folder,
    rows: Sequence[dict[str, Any]],
    arrays: Arrays,
    with_snapshots: bool = True,
    whole: bool = False,
) -> list[Candidate]:
    """The finished trials whose rows are on disk, best first by the study's metric, ties by log loss or rmse.

    Their states have what nets and predictions are made of; `whole` ones have what a trial needs to go on as well,
    which is several times as much.

    Raises:
        RunError: a row is damaged; launching again trains it anew.
    """

    def wanted(name: str) -> bool:
        return whole or name.startswith(("best.", "snapshot."))

    best = standing.ranked(rows, METRICS[arrays.metric].direction)[: standing.MOST]
    try:
        place = Shelf.look(folder).rows()
        by_leg: dict[int, list[int]] = {}
        for number in (row["number"] for row in best if row["number"] in place):
            by_leg.setdefault(place[number], []).append(number)
        states = by_trial(
            [s for leg, trials in by_leg.items() for s in checkpoint.load(folder.rows(leg), trials, wanted)]
        )
    except DamagedError as error:
        raise RunError(f"{error}; launch again: it is then set aside, and its trials are trained anew") from None
    kept = [states[row["number"]] for row in best if row["number"] in states]
    found = [_candidate(own, arrays) for own in kept]
    found += [snapshot for own in kept if with_snapshots for snapshot in _snapshots(own, arrays)]
    return best_first(found, arrays)[: standing.MOST]


def best_first(library: Sequence[Candidate], arrays: Arrays) -> list[Candidate]:
    """By the study's metric, ties by log loss or rmse, then as they come."""
    proper = PROPER[arrays.target.task]
    return sorted(library, key=lambda one: rank(one.scores, arrays.metric, proper), reverse=True)


def _candidate(states: Sequence[checkpoint.RowState], arrays: Arrays) -> Candidate:
    record = states[0].record
    prediction = out_of_fold(states, "best.prediction", arrays).numpy()
    if record.fold is not None:
        epoch = mean_epoch([state.record for state in states])
        return Candidate(record.trial, epoch, tuple(states), prediction, record.together, "folds")
    assert record.best_epoch is not None
    return Candidate(record.trial, record.best_epoch, tuple(states), prediction, record.best, record.best_kind)


def _snapshots(states: Sequence[checkpoint.RowState], arrays: Arrays) -> list[Candidate]:
    """A trial's snapshots, but for one that is its best epoch."""
    records = [state.record for state in states]
    known = [record.best_epoch if record.best_kind == "best" else None for record in records]
    taken = [set(snapshots.epochs_of(state.tensors)) for state in states]
    found = []
    for epoch in sorted(set.intersection(*taken)):
        if all(epoch == best for best in known):
            continue
        prediction = out_of_fold(states, f"snapshot.{epoch}.prediction", arrays).numpy()
        scores = records[0].snapshots[str(epoch)]
        if records[0].fold is not None:
            scores = score(prediction, arrays.validation.y, arrays.target.task, arrays.metric)
        found.append(Candidate(records[0].trial, epoch, tuple(states), prediction, scores, "snapshot"))
    return found


def which(candidate: Candidate) -> str:
    """Return what the names of the candidate's tensors begin with in its rows."""
    return f"snapshot.{candidate.epoch}" if candidate.kind == "snapshot" else "best"


def rows_of(candidate: Candidate) -> list[checkpoint.RowState]:
    """The rows of the candidate's net, or of its folds' nets, with what a net is made of, as `best.*`."""
    prefix = f"{which(candidate)}."
    return [
        checkpoint.RowState(
            state.record,
            {
                f"best.{name.removeprefix(prefix)}": tensor
                for name, tensor in state.tensors.items()
                if name.startswith(prefix)
            },
        )
        for state in candidate.states
    ]


def predict(net: nn.Module, x: np.ndarray, target: Target) -> np.ndarray:
    """Log-probabilities [N, C] float32, or values [N] float64 in the target's units."""
    at_once = 512 if x.ndim == 4 else 8192  # what layers put out of images is large
    with torch.no_grad():
        outputs = torch.cat([net(part) for part in torch.from_numpy(np.array(x)).split(at_once)])
    if target.task == "classification":
        return log_softmax(outputs, dim=-1).numpy()
    return (outputs.squeeze(-1).double() * target.std + target.mean).numpy()
