"""What the checks on training work with: the study's own net and data, and short runs of it, side by side.

Runs of a check are rows of one pack: seeds, learning rates, losses. The data are a sample where there are many;
every example counts the same.
"""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from optuna.distributions import CategoricalDistribution
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hpsearch import keyed
from hpsearch.data.dataset import Arrays, Part, Target
from hpsearch.knobs import of_net
from hpsearch.metrics import PROPER
from hpsearch.nets.build import NETS, Net
from hpsearch.pack import fused
from hpsearch.pack.checkpoint import RowState
from hpsearch.pack.first import first_net, last_linear
from hpsearch.pack.forward import PREDICT
from hpsearch.pack.front import front_of
from hpsearch.pack.train import Pack, Settings
from hpsearch.prepared import Prepared
from hpsearch.recipe.size import Size, afforded
from hpsearch.space import Parameter, exists
from hpsearch.tricks.losses import log_probabilities

SEEDS = 4
STEPS, LONGER = 300, 900  # of a short run, and of one that is to come to something
RATES = (3e-4, 1e-3, 3e-3)
_LOOKS = 20  # at predictions, through a run
_PART = 64  # examples at a time
_SETTLING = 8  # batches from which the norms of a fresh net learn their statistics
_REGULARIZERS = ("train_share", "frozen_epochs", "features", "image_start")  # among the structural parameters


@dataclass(frozen=True)
class Run:
    """A short run of some rows. What a row that failed has not is NaN.

    `scores`: the best validation log loss or rmse of each row [K]; `curve`: the same through the run [T, K];
    `best`: predictions of the validation part at that epoch [K, N, …]; `loss`: the
    training loss of the last epoch [K]; `predicted`: of the training part at the end [K, N, …]; `watched`: of a
    fixed batch through the run [T, K, n, …]; `moved`: how far each tensor of the net went, {name: [K]}.
    """

    scores: np.ndarray
    best: Tensor
    curve: np.ndarray
    loss: np.ndarray
    predicted: Tensor
    watched: Tensor
    moved: Mapping[str, np.ndarray]
    nets: tuple[nn.Module, ...]
    failures: tuple[str | None, ...]
    epochs: int

    @property
    def failure(self) -> str | None:
        """The first row's that failed."""
        return next((failure for failure in self.failures if failure), None)


