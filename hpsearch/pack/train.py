"""A pack in training: K trials of one shape, side by side, each with its own hyperparameters as columns.

Shapes: K rows, N examples of a batch, P parameters, C outputs, S steps of an epoch.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch import keyed
from hpsearch.data.dataset import Arrays
from hpsearch.metrics import METRICS, PROPER
from hpsearch.nets.front import Pieces, resampling
from hpsearch.nets.shape import Factory
from hpsearch.pack import snapshots
from hpsearch.pack.augment import Augment
from hpsearch.pack.average import Average
from hpsearch.pack.best import Best, rank
from hpsearch.pack.chance import Chance
from hpsearch.pack.checkpoint import Record, RowState
from hpsearch.pack.examples import Batch, Examples, share_of
from hpsearch.pack.first import body_of, first_net
from hpsearch.pack.forward import PREDICT, REFRESH, TRAIN, disagreement
from hpsearch.pack.front import front_of
from hpsearch.pack.loss import Losses
from hpsearch.pack.rows import Rows
from hpsearch.pack.update import Update
from hpsearch.tricks.augment import grown

_STATISTICS = 32  # batches over which the batch norms of averaged weights are estimated
_PART = 512  # validation examples at a time; the same for any number of rows, for the same bits


@dataclass(frozen=True)
class Settings:
    """What a pack's rows share."""

    seed: int
    factory: Factory
    forward: str = "vmap"
    device: str = "cpu"
    evaluate: int = 1  # epochs from one evaluation to the next
    dtype: torch.dtype = torch.float32


