"""Every hyperparameter that a study may name: its kind, its limits, its default.

The defaults are the plain baseline: Adam at 3e-4, a constant rate, no regularizer.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hpsearch.nets.layers import ACTIVATIONS, HEADS, NORMS
from hpsearch.study import Param, Range
from hpsearch.tricks.averaging import AVERAGES
from hpsearch.tricks.losses import LOSSES
from hpsearch.tricks.optimizers import OPTIMIZERS
from hpsearch.tricks.schedules import SCHEDULES

ON = "on"  # any value of a parameter but its `off`


@dataclass(frozen=True)
class Knob:
    """`structural`: decides the shape of a net or a batch, so it is drawn once a block.

    `low` and `high` are the limits; `open_low` and `open_high` leave the limit itself out. `off` is the value
    that the word `off` stands for. `task`: makes sense for this task alone.
    """

    kind: type
    default: Any
    low: float = -math.inf
    high: float = 1e9  # nothing sensible is larger, and float(10**400) is an error
    open_low: bool = False
    open_high: bool = False
    choices: Sequence[str] = ()
    structural: bool = False
    off: Any = None
    task: str | None = None
    of: Sequence[str] = ()  # makes sense for inputs of these kinds alone: images, tables, arrays; none named: all
    numbers: bool = False  # acts on numbers, of which a table of categories has none
    needs: tuple[str, ...] = ()  # a parameter, and its values with which alone this acts
    nets: Sequence[str] = ()  # those that take it; none named: training takes it, whatever the net
    internal: bool = False  # set by the pipeline, not by a study

    def fault(self, value: Any) -> str | None:
        """What is wrong with a value, or None."""
        if self.kind is object:
            return None
        if self.kind is str:
            return None if value in self.choices else f"must be one of {', '.join(sorted(self.choices))}"
        if self.kind is bool:
            return None if isinstance(value, bool) else "must be true or false"
        if isinstance(value, bool) or not isinstance(value, int if self.kind is int else int | float):
            return "must be a whole number" if self.kind is int else "must be a number"
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return None if above and below else f"must be {self._limits()}"

    def _limits(self) -> str:
        low = "" if self.low == -math.inf else f"{'above' if self.open_low else 'at least'} {self.low:g}"
        high = "" if self.high == math.inf else f"{'below' if self.open_high else 'at most'} {self.high:g}"
        return " and ".join(part for part in (low, high) if part)


_FLAT = ("tables", "arrays")
KNOBS: dict[str, Knob] = {
    # the run
    "epochs": Knob(int, 40, low=1),
    "batch_size": Knob(int, 64, low=1, structural=True),
    # the net
    "width": Knob(int, 128, low=1, structural=True, nets=("mlp", "resnet")),
    "depth": Knob(int, 2, low=0, structural=True, nets=("mlp", "resnet")),
    "norm": Knob(str, "none", choices=tuple(NORMS), off="none", structural=True, nets=("mlp", "resnet")),
    "activation": Knob(str, "relu", choices=tuple(ACTIVATIONS), structural=True, nets=("mlp", "resnet")),
    "skip": Knob(bool, False, off=False, nets=("mlp", "resnet")),
    "dropout": Knob(float, 0.0, low=0, high=1, open_high=True, off=0.0),
    "spatial_dropout": Knob(float, 0.0, low=0, high=1, open_high=True, off=0.0, nets=("resnet",)),
    "head": Knob(str, "pooled", choices=HEADS, structural=True, nets=("resnet",)),
    "prior_bias": Knob(bool, True, off=False),
    "frozen_epochs": Knob(int, 0, low=0, off=0, structural=True),
    # the optimizer
    "optimizer": Knob(str, "adam", choices=tuple(OPTIMIZERS)),
    "lr": Knob(float, 3e-4, low=0, open_low=True),
    "momentum": Knob(float, 0.9, low=0, high=1, open_high=True, off=0.0, needs=("optimizer", "sgd", "nesterov")),
    "weight_decay": Knob(float, 0.0, low=0, off=0.0),
    "clip": Knob(float, 0.0, low=0, off=0.0),  # the largest norm of a gradient; 0: as it is
    "schedule": Knob(str, "constant", choices=tuple(SCHEDULES), off="constant"),
    "warmup": Knob(float, 0.0, low=0, high=1, off=0.0),
    "cycles": Knob(int, 1, low=1, needs=("schedule", "cyclic")),
    "lr_min": Knob(float, 0.0, low=0, needs=("schedule", "cosine", "one_cycle", "step", "cyclic")),
    "lr_drops": Knob(int, 2, low=1, needs=("schedule", "step")),
    "lr_decay": Knob(float, 0.1, low=0, high=1, open_low=True, open_high=True, needs=("schedule", "step")),
    "average": Knob(str, "none", choices=tuple(AVERAGES), off="none"),
    "average_span": Knob(float, 0.1, low=0, high=1, open_low=True, needs=("average", "ema", "swa")),
    "patience": Knob(int, 0, low=0, off=0),
    # the loss
    "loss": Knob(str, None, choices=tuple(name for losses in LOSSES.values() for name in losses)),
    "focal_gamma": Knob(float, 2.0, low=0, high=20, task="classification", needs=("loss", "focal")),
    "huber_delta": Knob(float, 1.0, low=0, open_low=True, task="regression", needs=("loss", "huber")),
    "label_smoothing": Knob(float, 0.0, low=0, high=1, open_high=True, off=0.0, task="classification"),
    "class_weights": Knob(float, 0.0, low=0, high=2, off=0.0, task="classification"),
    "flood": Knob(float, 0.0, low=0, off=0.0),
    "extra_weight": Knob(float, 1.0, low=0, high=1000),
    # the inputs
    "features": Knob(float, 1.0, low=0, open_low=True, high=1, off=1.0, structural=True, of=_FLAT),
    "scaling": Knob(
        str, "standard", choices=("standard", "quantile"), off="standard", structural=True, of=_FLAT, numbers=True
    ),
    "pieces": Knob(int, 0, low=0, high=512, off=0, structural=True, of=_FLAT, numbers=True),
    "embedding": Knob(int, 0, low=0, high=512, off=0, structural=True, of=("tables",), nets=("mlp",)),
    "periodic": Knob(int, 0, low=0, high=512, off=0, structural=True, of=_FLAT, nets=("mlp",), numbers=True),
    "periodic_scale": Knob(
        float, 1.0, low=0, open_low=True, of=_FLAT, nets=("mlp",), numbers=True, needs=("periodic", ON)
    ),
    "image_size": Knob(int, 0, low=0, high=4096, off=0, structural=True, of=("images",)),
    "image_start": Knob(
        int,
        0,
        low=0,
        high=4096,
        off=0,
        structural=True,
        of=("images",),
        nets=("resnet",),
        needs=("head", "pooled"),
    ),
    "train_share": Knob(float, 1.0, low=0, open_low=True, high=1, off=1.0, structural=True),
    # the training inputs alone
    "shift": Knob(float, 0.0, low=0, high=1, open_high=True, off=0.0, of=("images",)),
    "flip": Knob(float, 0.0, low=0, high=1, off=0.0, of=("images",)),
    "rotation": Knob(float, 0.0, low=0, high=180, off=0.0, of=("images",)),
    "scale": Knob(float, 0.0, low=0, high=4, off=0.0, of=("images",)),
    "erasing": Knob(float, 0.0, low=0, high=1, off=0.0, of=("images",)),
    "brightness": Knob(float, 0.0, low=0, high=10, off=0.0, of=("images",)),
    "contrast": Knob(float, 0.0, low=0, high=10, off=0.0, of=("images",)),
    "noise": Knob(float, 0.0, low=0, high=10, off=0.0, numbers=True),
    "swap_noise": Knob(float, 0.0, low=0, high=1, open_high=True, off=0.0, of=("tables",)),
    "mixup": Knob(float, 0.0, low=0, high=100, off=0.0),
    "cutmix": Knob(float, 0.0, low=0, high=100, off=0.0, of=("images",)),
    # of a trial that goes on, or ends before its schedule does
    "stop": Knob(int, 0, low=0, internal=True),
    "begins": Knob(float, 0.0, low=0, high=1, open_high=True, internal=True),
    # a teacher
    "distill": Knob(float, 0.0, low=0, high=1, internal=True),
    "temperature": Knob(float, 1.0, low=0, open_low=True, internal=True),
}


# what a net has for a default in place of KNOBS'
_DEFAULTS: dict[str, dict[str, Any]] = {"resnet": {"width": 16, "depth": 1, "norm": "batch", "skip": True}}


def of_net(name: str) -> dict[str, Knob]:
    """What a study with one of our nets may name, and what the pipeline sets."""
    table = {key: knob for key, knob in KNOBS.items() if not knob.nets or name in knob.nets}
    return table | {key: replace(table[key], default=value) for key, value in _DEFAULTS.get(name, {}).items()}


def of_own(named: Mapping[str, Any], entries: Mapping[str, Param], anything: bool) -> dict[str, Knob]:
    """The same with a net of the user's own.

    `named`: what its factory's signature names, with defaults (None where it has none). A parameter of the factory
    is structural unless it is declared a column; its kind is that of its values. `anything`: it takes what nobody
    else does.
    """
    table = {key: knob for key, knob in KNOBS.items() if not knob.nets}
    for name in ("dropout", "spatial_dropout"):
        table[name] = replace(KNOBS[name], default=None)  # as the net's own layers have it
    table["prior_bias"] = replace(KNOBS["prior_bias"], default=False)
    for name, entry in entries.items():
        if name in named or (anything and name not in table):
            knob = table.get(name, Knob(_kind(entry), None, low=-1e9))
            table[name] = replace(knob, default=named.get(name), structural=not entry.column)
    return table


def of_objective(entries: Mapping[str, Param]) -> dict[str, Knob]:
    """What a study with a training function of the user's own may name: anything, drawn for every trial."""
    return {name: Knob(_kind(entry), None, low=-1e9) for name, entry in entries.items()}


def _kind(entry: Param) -> type:
    """Of a parameter that no table has: two integers mean integer."""
    values = [entry.low, entry.high] if isinstance(entry, Range) else []
    if not values:
        return object
    return int if all(isinstance(value, int) for value in values) else float
