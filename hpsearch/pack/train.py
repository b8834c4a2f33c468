"""A pack in training: K trials of one shape, side by side, each with its own hyperparameters as columns.

Shapes: K rows, N examples of a batch, P parameters, C outputs, S steps of an epoch.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from hpsearch import keyed
from hpsearch.data.dataset import Arrays
from hpsearch.metrics import METRICS, PROPER
from hpsearch.nets.build import build
from hpsearch.nets.layers import Dropout
from hpsearch.nets.shape import Factory, Shape
from hpsearch.pack.checkpoint import Record, RowState
from hpsearch.pack.forward import PREDICT, TRAIN, disagreement
from hpsearch.pack.masks import Masks
from hpsearch.pack.rows import Rows
from hpsearch.tricks.losses import DISTILLED, LOSSES
from hpsearch.tricks.optimizers import OPTIMIZERS, Now, Slab, clip_, unbias
from hpsearch.tricks.schedules import rates

_COLUMNS = ("lr", "lr_min", "warmup", "cycles", "weight_decay", "momentum", "clip")  # held on the host too
_PART = 512  # validation examples at a time; the same for any number of rows, for the same bits
_LOSS_COLUMNS = ("label_smoothing", "distill", "temperature")


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

    A row that reaches its last epoch, or whose loss is no longer finite, leaves the matrix at the end of the
    epoch; its state is then in `done`.
    """

    def __init__(self, settings: Settings, arrays: Arrays, states: Sequence[RowState]) -> None:
        self.settings, self.arrays = settings, arrays
        self.device = torch.device(settings.device)
        self.done: list[RowState] = []
        self.masks: Masks | None = None
        states = sorted(states, key=lambda state: str(state.record.params["optimizer"]))  # few runs of one kind
        self.records = [replace(state.record, curve=list(state.record.curve)) for state in states]
        params = [record.params for record in self.records]
        if len({int(p["batch_size"]) for p in params}) != 1:
            raise ValueError("the rows of a pack share their batch size")
        shape = Shape(arrays.input_shape, arrays.target.outputs)
        modules = [
            build(settings.factory, r.params, shape, keyed.key(settings.seed, r.trial, "weights")).to(
                settings.dtype
            )
            for r in self.records
        ]
        self.rows = Rows(modules, self.device)
        self.batch = min(int(params[0]["batch_size"]), len(arrays.train.y))
        self.steps = max(len(arrays.train.y) // self.batch, 1)  # an epoch leaves out what fills no batch
        self._place_data()
        self._make_columns()
        self._restore(states)
        self._notice_draws()
        self._shape_masks()

    @classmethod
    def start(
        cls, settings: Settings, arrays: Arrays, trials: Sequence[int], params: Sequence[Mapping[str, Any]]
    ) -> "Pack":
        """A pack at epoch 0, with each trial's first weights."""
        states = [RowState(Record(t, dict(p)), {}) for t, p in zip(trials, params, strict=True)]
        return cls(settings, arrays, states)

    # --- setting up -----------------------------------------------------------------------------------------

    def _place_data(self) -> None:
        def place(array: np.ndarray) -> Tensor:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # shared arrays are read-only, and only read
                tensor = torch.from_numpy(array).to(self.device)
            return tensor.to(self.settings.dtype) if tensor.is_floating_point() else tensor

        a = self.arrays
        self.x_train, self.y_train = place(a.train.x), place(a.target.scaled(a.train.y))
        self.x_validation = place(a.validation.x)
        self.y_validation = torch.tensor(a.validation.y, device=self.device)  # in its own precision
        self.teacher = None if a.teacher is None else place(a.teacher)

    def _make_columns(self) -> None:
        params = [record.params for record in self.records]
        self.host = {name: np.array([[float(p[name])] for p in params]) for name in _COLUMNS}
        self.columns = {
            name: torch.tensor([float(p[name]) for p in params], dtype=self.settings.dtype, device=self.device)
            for name in (*_COLUMNS, *_LOSS_COLUMNS)
        }
        self.schedules = [str(p["schedule"]) for p in params]
        self.total = np.array([[int(p["epochs"]) * self.steps] for p in params])
        trials = [record.trial for record in self.records]
        self.keys = {use: keyed.keys(self.settings.seed, trials, use) for use in ("order", "dropout", "net's own")}
        self.clips = bool((self.host["clip"] > 0).any())
        self.slabs = list(self._cut_slabs())

    def _cut_slabs(self) -> Iterator[tuple[str, slice, Slab]]:
        """The rows of each kind of optimizer; they lie side by side."""
        rows = self.rows
        decay_K1, momentum_K1 = (self.columns[name].unsqueeze(1) for name in ("weight_decay", "momentum"))
        kinds = [str(record.params["optimizer"]) for record in self.records]
        for kind in sorted(set(kinds)):
            run = slice(kinds.index(kind), kinds.index(kind) + kinds.count(kind))
            yield kind, run, Slab(
                rows.theta[run], rows.grad[run], rows.first[run], rows.second[run], rows.work[run],
                decay_K1[run], momentum_K1[run], by_row=self.device.type == "cpu",
            )  # fmt: skip

    def _restore(self, states: Sequence[RowState]) -> None:
        rows = self.rows
        self.best_theta = rows.theta.clone()
        self.best_buffers = {name: rows.buffers[name].clone() for name in rows.state_names()}
        self.best_prediction: list[Tensor | None] = [s.tensors.get("best.prediction") for s in states]
        for k, state in enumerate(states):
            for name, matrix in self._stored().items():
                if name in state.tensors:
                    matrix[k].copy_(state.tensors[name])

    def _stored(self) -> dict[str, Tensor]:
        """Every stacked tensor that a row's state holds."""
        rows = self.rows
        return {
            "theta": rows.theta, "first": rows.first, "second": rows.second, "best.theta": self.best_theta,
            **{f"buffer.{name}": rows.buffers[name] for name in rows.state_names()},
            **{f"best.buffer.{name}": tensor for name, tensor in self.best_buffers.items()},
        }  # fmt: skip

    def _notice_draws(self) -> None:
        """Finds out whether the net draws random numbers in a pass of its own, from torch's stream."""
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            before = self._streams()
            self._pass_quietly()
            drew = any(not torch.equal(a, b) for a, b in zip(before, self._streams(), strict=True))
        self.rows.draws = [0] * len(self.records) if drew else None

    def _streams(self) -> list[Tensor]:
        cuda = [torch.cuda.get_rng_state(self.device)] if self.device.type == "cuda" else []
        return [torch.get_rng_state(), *cuda]

    def _pass_quietly(self) -> None:
        """One pass of the first row in training mode, which leaves its buffers as they were."""
        rows = self.rows
        before = {name: tensor.clone() for name, tensor in rows.buffers.items()}
        with torch.no_grad():
            rows.modules[0].train()(self.x_train[: self.batch])
        rows.collect_reassigned(0)
        for name, tensor in before.items():
            rows.buffers[name].copy_(tensor)

    def _shape_masks(self) -> None:
        """Finds the shape of each dropout layer's input by one quiet pass, and makes room for the masks."""
        rows = self.rows
        self.masks = None
        drop = {name: rows.buffers[f"{name}.p".lstrip(".")] for name in rows.dropouts}
        if not any(bool((p > 0).any()) for p in drop.values()):
            return
        layers = {name: rows.modules[0].get_submodule(name) for name in drop}
        shapes: dict[str, list[torch.Size]] = {name: [] for name in drop}
        for layer in rows.dropout_layers:
            layer.count_calls()
        hooks = [layer.register_forward_pre_hook(_note_shape(shapes, name)) for name, layer in layers.items()]
        self._pass_quietly()
        for hook in hooks:
            hook.remove()
        calls = [(name, i, shape) for name, found in shapes.items() for i, shape in enumerate(found)]
        if not calls:
            return
        outs = [
            torch.ones(len(rows), *shape, dtype=self.settings.dtype, device=self.device) for _, _, shape in calls
        ]
        for (name, i, _), out in zip(calls, outs, strict=True):
            rows.set_buffer(f"{name}.{Dropout.mask_name(i)}".lstrip("."), out)
        for name in drop:
            for module in rows.modules:
                cast(Dropout, module.get_submodule(name)).expect(len(shapes[name]))
        self.masks = Masks([drop[name] for name, _, _ in calls], outs)

    def check(self) -> str | None:
        """Why this pack cannot go forward as its settings say, or None (see `forward.disagreement`)."""
        order_KN = keyed.permutations(self.keys["order"], len(self.y_train))
        x, y, teacher = _Batches(self, order_KN)[0]
        self._fill_masks(0)
        way = "vmap" if self.settings.forward == "loop" else self.settings.forward
        return disagreement(self.rows, x, partial(self._losses, y_KN=y, teacher=teacher), way)

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
        epochs = np.array([record.epoch for record in self.records])
        order_KN = keyed.permutations(keyed.fold(self.keys["order"], epochs), len(self.y_train))
        losses_K = self.steps_alone(order_KN, self.steps)
        for record in self.records:
            record.epoch += 1
        self._finish_epoch(losses_K.cpu().tolist())

    def steps_alone(self, order_KN: np.ndarray, steps: int) -> Tensor:
        """The first steps of an epoch in this order of examples; gives each row's mean loss [K]."""
        epochs = np.array([record.epoch for record in self.records])
        step_KS = epochs[:, None] * self.steps + np.arange(self.steps)
        lr_KS = rates(self.schedules, self.host, step_KS, self.total)
        moving = torch.from_numpy(np.stack([lr_KS, step_KS + 1, *unbias(step_KS + 1)])).to(
            self.device, self.settings.dtype
        )
        sums_K = torch.zeros(len(self.records), dtype=torch.float64, device=self.device)
        batches = _Batches(self, order_KN)
        for s in range(min(steps, self.steps)):
            x, y, teacher = batches[s]
            self._fill_masks(s)
            loss = partial(self._losses, y_KN=y, teacher=teacher)
            sums_K += TRAIN[self.settings.forward](self.rows, x, loss)
            self._step(Now(*moving[..., s : s + 1]))
        return sums_K / min(steps, self.steps)

    def _losses(self, outputs: Tensor, rows: slice, *, y_KN: Tensor, teacher: Tensor | None) -> Tensor:
        columns = {name: self.columns[name][rows] for name in _LOSS_COLUMNS}
        task = self.arrays.target.task
        loss_KN = LOSSES[task](outputs, y_KN[rows], columns)
        if teacher is not None:
            loss_KN = DISTILLED[task](loss_KN, outputs, teacher[rows], columns)
        return loss_KN.mean(1)

    def _fill_masks(self, step: int) -> None:
        epochs = np.array([record.epoch for record in self.records])
        if self.masks is not None:
            for layer in self.rows.dropout_layers:
                layer.restart()
            self.masks.fill(keyed.fold(self.keys["dropout"], epochs, step))
        if self.rows.draws is not None:
            self.rows.draws = keyed.fold(self.keys["net's own"], epochs, step).tolist()

    def _step(self, now: Now) -> None:
        if self.clips:
            clip_(self.rows.grad, self.columns["clip"])
        for kind, run, slab in self.slabs:
            OPTIMIZERS[kind](slab, now.of(run))

    # --- evaluating -----------------------------------------------------------------------------------------

    def _finish_epoch(self, losses: list[float]) -> None:
        for record, loss in zip(self.records, losses, strict=True):
            if not np.isfinite(loss):
                record.failure = f"the training loss became {loss} in epoch {record.epoch}"
        last = [r.epoch % self.settings.evaluate == 0 or r.epoch >= int(r.params["epochs"]) for r in self.records]
        if any(last):
            self._evaluate(losses, last)

    def predict(self, x: Tensor) -> Tensor:
        """Log-probabilities [K, N, C] or values [K, N] in the target's units, of the rows as they are now."""
        outputs = torch.cat([PREDICT[self.settings.forward](self.rows, part) for part in x.split(_PART)], dim=1)
        target = self.arrays.target
        if target.task == "classification":
            return log_softmax(outputs, dim=-1)
        return outputs.squeeze(-1).double() * target.std + target.mean

    def _evaluate(self, losses: list[float], due: list[bool]) -> None:
        prediction = self.predict(self.x_validation)
        metric, proper = self.arrays.metric, PROPER[self.arrays.target.task]
        scores = {name: METRICS[name].score(prediction, self.y_validation).tolist() for name in {metric, proper}}
        better = []
        for k, record in enumerate(self.records):
            if not due[k] or record.failure:
                continue
            now = {name: float(values[k]) for name, values in scores.items()}
            broken = next((name for name in (metric, proper) if not np.isfinite(now[name])), None)
            if broken is not None:
                record.failure = f"the validation {broken} became {now[broken]} in epoch {record.epoch}"
                continue
            record.curve.append([record.epoch, losses[k], now[metric], now[proper]])
            if not record.best or _rank(now, metric, proper) > _rank(record.best, metric, proper):
                record.best, record.best_epoch = now, record.epoch
                better.append(k)
        self._keep_best(better, prediction)

    def _keep_best(self, better: list[int], prediction: Tensor) -> None:
        if not better:
            return
        index = torch.tensor(better, device=self.device)
        self.best_theta[index] = self.rows.theta[index]
        for name, tensor in self.best_buffers.items():
            tensor[index] = self.rows.buffers[name][index]
        for k in better:
            self.best_prediction[k] = prediction[k].cpu().clone()

    # --- leaving --------------------------------------------------------------------------------------------

    def _retire(self, until: Mapping[int, int] | None) -> None:
        """Takes out the rows that have reached their end, or failed."""

        def ended(record: Record) -> bool:
            goal = int(record.params["epochs"])
            if until is not None:
                goal = min(goal, until.get(record.trial, goal))
            return record.failure is not None or record.epoch >= goal

        leaving = [k for k, record in enumerate(self.records) if ended(record)]
        if not leaving:
            return
        self.done += [self._state(k) for k in leaving]
        staying = [k for k in range(len(self.records)) if k not in leaving]
        self._keep(staying)

    def _state(self, k: int) -> RowState:
        tensors = {name: matrix[k].clone() for name, matrix in self._stored().items()}
        best = self.best_prediction[k]
        if best is not None:
            tensors["best.prediction"] = best
        return RowState(replace(self.records[k], curve=list(self.records[k].curve)), tensors)

    def _keep(self, places: list[int]) -> None:
        self.records = [self.records[k] for k in places]
        if not places:
            return
        index = torch.tensor(places, device=self.device)
        self.rows.keep(places)
        self.best_theta = self.best_theta[index]
        self.best_buffers = {name: tensor[index] for name, tensor in self.best_buffers.items()}
        self.best_prediction = [self.best_prediction[k] for k in places]
        self._make_columns()
        self._shape_masks()


class _Batches:
    """One epoch's batches: (x [K, N, ...], y [K, N], teacher [K, N, C] or None), gathered one at a time."""

    def __init__(self, pack: Pack, order_KN: np.ndarray) -> None:
        self.pack, self.order_KN = pack, torch.from_numpy(order_KN).to(pack.device)

    def __len__(self) -> int:
        return self.pack.steps

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor, Tensor | None]:
        if step >= len(self):
            raise IndexError(step)
        pack = self.pack
        index = self.order_KN[:, step * pack.batch : (step + 1) * pack.batch]
        flat, size = index.reshape(-1), tuple(index.shape)
        teacher = None if pack.teacher is None else pack.teacher.index_select(0, flat).unflatten(0, size)
        x = pack.x_train.index_select(0, flat).unflatten(0, size)
        return x, pack.y_train.index_select(0, flat).unflatten(0, size), teacher


def _rank(scores: Mapping[str, float], metric: str, proper: str) -> tuple[float, float]:
    """Sorts results: the study's metric first, ties by log loss or rmse; more is better."""
    return METRICS[metric].sign * scores[metric], METRICS[proper].sign * scores[proper]


def _note_shape(shapes: dict[str, list[torch.Size]], name: str) -> Callable[..., None]:
    def hook(module: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shapes[name].append(inputs[0].shape)

    return hook
