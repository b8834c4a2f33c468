"""How trials ended, told from their rows: one a trial, or one for each fold of cross-validation."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from hpsearch.data.dataset import Arrays
from hpsearch.intervals import score
from hpsearch.pack.checkpoint import Record, RowState
from hpsearch.pack.examples import held_out
from hpsearch.search.messages import Outcome


def by_trial(states: Sequence[RowState]) -> dict[int, list[RowState]]:
    """Each trial's rows, in the order of their folds."""
    found: dict[int, list[RowState]] = {}
    for state in sorted(states, key=lambda state: state.record.fold or 0):
        found.setdefault(state.record.trial, []).append(state)
    return found


def outcomes(states: Sequence[RowState], leg: int, arrays: Arrays) -> dict[int, Outcome]:
    """Of the trials all of whose rows have ended."""
    return {
        trial: _outcome(rows, leg, arrays)
        for trial, rows in by_trial(states).items()
        if all(state.record.ended for state in rows)
    }


def _outcome(rows: Sequence[RowState], leg: int, arrays: Arrays) -> Outcome:
    """A trial's value is the metric of what its rows predict of what they held out, all together."""
    records = [state.record for state in rows]
    failure = next((record.failure for record in records if record.failure), None)
    first = records[0]
    one = Outcome(
        None, dict(first.best), first.best_epoch, max(record.epoch for record in records),
        sum(record.seconds for record in records), leg, failure, sum(state.bytes for state in rows),
    )  # fmt: skip
    if failure is not None:
        return one
    if first.fold is not None:
        if not first.together:
            prediction = out_of_fold(rows, "best.prediction", arrays).numpy()
            together = score(prediction, arrays.validation.y, arrays.target.task, arrays.metric)
            for record in records:  # known once the tensors are gone
                record.together = together
        one = replace(one, scores=dict(first.together), best_epoch=mean_epoch(records))
    return replace(one, value=one.scores[arrays.metric])


def mean_epoch(records: Sequence[Record]) -> int:
    """The mean of the rows' best epochs."""
    return round(float(np.mean([record.best_epoch for record in records if record.best_epoch is not None])))


def out_of_fold(rows: Sequence[RowState], name: str, arrays: Arrays) -> Tensor:
    """What the rows of a trial predict of the examples that each has held out, in the examples' order."""
    if arrays.folds is None:
        (state,) = rows
        return state.tensors[name]
    parts = [state.tensors[name] for state in rows]
    places = torch.from_numpy(np.concatenate(held_out(arrays.folds)))
    return torch.cat(parts)[places.argsort()]