class Bench:
    """The study's net with the baseline's parameters (see `baseline`)."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.factory = prepared.net.factory()
        self.params, self.arrays = baseline(prepared), prepared.arrays
        self.metric = prepared.arrays.metric  # the study's; short runs choose their epochs by log loss or rmse
        self.size = self._afforded(int(self.params["batch_size"]))
        sampled, self.of = _sampled(prepared.arrays, self.size)
        self.arrays = replace(sampled, metric=self.proper)
        batch = self.size.batch or int(self.params["batch_size"])
        self.params["batch_size"] = min(batch, len(self.arrays.train.y))
        self.kept: dict[str, Any] = {}  # what one check leaves for another

    def _afforded(self, batch: int) -> Size:
        try:
            return afforded(self.net(), self.inputs(2), batch)
        except Exception:  # a net that cannot go forward: each check says so
            return Size()

    @property
    def target(self) -> Target:
        return self.arrays.target

    @property
    def is_classification(self) -> bool:
        return self.target.task == "classification"

    @property
    def proper(self) -> str:
        return PROPER[self.target.task]

    @property
    def plain_net(self) -> str:
        """Our net for such inputs: the study's own where it is one of ours."""
        if self.prepared.net.name in NETS:
            return self.prepared.net.name
        return "resnet" if len(self.arrays.input_shape) == 3 else "mlp"

    def with_plain(self, width: int | None = None) -> "Bench":
        """The same with our plain net for such inputs, of this width where one is given.

        What is no net's stays: the loss, the inputs; the batch, unless the net is too large for it.
        """
        name = self.plain_net
        table, theirs = of_net(name), (*self.prepared.net.takes, "prior_bias")
        kept = {key for key, knob in table.items() if not knob.nets and key not in theirs and key in self.params}
        other = self.on(self.arrays)
        other.factory = Net(name).factory()
        other.params = {key: self.params[key] if key in kept else knob.default for key, knob in table.items()}
        other.params |= {} if width is None else {"width": width}
        other.size = other._afforded(int(self.params["batch_size"]))
        other.params["batch_size"] = min(other.size.batch or self.params["batch_size"], self.params["batch_size"])
        return other

    def on(self, arrays: Arrays) -> "Bench":
        """The same on other rows."""
        other = copy(self)
        for name in ("baseline", "longer"):
            other.__dict__.pop(name, None)
        other.kept, other.arrays = {}, arrays
        return other

    # --- nets and what enters them ------------------------------------------------------------------------------

    def net(self, trial: int = 0) -> nn.Module:
        """A fresh net in training mode, as the trial of this number starts with it."""
        shape = front_of(self.params, self.arrays)[1]
        key = keyed.key(self.prepared.study.seed, trial, "weights")
        return first_net(self.factory, self.params, self.arrays, shape, key)

    def settled(self, net: nn.Module) -> nn.Module:
        """The net in evaluation mode, with batch norms that know the statistics of the training inputs."""
        norms = [m for m in net.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = None  # the running mean is then that of all batches
        with torch.no_grad():
            for part in self.inputs(_SETTLING * _PART).split(_PART) if norms else ():
                if len(part) > 1:  # one example has no spread
                    net.train()(part)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        return net.eval()

    def last(self, net: nn.Module) -> nn.Linear | None:
        return last_linear(net, self.target.outputs)

    def inputs(self, count: int) -> Tensor:
        """The first training inputs, as they enter the net."""
        return self._entering(self.arrays.train.x[:count])

    def held_out(self) -> Tensor:
        """The validation inputs, as they enter the net."""
        return self._entering(self.arrays.validation.x)

    def _entering(self, x: np.ndarray) -> Tensor:
        front = front_of(self.params, self.arrays)[0]
        with torch.no_grad():
            found: Tensor = torch.from_numpy(x.copy()) if front is None else front(torch.from_numpy(x.copy()))
        return found

    def outputs(self, pack: Pack) -> Tensor:
        """What the rows' nets put out for the training part, in evaluation mode, [K, N, C]."""
        parts = pack.examples.x.split(_PART)
        return torch.cat([PREDICT[pack.settings.forward](pack.rows, part) for part in parts], dim=1)

    def told(self, outputs: Tensor) -> Tensor:
        """A net's outputs [N, C] as log-probabilities, or as values [N] in the target's units."""
        if not self.is_classification:
            return outputs.squeeze(-1).double() * self.target.std + self.target.mean
        binary = torch.tensor([True]) if self.params["loss"] == "binary" else None
        return log_probabilities(outputs.unsqueeze(0), binary)[0]

    # --- runs ---------------------------------------------------------------------------------------------------

    def pack(self, rows: Sequence[Mapping[str, Any]], arrays: Arrays | None = None, evaluate: int = 1) -> Pack:
        """Rows that differ from the baseline by these changes, and in their seeds."""
        arrays = arrays or self.arrays
        settings = Settings(self.prepared.study.seed, self.factory, "loop", evaluate=evaluate)
        pack = Pack.start(settings, arrays, range(len(rows)), [self.params | dict(row) for row in rows])
        if fused.fits(pack.rows):
            pack.settings = replace(settings, forward="fused")
        elif len(arrays.input_shape) == 1 and len(rows) > 2:
            pack.settings = replace(settings, forward="vmap")
            if pack.check() is not None:
                pack.settings = settings
        return pack

    @property
    def is_full(self) -> bool:
        """Whether short runs are as long as they should be: else one that has learnt nothing tells little."""
        return self.size.cut == 1

    @property
    def longer_steps(self) -> int:
        return self.size.steps(LONGER)

    def run(
        self, rows: Sequence[Mapping[str, Any]], steps: int | None = None, arrays: Arrays | None = None
    ) -> Run:
        """Trains these rows for about so many steps, whole epochs; without a number, a short run's."""
        steps = steps or self.size.steps(STEPS)
        arrays = arrays or self.arrays
        per_epoch = max(len(arrays.train.y) // int((self.params | dict(rows[0]))["batch_size"]), 1)
        epochs = max(math.ceil(steps / per_epoch), 2)
        every = max(epochs // _LOOKS, 1)
        watch = _Watch(self.pack([{**row, "epochs": epochs} for row in rows], arrays, every), epochs, every)
        return watch.run()

    def trained_folds(self, row: Mapping[str, Any], arrays: Arrays) -> list[RowState]:
        """The states of one row trained on cross-validated arrays, one a fold."""
        per_epoch = max(len(arrays.train.y) // int((self.params | dict(row))["batch_size"]), 1)
        epochs = max(math.ceil(self.size.steps(2 * STEPS) / per_epoch), 2)
        pack = self.pack([{**row, "epochs": epochs}], arrays, max(epochs // _LOOKS, 1))
        pack.train()
        return pack.done

    @cached_property
    def baseline(self) -> Run:
        """Adam at 3e-4: seeds side by side."""
        return self.run([{} for _ in range(SEEDS)])

    @cached_property
    def longer(self) -> Run:
        """The baseline at three rates, two seeds each, for longer."""
        return self.run([{"lr": rate} for rate in RATES for _ in range(2)], self.longer_steps)


def baseline(prepared: Prepared) -> dict[str, Any]:
    """Adam at 3e-4, a constant rate, no regularizer; the study's first loss and first value of each structure."""
    params: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    for parameter in prepared.space.parameters:
        keeps = parameter.structural or parameter.name in ("loss", "prior_bias") or parameter.default is None
        here = keeps and parameter.name not in _REGULARIZERS and exists(parameter, chosen)
        params[parameter.name] = chosen[parameter.name] = _first(parameter) if here else parameter.default
    for name in ("dropout", "spatial_dropout"):
        if name in params:
            params[name] = 0.0
    return params


def _first(parameter: Parameter) -> Any:
    """The first or lowest value; of depths the first that is a net with a hidden layer."""
    distribution = parameter.distribution
    if distribution is None:
        return parameter.fixed
    if not isinstance(distribution, CategoricalDistribution):
        return max(parameter.bounds[0], 1) if parameter.name == "depth" else parameter.bounds[0]
    values = [value for value in distribution.choices if value != 0 or parameter.name != "depth"]
    return [*values, *distribution.choices][0]


def _sampled(arrays: Arrays, size: Size) -> tuple[Arrays, str]:
    """The parts without extra data and weights, and of many rows a sample that has every class."""
    parts: dict[str, Part] = {}
    rng = np.random.default_rng(0)
    for name, most in size.rows.items():
        part = getattr(arrays, name)
        kept = np.arange(len(part.own_y))
        if len(kept) > most:
            kept = rng.permutation(kept)
            if arrays.target.task == "classification":  # the first of each class, then the others
                first = np.unique(part.own_y[kept], return_index=True)[1]
                kept = np.concatenate([kept[first], np.delete(kept, first)])
            kept = np.sort(kept[:most])
        parts[name] = replace(part.at(kept), weight=None, extra=None)
    cut = len(parts["train"].y) < len(arrays.train.own_y)
    told = [f"on a sample of {len(parts['train'].y)} training rows"] if cut else []
    told += [size.told] if size.told else []
    return replace(
        arrays, train=parts["train"], validation=parts["validation"]
    ), f" ({', '.join(told)})" if told else ""


class _Watch:
    """A pack on its way to the end, and what is seen of it; rows by their trials' numbers."""

    def __init__(self, pack: Pack, epochs: int, every: int) -> None:
        self._pack, self._epochs, self._every = pack, epochs, every
        self._order = [record.trial for record in pack.records]
        self._nets = dict(zip(self._order, pack.rows.modules, strict=True))
        self._start = pack.rows.theta.clone()
        self._slots = list(pack.rows.slots)
        self._batch = pack.examples.x[:_PART]
        self._watched: dict[int, list[Tensor]] = {trial: [] for trial in self._order}
        self._last: dict[int, Tensor] = {}
        self._moved: dict[str, dict[int, float]] = {slot.name: {} for slot in self._slots}

    def run(self) -> Run:
        target, held, trained = self._pack.arrays.target, self._pack.arrays.validation, len(self._pack.examples)
        self._pack.train(on_epoch=self._look)
        states = sorted(self._pack.done, key=lambda state: state.record.trial)
        records = [state.record for state in states]
        proper = PROPER[target.task]
        tail = (target.outputs,) if target.task == "classification" else ()
        whole = [record.failure is None for record in records]
        curve = np.full((max(len(record.curve) for record in records), len(records)), np.nan)
        for k, record in enumerate(records):
            curve[: len(record.curve), k] = [entry[3] for entry in record.curve]
        looks = max(map(len, self._watched.values()))
        seen = [self._watched[r.trial] for r in records if len(self._watched[r.trial]) == looks]
        return Run(
            scores=np.array([r.best[proper] if ok else np.nan for r, ok in zip(records, whole, strict=True)]),
            best=_stacked([state.tensors.get("best.prediction") for state in states], (len(held.y), *tail)),
            curve=curve,
            loss=np.array([r.curve[-1][1] if ok else np.nan for r, ok in zip(records, whole, strict=True)], float),
            predicted=_stacked([self._last.get(record.trial) for record in records], (trained, *tail)),
            watched=torch.stack([torch.stack(one) for one in seen], dim=1) if looks else torch.zeros(0),
            moved={name: np.array([by.get(r.trial, np.nan) for r in records]) for name, by in self._moved.items()},
            nets=tuple(self._nets[record.trial] for record in records),
            failures=tuple(record.failure for record in records),
            epochs=self._epochs,
        )  # fmt: skip

    def _look(self, pack: Pack) -> bool:
        now = pack.records[0].epoch
        if now % self._every == 0 or now == self._epochs:
            for record, seen in zip(pack.records, pack.predict(self._batch), strict=True):
                self._watched[record.trial].append(seen)
        if now == self._epochs:
            self._last = {r.trial: p for r, p in zip(pack.records, pack.predict(pack.examples.x), strict=True)}
        if now != self._epochs and now % self._every:
            return True
        for k, record in enumerate(pack.records):
            gone = (pack.rows.theta[k] - self._start[self._order.index(record.trial)]).abs()
            for slot in self._slots:
                self._moved[slot.name][record.trial] = float(gone[slot.start : slot.stop].max())
        return True


def _stacked(found: Sequence[Tensor | None], shape: tuple[int, ...]) -> Tensor:
    """The tensors of all rows; NaN for a row that has none."""
    blank = next(
        (torch.full_like(one, torch.nan) for one in found if one is not None), torch.full(shape, torch.nan)
    )
    return torch.stack([blank if one is None else one for one in found])
