"""A training function of the user's own, `objective: my_train:train`; each trial is a leg of its own.

The function trains as it likes. The ledger, resuming, timeouts and, where it saves predictions, the ensemble work
as for built-in training.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from hpsearch.search import reports
from hpsearch.search.failures import users_frame
from hpsearch.search.reports import TrialFailedError

GoingOn = Callable[[RowState], bool]
_NAMES = {"validation": "best.prediction", "test": "test.prediction"}  # of tensors


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
        self.refusal: TrialFailedError | None = None  # the first; it fails the trial, whoever catches it
        self._interrupted: Exception | None = None  # the store or the ledger failed within a call of the function
        self._resumed = bool(self.record.curve)
        self._arrays, self._truth = arrays, {"validation": arrays.validation.y, "test": test_y}
        self._going_on = going_on
        self._exact: Tensor | None = (
            None  # validation predictions of this call, before they are rounded to float32
        )

    def report(
        self, *positional: Any, value: Any = reports.LEFT_OUT, step: Any = reports.LEFT_OUT, **unknown: Any
    ) -> None:
        """Report the value of the study's metric after a step, such as an epoch; the best one counts.

        Both are keywords: `trial.report(value=0.93, step=3)`. Steps are whole numbers from 0 and rise. What an
        earlier call of the function reported counts too, up to the step from which this one goes on.

        Raises:
            TrialFailedError: the value or the step is none; the trial then fails with this reason.
        """
        with self._refusing():
            reports.refuse_old_call(positional, {"value": value, "step": step, **unknown})
            number = reports.step_number(step, value)
            score = reports.metric_value(value, self._arrays.metric, f"step {number}")
            if self.record.curve and not self._resumed:
                reports.refuse_earlier(number, self.record.epoch)
            self._forget_from(number)
            self._enter(number, score)
        self._ask()

    def _forget_from(self, step: int) -> None:
        """Drop what an earlier call reported and saved from the step on at which this one goes on."""
        if not self._resumed:
            return
        self._resumed, record = False, self.record
        earlier, record.curve, record.best, record.best_epoch = record.curve, [], {}, None
        for before, _, then, _ in earlier:
            if before is not None and then is not None and before < step:
                self._enter(int(before), then)
        if record.saved_at is not None and record.saved_at >= step:
            self.predictions, record.saved_at = {}, None

    def _enter(self, epoch: int, value: float) -> None:
        record, metric = self.record, self._arrays.metric
        record.epoch = epoch
        record.curve.append([epoch, None, value, None])
        if not record.best or METRICS[metric].sign * (value - record.best[metric]) > 0:
            record.best, record.best_epoch = {metric: value}, epoch

    def should_stop(self) -> bool:
        """Whether to return soon: somebody stopped the study. The trial waits for the next launch.

        It is also true for a function that went on after a refusal: its trial has failed.
        """
        if self.refusal is not None:
            return True
        self._ask()
        self.told_to_stop |= self._stopping
        return self.told_to_stop

    @property
    def state(self) -> RowState:
        """What it has come to so far."""
        return RowState(self.record, self.predictions)

    def save_predictions(self, validation: Any, test: Any) -> None:
        """Keep predictions of the study's validation and test part, for the ensemble; the last ones count.

        Probabilities [N, C] in the order of the sorted classes, or values [N]. They must score the best value that
        the function reports: save those of its best step.

        Raises:
            TrialFailedError: the study names no data, or they do not fit them.
        """
        with self._refusing():
            given = {"validation": validation, "test": test}
            exact = {part: self._checked(part, one) for part, one in given.items()}
            values = self._arrays.target.task == "regression"
            self.predictions = {_NAMES[part]: one if values else one.float() for part, one in exact.items()}
            self._exact = exact["validation"]
            self.record.saved_at = self.record.epoch if self.record.curve else None

    def _checked(self, part: str, predicted: Any) -> Tensor:
        """Predictions of a part as float64: values, or log-probabilities."""
        target, rows = self._arrays.target, len(self._truth[part])
        if rows == 0:
            raise TrialFailedError("save_predictions: the study names no data to hold them against")
        given = reports.plain_array(predicted, part)
        wanted = (rows, target.outputs) if target.task == "classification" else (rows,)
        if given.shape != wanted:
            raise TrialFailedError(f"save_predictions: {part} must be {list(wanted)}, got {list(given.shape)}")
        if not np.isfinite(given).all():
            raise TrialFailedError(f"save_predictions: {part} holds NaN or infinity")
        if target.task == "regression":
            return torch.from_numpy(given)
        if (given < 0).any() or np.abs(given.sum(1) - 1).max() > 1e-3:
            raise TrialFailedError(f"save_predictions: {part} must be probabilities, whose rows sum to 1")
        return torch.from_numpy(np.log(np.maximum(given, 1e-38)))

    def take_returned(self, returned: Any) -> None:
        """Take the value that the function returned: one that it reported, or its only one.

        Raises:
            TrialFailedError: it is no value of the metric, or it contradicts the reports.
        """
        record, metric = self.record, self._arrays.metric
        if returned is not None:
            value = reports.metric_value(returned, metric, "the returned value")
            if record.curve:
                reports.refuse_contradiction(
                    value, [entry[2] for entry in record.curve if entry[2] is not None], metric
                )
            else:
                self._enter(record.epoch, value)
                self._ask()
        if not record.best:
            raise TrialFailedError("it reported no value and returned none")

    def score_predictions(self) -> None:
        """Hold the saved predictions against the best value, and add their log loss or rmse, which breaks ties.

        Raises:
            TrialFailedError: they do not score the best value.
        """
        stored = self.predictions.get(_NAMES["validation"])
        if stored is None:
            return
        record, target, metric, y = (
            self.record,
            self._arrays.target,
            self._arrays.metric,
            self._truth["validation"],
        )
        prediction = stored if self._exact is None else self._exact
        if METRICS[metric].take is not None and record.best_epoch is not None:
            best = (record.best[metric], record.best_epoch)
            reports.refuse_other_score(best, metric, prediction, y, record.saved_at, float(np.std(y)))
        proper = PROPER[target.task]
        record.best.setdefault(proper, float(METRICS[proper].score(stored.unsqueeze(0), torch.tensor(y))[0]))

    def raise_swallowed(self) -> None:
        """Raise what was raised within one of its calls and was caught by the function."""
        if self._interrupted is not None:
            raise self._interrupted
        if self.refusal is not None:
            raise self.refusal

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Keep a refusal beyond the function's own `except`; after one, every call is refused with its reason."""
        self.raise_swallowed()
        try:
            yield
        except TrialFailedError as error:
            self.refusal = error
            raise

    def _ask(self) -> None:
        try:
            self._stopping |= not self._going_on(self.state)
        except Exception as error:
            self._interrupted = error
            raise


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
        trial.raise_swallowed()
        if trial.told_to_stop:
            log.info("stopped in epoch %d", record.epoch)
            return trial.state
        trial.take_returned(returned)
        trial.score_predictions()
    except Exception as error:
        refusal = trial.refusal or error
        if not isinstance(refusal, TrialFailedError):
            raise
        log.error("trial %d is refused", record.trial, exc_info=refusal)
        record.failure = f"{refusal}{_place(refusal)}"
    record.stopped = True
    return trial.state


def _place(error: Exception) -> str:
    """The last line of the user's code that an error came through."""
    frame = users_frame(error)
    return "" if frame is None else f" (line {frame.lineno} of {Path(frame.filename).name})"