class Pack:
    """Trials in training as rows of one matrix.

    A row that reaches its last epoch, whose patience is over, or whose loss is no longer finite, leaves the matrix
    at the end of the epoch; its state is then in `done`.
    """

    def __init__(self, settings: Settings, arrays: Arrays, states: Sequence[RowState]) -> None:
        self.settings, self.arrays = settings, arrays
        self.done: list[RowState] = []
        states = sorted(states, key=lambda state: str(state.record.params["optimizer"]))  # few runs of one kind
        self.records = [_copied(state.record) for state in states]
        params, trials = self._params(), [record.seed for record in self.records]
        if len({int(p["batch_size"]) for p in params}) != 1:
            raise ValueError("the rows of a pack share their batch size")
        front, shape = front_of(params[0], arrays)
        modules = [
            first_net(settings.factory, p, arrays, shape, keyed.key(settings.seed, trial, "weights")).to(
                settings.dtype
            )
            for p, trial in zip(params, trials, strict=True)
        ]
        self.rows = Rows(modules, torch.device(settings.device))
        kept = share_of(arrays, float(params[0]["train_share"]), settings.seed)
        self.examples = Examples(arrays, self.rows.device, settings.dtype, front, kept)
        self.batch = min(int(params[0]["batch_size"]), len(self.examples))
        self.steps = max(len(self.examples) // self.batch, 1)  # an epoch leaves out what fills no batch
        self.body = body_of(self.rows, shape.outputs) if params[0]["frozen_epochs"] else None
        self.orders = keyed.keys(settings.seed, trials, "order")
        self.best = Best(self.rows, [state.tensors.get("best.prediction") for state in states])
        self.average = Average(self.rows, params, self.steps)
        self.snapshots = [snapshots.of_state(state.tensors) for state in states]
        self._restore(states)
        self._make_columns()
        pieces = next((stage for stage in front or () if isinstance(stage, Pieces)), None)
        self.augment = Augment(params, trials, settings.seed, shape.layout, self.rows.theta, pieces)
        self.chance = Chance(self.rows, settings.seed, trials, self.examples.x[: self.batch])

    @classmethod
    def start(
        cls, settings: Settings, arrays: Arrays, trials: Sequence[int], params: Sequence[Mapping[str, Any]]
    ) -> "Pack":
        """A pack at epoch 0, with each trial's first weights."""
        return cls(settings, arrays, [s for t, p in zip(trials, params, strict=True) for s in fresh(t, p, arrays)])

    # --- setting up -----------------------------------------------------------------------------------------

    def _params(self) -> list[Mapping[str, Any]]:
        return [record.params for record in self.records]

    def _make_columns(self) -> None:
        params = self._params()
        flags = self.examples.extra
        extra = 0.0 if flags is None else float(flags[: self.examples.labelled].double().mean())
        self.losses = Losses(params, self.arrays, self.rows.theta, extra)
        self.update = Update(self.rows, params, self.steps)

    def _restore(self, states: Sequence[RowState]) -> None:
        for k, state in enumerate(states):
            for name, matrix in self._stored().items():
                if name in state.tensors:
                    matrix[k].copy_(state.tensors[name])

    def _stored(self) -> dict[str, Tensor]:
        """Every stacked tensor that a row's state holds."""
        rows = self.rows
        return {
            "theta": rows.theta, "first": rows.first, "second": rows.second,
            **{f"buffer.{name}": rows.buffers[name] for name in rows.state_names()},
            **self.best.stacked(),
            **({"average.theta": self.average.theta} if self.average.places else {}),
        }  # fmt: skip

    def check(self) -> str | None:
        """Why this pack cannot go forward as its settings say, or None (see `forward.disagreement`).

        Float32 rounds a deep net's gradients apart, and a mean that is zero but for rounding has no digit right.
        So where a pack of float32 disagrees, float64 has the last word.
        """
        reason = self._disagreement()
        if reason is None or self.settings.dtype == torch.float64:
            return reason
        try:
            states = [self._state(k) for k in range(len(self.records))]
            twin = Pack(replace(self.settings, dtype=torch.float64), self.arrays, states)
            return None if twin._disagreement() is None else reason
        except Exception:  # a net that casts to float32 itself does not run in another precision
            return reason

    def _disagreement(self) -> str | None:
        batch = self.examples.batch(self.order()[:, : self.batch])
        batch = self.augment(self.losses.weighted(batch), self._epochs(), 0)
        self.chance.fill(self._epochs(), 0)
        way = "vmap" if self.settings.forward == "loop" else self.settings.forward
        return disagreement(self.rows, batch.x, partial(self.losses, batch=batch), way)

    # --- training -------------------------------------------------------------------------------------------

    def train(
        self, until: Mapping[int, int] | None = None, on_epoch: Callable[["Pack"], bool] | None = None
    ) -> None:
        """Trains to each trial's last epoch, or to `until[trial]`.

        `on_epoch` is called after each epoch; when it gives False, training stops there.
        """
        self._retire(until)
        while len(self.records):
            began = time.perf_counter()
            self._epoch()
            share = (time.perf_counter() - began) / len(self.records)
            for record in self.records:
                record.seconds += share
            going_on = on_epoch is None or on_epoch(self)
            self._retire(until)
            if not going_on:
                return

    def states(self) -> list[RowState]:
        """Every row, in training or done."""
        return self.done + [self._state(k) for k in range(len(self.records))]

    def _epoch(self) -> None:
        losses_K = self.steps_alone(self.order(), self.steps)
        for record in self.records:
            record.epoch += 1
        self._finish_epoch(losses_K.cpu().tolist())

    def order(self) -> np.ndarray:
        """The places of each row's examples in its next epoch, int64 [K, N]."""
        taught_K = np.array([float(p["distill"]) > 0 for p in self._params()])
        return self.examples.order(keyed.fold(self.orders, self._epochs()), taught_K, self._folds())

    def steps_alone(self, order_KN: np.ndarray, steps: int) -> Tensor:
        """The first steps of an epoch in this order of examples; gives each row's mean loss [K]."""
        epochs, steps = self._epochs(), min(steps, self.steps)
        self.update.begin(epochs)
        self.average.begin(epochs)
        sums_K = torch.zeros(len(self.records), dtype=torch.float64, device=self.rows.device)
        for s in range(steps):
            batch = self.entering(order_KN[:, s * self.batch : (s + 1) * self.batch], s)
            self.chance.fill(epochs, s)
            sums_K += TRAIN[self.settings.forward](self.rows, batch.x, partial(self.losses, batch=batch))
            with self._frozen(epochs) as held:
                self.update.step(s, held)
            self.average.step(s)
        return sums_K / steps

    def entering(self, order_KN: np.ndarray, step: int) -> Batch:
        """These examples as they enter the net in a step of this epoch: grown, augmented and mixed."""
        epochs = self._epochs()
        batch = self._small(self.examples.batch(order_KN), epochs)
        return self.augment(self.losses.weighted(batch), epochs, step)

    def _small(self, batch: Batch, epochs: np.ndarray) -> Batch:
        """The batch at the size to which its images have grown in these epochs."""
        params, full = self.records[0].params, batch.x.shape[-1]
        start = int(params.get("image_start") or 0)
        if not start or batch.x.dim() != 5:
            return batch
        if len(set(epochs.tolist())) > 1 or len({r.params["epochs"] for r in self.records}) > 1:
            raise ValueError("the rows of a pack whose images grow share their epoch")
        size = grown(float(epochs[0]) / int(params["epochs"]), start, full)
        if size == full:
            return batch
        sides = ((side, max(round(side * size / full), 1)) for side in batch.x.shape[-2:])
        rows, columns = (resampling(side, smaller).to(batch.x) for side, smaller in sides)
        return replace(batch, x=rows @ batch.x @ columns.T)

    @contextmanager
    def _frozen(self, epochs: np.ndarray) -> Iterator[tuple[Tensor, Tensor] | None]:
        """Holds what is not the head, in rows that are in their frozen epochs; gives these rows and places."""
        still = [k for k, r in enumerate(self.records) if epochs[k] < int(r.params["frozen_epochs"])]
        if self.body is None or not still:
            yield None
            return
        held = torch.tensor(still, device=self.rows.device).unsqueeze(1), self.body
        before = self.rows.theta[held]
        yield held
        self.rows.theta[held] = before

    def _folds(self) -> list[int | None]:
        return [record.fold for record in self.records]

    def _epochs(self) -> np.ndarray:
        return np.array([record.epoch for record in self.records])

    # --- evaluating -----------------------------------------------------------------------------------------

    def _finish_epoch(self, losses: list[float]) -> None:
        for record, loss in zip(self.records, losses, strict=True):
            if not np.isfinite(loss):
                record.failure = f"the training loss became {loss} in epoch {record.epoch}"
        due = [k for k, record in enumerate(self.records) if not record.failure and self._is_due(record)]
        if due:
            self._evaluate(losses, due)

    def _is_due(self, record: Record) -> bool:
        """Whether a row is to be evaluated after this epoch."""
        every = self.settings.evaluate
        return record.epoch % every == 0 or record.epoch >= record.last_epoch or self._has_minimum(record)

    def _has_minimum(self, record: Record) -> bool:
        return record.epoch in snapshots.epochs_of_minima(record.params)

    def predict(self, x: Tensor) -> Tensor:
        """Log-probabilities [K, N, C] or values [K, N] in the target's units, of the rows as they are now."""
        return self._told([PREDICT[self.settings.forward](self.rows, part) for part in x.split(_PART)])

    def _told(self, outputs: Sequence[Tensor]) -> Tensor:
        """What nets put out for some examples after others, as log-probabilities or values."""
        together, target = torch.cat(list(outputs), dim=1), self.arrays.target
        if target.task == "classification":
            return self.losses.log_probabilities(together)
        return together.squeeze(-1).double() * target.std + target.mean

    def _judged(self) -> list[tuple[Tensor, Tensor]]:
        """What each row predicts of the examples that it is judged on, and the truth of these."""
        x, y = self.examples.x_validation, self.examples.y_validation
        places = self.examples.held_out(self._folds())
        if places is None:
            return [(prediction, y) for prediction in self.predict(x)]
        longest = max(map(len, places))
        even_KM = torch.from_numpy(np.stack([np.resize(own, longest) for own in places])).to(self.rows.device)
        forward = partial(PREDICT[self.settings.forward], self.rows, own=True)
        predictions = self._told([forward(x[part]) for part in even_KM.split(_PART, dim=1)])
        truths = [y[torch.from_numpy(own).to(y.device)] for own in places]
        return [(found[: len(own)], own) for found, own in zip(predictions, truths, strict=True)]

    def _evaluate(self, losses: list[float], due: list[int]) -> None:
        """Scores rows as they are, and with their averaged weights where they have them; keeps what is best."""
        metric, proper = self.arrays.metric, PROPER[self.arrays.target.task]
        prediction, scores = self._scores()
        better = []
        for k in due:
            record, now = self.records[k], scores[k]
            broken = next((name for name in (metric, proper) if not np.isfinite(now[name])), None)
            if broken is not None:
                record.failure = f"the validation {broken} became {now[broken]} in epoch {record.epoch}"
                continue
            record.curve.append([record.epoch, losses[k], now[metric], now[proper]])
            if self._has_minimum(record):
                record.snapshots[str(record.epoch)] = now
                self.snapshots[k] |= snapshots.taken(self.rows, k, record.epoch, prediction[k])
            if self._is_better(record, now):
                record.best, record.best_epoch, record.best_kind = now, record.epoch, "best"
                better.append(k)
        self.best.take(better, prediction)
        averaged = [k for k in due if self.average.differs(k) and not self.records[k].failure]
        if averaged:
            self._evaluate_averages(averaged)
        for record in (self.records[k] for k in due):
            patience = int(record.params["patience"])
            waits = record.params["schedule"] == "cyclic" and not self._has_minimum(record)  # for its rate to fall
            record.stopped = bool(patience) and not waits and record.epoch - (record.best_epoch or 0) >= patience

    def _evaluate_averages(self, due: list[int]) -> None:
        metric, proper = self.arrays.metric, PROPER[self.arrays.target.task]
        self.chance.still()
        batches = self.examples.spread(self.batch, min(self.steps, _STATISTICS), self._folds())
        refresh = partial(REFRESH[self.settings.forward], own=self.arrays.folds is not None)
        with self.average.in_place(refresh, batches):
            prediction, scores = self._scores()
            better = []
            for k in due:
                record, now = self.records[k], scores[k]
                if not all(np.isfinite(value) for value in now.values()):
                    continue
                record.average_curve.append([record.epoch, now[metric], now[proper]])
                if self._is_better(record, now):
                    record.best, record.best_epoch, record.best_kind = now, record.epoch, "average"
                    better.append(k)
            self.best.take(better, prediction)

    def _scores(self) -> tuple[list[Tensor], list[dict[str, float]]]:
        """The validation part's predictions, and each row's scores."""
        judged, names = self._judged(), {self.arrays.metric, PROPER[self.arrays.target.task]}
        scores: list[dict[str, float]] = [{} for _ in judged]
        for fold in dict.fromkeys(self._folds()):  # the rows of one are judged on the same examples
            rows = [k for k, record in enumerate(self.records) if record.fold == fold]
            predictions, truth = torch.stack([judged[k][0] for k in rows]), judged[rows[0]][1]
            for name in names:
                for k, score in zip(rows, METRICS[name].score(predictions, truth).tolist(), strict=True):
                    scores[k][name] = float(score)
        return [prediction for prediction, _ in judged], scores

    def _is_better(self, record: Record, scores: Mapping[str, float]) -> bool:
        metric, proper = self.arrays.metric, PROPER[self.arrays.target.task]
        return not record.best or rank(scores, metric, proper) > rank(record.best, metric, proper)

    # --- leaving --------------------------------------------------------------------------------------------

    def _retire(self, until: Mapping[int, int] | None) -> None:
        """Takes out the rows that have reached their end, or failed."""

        def ended(record: Record) -> bool:
            goal = record.last_epoch
            if until is not None:
                goal = min(goal, until.get(record.trial, goal))
            return record.ended or record.epoch >= goal

        leaving = [k for k, record in enumerate(self.records) if ended(record)]
        if not leaving:
            return
        self.done += [self._state(k) for k in leaving]
        self._keep([k for k in range(len(self.records)) if k not in leaving])

    def _state(self, k: int) -> RowState:
        tensors = {name: matrix[k].clone() for name, matrix in self._stored().items()}
        best = self.best.predictions[k]
        if best is not None:
            tensors["best.prediction"] = best
        return RowState(_copied(self.records[k]), tensors | self.snapshots[k])

    def _keep(self, places: list[int]) -> None:
        self.records = [self.records[k] for k in places]
        if not places:
            return
        self.rows.keep(places)
        self.best.keep(places)
        self.orders = self.orders[places]
        self.average.keep(places, self._params())
        self.snapshots = [self.snapshots[k] for k in places]
        self._make_columns()
        self.augment.keep(places)
        self.chance.keep(places)


def fresh(trial: int, params: Mapping[str, Any], arrays: Arrays, own: bool = False) -> list[RowState]:
    """A trial's rows before their first epoch: one, or in cross-validation one a fold."""
    folds = [None] if arrays.folds is None else range(arrays.folds.max() + 1)
    return [RowState(Record(trial, dict(params), own=own, fold=fold), {}) for fold in folds]


def _copied(record: Record) -> Record:
    """A record whose lists are its own."""
    return replace(
        record,
        curve=list(record.curve),
        average_curve=list(record.average_curve),
        snapshots=dict(record.snapshots),
    )
