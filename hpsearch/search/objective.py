"""A training function of the user's own, `objective: my_train:train`; each trial is a leg of its own.

The function trains as it likes. The ledger, resuming, timeouts and, where it saves predictions, the ensemble work
as for built-in training.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch.code import Reference
from hpsearch.data.dataset import Arrays
from hpsearch.folder import Folder
from hpsearch.metrics import METRICS, PROPER
from hpsearch.pack.checkpoint import RowState

GoingOn = Callable[[RowState], bool]
_NAMES = {"validation": "best.prediction", "test": "test.prediction"}  # of tensors


class TrialFailedError(Exception):
    """What the function reported or saved is no result; the words are the reason."""


class Trial:
    """What a training function is given beside its params.

    `number` is the trial's, `folder` a directory that is its own and stays there: a function that stores where it
    is can go on from there when it is called again.
    """

    def __init__(
        self, folder: Path, before: RowState, arrays: Arrays, test_y: np.ndarray, going_on: GoingOn
    ) -> None:
        """`before`: what an earlier call of the function, which was stopped or died, had told."""
        self.number, self.folder = before.record.trial, folder
        self.record = replace(before.record, curve=list(before.record.curve))
        self.predictions = dict(before.tensors)
        self.told_to_stop = self._stopping = False
        self._resumed = bool(self.record.curve)
        self._arrays, self._truth = arrays, {"validation": arrays.validation.y, "test": test_y}
        self._going_on = going_on

    def report(self, epoch: int, value: float) -> None:
        """Tells the value of the study's metric after an epoch; the best one counts.

        What an earlier call reported counts too, up to the epoch from which this one goes on.

        Raises:
            TrialFailedError: it is no finite number; the trial then fails with this reason.
        """
        value, metric = float(value), self._arrays.metric
        if not math.isfinite(value):
            raise TrialFailedError(f"{metric} became {value} in epoch {epoch}")
        record = self.record
        if self._resumed:
            self._resumed = False
            earlier, record.curve, record.best = record.curve, [], {}
            for before, _, then, _ in earlier:
                if before is not None and then is not None and before < epoch:
                    self._enter(int(before), then)
        self._enter(int(epoch), value)
        self._ask()

    def _enter(self, epoch: int, value: float) -> None:
        record, metric = self.record, self._arrays.metric
        record.epoch = epoch
        record.curve.append([epoch, None, value, None])
        if not record.best or METRICS[metric].sign * (value - record.best[metric]) > 0:
            record.best, record.best_epoch = {metric: value}, epoch

    def should_stop(self) -> bool:
        """Whether to return soon: somebody stopped the study. The trial waits for the next launch."""
        self._ask()
        self.told_to_stop |= self._stopping
        return self.told_to_stop

    @property
    def state(self) -> RowState:
        """What it has come to so far."""
        return RowState(self.record, self.predictions)

    def save_predictions(self, validation: Any, test: Any) -> None:
        """Keeps predictions of the study's validation and test part, for the ensemble; the last ones count.

        Probabilities [N, C] in the order of the sorted classes, or values [N].

        Raises:
            TrialFailedError: the study names no data, or they do not fit them.
        """
        given = {"validation": validation, "test": test}
        checked = {part: self._checked(part, np.asarray(one, dtype=np.float64)) for part, one in given.items()}
        self.predictions = {_NAMES[part]: tensor for part, tensor in checked.items()}

    def _checked(self, part: str, given: np.ndarray) -> Tensor:
        target, rows = self._arrays.target, len(self._truth[part])
        if rows == 0:
            raise TrialFailedError("save_predictions: the study names no data to hold them against")
        wanted = (rows, target.outputs) if target.task == "classification" else (rows,)
        if given.shape != wanted:
            raise TrialFailedError(f"save_predictions: {part} must be {list(wanted)}, got {list(given.shape)}")
        if not np.isfinite(given).all():
            raise TrialFailedError(f"save_predictions: {part} holds NaN or infinity")
        if target.task == "regression":
            return torch.from_numpy(given.copy())
        if (given < 0).any() or np.abs(given.sum(1) - 1).max() > 1e-3:
            raise TrialFailedError(f"save_predictions: {part} must be probabilities, whose rows sum to 1")
        return torch.from_numpy(np.log(np.maximum(given, 1e-38)).astype(np.float32))

    def _ask(self) -> None:
        self._stopping |= not self._going_on(self.state)


def run_objective(
    objective: Reference,
    before: RowState,
    folder: Folder,
    arrays: Arrays,
    test_y: np.ndarray,
    going_on: GoingOn,
    log: logging.Logger,
) -> RowState:
    """Calls the function; gives what it came to. It has not ended where the function returned because of a stop.

    `before` is the trial as it was left: its params, and what an earlier call told. `going_on` hears of each
    report, and says whether the study goes on.

    Raises:
        Exception: whatever the function raises.
    """
    own = folder.trial(before.record.trial)
    own.mkdir(parents=True, exist_ok=True)
    trial = Trial(own, before, arrays, test_y, going_on)
    record = trial.record
    try:
        returned = objective.load("objective")(dict(record.params), trial)
        if trial.told_to_stop:
            log.info("stopped in epoch %d", record.epoch)
            return trial.state
        if returned is not None:
            trial.report(record.epoch, returned)
        if not record.best:
            raise TrialFailedError("it reported no value and returned none")
        _score(trial, arrays)
    except TrialFailedError as error:
        record.failure = str(error)
    record.stopped = True
    return trial.state


def _score(trial: Trial, arrays: Arrays) -> None:
    """Adds the log loss or rmse of what was saved, which breaks ties."""
    if _NAMES["validation"] in trial.predictions:
        proper = PROPER[arrays.target.task]
        prediction = trial.predictions[_NAMES["validation"]].unsqueeze(0)
        value = METRICS[proper].score(prediction, torch.tensor(arrays.validation.y))
        trial.record.best.setdefault(proper, float(value[0]))
