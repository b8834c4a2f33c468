"""Small data, params and runs that the tests of packs share; one trial by plain torch.optim among them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hpsearch import keyed
from hpsearch.data.dataset import Arrays, Part, Target
from hpsearch.knobs import KNOBS
from hpsearch.nets.build import NETS
from hpsearch.nets.shape import Factory, Shape
from hpsearch.pack.checkpoint import RowState
from hpsearch.pack.first import first_net
from hpsearch.pack.train import Pack, Settings
from hpsearch.tricks.losses import PLAIN

SEED = 7
DEFAULTS = {name: knob.default for name, knob in KNOBS.items()}
SMALL = {"epochs": 5, "batch_size": 16, "width": 12, "depth": 2, "lr": 1e-2}  # 50 steps on 160 examples
TORCH: dict[str, Callable[[Any, Mapping[str, Any]], torch.optim.Optimizer]] = {
    "adam": lambda own, p: torch.optim.Adam(own, p["lr"], weight_decay=p["weight_decay"]),
    "adamw": lambda own, p: torch.optim.AdamW(own, p["lr"], weight_decay=p["weight_decay"]),
    "sgd": lambda own, p: torch.optim.SGD(own, p["lr"], p["momentum"], weight_decay=p["weight_decay"]),
    "nesterov": lambda own, p: torch.optim.SGD(
        own, p["lr"], p["momentum"], weight_decay=p["weight_decay"], nesterov=True
    ),
}


@pytest.fixture(scope="session")
def make_arrays() -> Callable[..., Arrays]:
    """Three noisy classes, or values with an offset; sizes are multiples of nothing. `tokens`: x is indices."""

    def make(
        task: str = "classification", metric: str = "", n: int = 163, validation: int = 37, tokens: int = 0
    ) -> Arrays:
        rng = np.random.default_rng(3)
        y = rng.integers(0, 3, n + validation)
        x = rng.normal(size=(n + validation, 6)) + rng.normal(size=(3, 6))[y]
        if tokens:
            x = rng.integers(0, tokens, (n + validation, 6)) * 1.0
            y = x[:, :2].sum(1).astype(np.int64) % 3
        target = Target("classification", ("a", "b", "c"))
        if task == "regression":
            y = 20 + 5 * x[:, 0] * x[:, 1] + rng.normal(size=len(x))
            target = Target("regression", (), float(y[:n].mean()), float(y[:n].std()))
        x, index = x.astype(np.float32), np.arange(n + validation)
        parts = [Part(x[own], y[own], index[own]) for own in (slice(0, n), slice(n, None))]
        return Arrays(*parts, target, metric or {"classification": "accuracy", "regression": "rmse"}[task])

    return make


@pytest.fixture(scope="session")
def arrays(make_arrays: Callable[..., Arrays]) -> Arrays:
    return make_arrays()


@pytest.fixture(scope="session")
def make_params() -> Callable[..., dict[str, Any]]:
    """A trial's params, complete; a name that is no knob is kept too."""
    return lambda **changes: {**DEFAULTS, **SMALL, **changes}


@pytest.fixture(scope="session")
def settings() -> Callable[..., Settings]:
    return lambda **changes: Settings(**{"seed": SEED, "factory": NETS["mlp"], **changes})


@pytest.fixture(scope="session")
def train(settings: Callable[..., Settings]) -> Callable[..., list[RowState]]:
    """Trains a pack from the start; the rows' states in the order of the trials. Extra names are Settings'."""

    def run(
        arrays: Arrays,
        params: Sequence[Mapping[str, Any]],
        trials: Iterable[int] | None = None,
        until: Mapping[int, int] | None = None,
        **changes: Any,
    ) -> list[RowState]:
        trials = list(range(len(params)) if trials is None else trials)
        pack = Pack.start(settings(**changes), arrays, trials, params)
        pack.train(until)
        return sorted(pack.states(), key=lambda state: trials.index(state.record.trial))

    return run


@pytest.fixture(scope="session")
def unlike() -> Callable[..., list[str]]:
    """What differs, to the last bit, between two states of a trial; the seconds may."""

    def compare(a: RowState, b: RowState) -> list[str]:
        names = a.tensors.keys() | b.tensors.keys()
        differ = [
            name
            for name in sorted(names)
            if name not in a.tensors or name not in b.tensors or not torch.equal(a.tensors[name], b.tensors[name])
        ]
        for name in ("trial", "params", "epoch", "best_epoch", "best", "failure", "curve"):
            if getattr(a.record, name) != getattr(b.record, name):
                differ.append(name)
        return differ

    return compare


@pytest.fixture(scope="session")
def furthest() -> Callable[..., float]:
    """The largest distance between two lists of rows, over all weights and buffers."""

    def measure(one: Sequence[RowState], other: Sequence[RowState]) -> float:
        names = [name for name in one[0].tensors if name == "theta" or name.startswith("buffer.")]
        pairs = [(a.tensors[name], b.tensors[name]) for a, b in zip(one, other, strict=True) for name in names]
        return max(float((a.double() - b.double()).abs().max()) for a, b in pairs)

    return measure


@pytest.fixture(scope="session")
def plain() -> Callable[..., Tensor]:
    """One trial in float64 by torch alone, from the same first weights on the same batches: its weights [P]."""

    def run(arrays: Arrays, params: Mapping[str, Any], trial: int = 0, factory: Factory = NETS["mlp"]) -> Tensor:
        shape = Shape(arrays.input_shape, arrays.target.outputs)
        net = first_net(factory, params, arrays, shape, keyed.key(SEED, trial, "weights")).double().train()
        own = [p for p in net.parameters() if p.requires_grad]
        x = torch.from_numpy(arrays.train.x).double()
        y = torch.from_numpy(arrays.target.scaled(arrays.train.y))
        optimizer = TORCH[params["optimizer"]](own, params)
        steps = len(y) // params["batch_size"]
        for epoch in range(params["epochs"]):
            keys = keyed.fold(keyed.keys(SEED, [trial], "order"), epoch)
            order = torch.from_numpy(keyed.permutations(keys, len(y))[0])
            for step, batch in enumerate(order.split(params["batch_size"])[:steps]):
                optimizer.param_groups[0]["lr"] = _rate(params, epoch * steps + step, params["epochs"] * steps)
                optimizer.zero_grad()
                _loss(arrays.target, params, net(x[batch]), y[batch]).backward()
                if params["clip"]:
                    nn.utils.clip_grad_norm_(own, params["clip"])
                optimizer.step()
        return torch.cat([p.detach().flatten() for p in own])

    return run


def _loss(target: Target, params: Mapping[str, Any], outputs: Tensor, y: Tensor) -> Tensor:
    plain = {
        None: lambda: _loss(target, {**params, "loss": PLAIN[target.task]}, outputs, y),
        "squared": lambda: nn.MSELoss()(outputs, y.double().unsqueeze(1)),
        "huber": lambda: nn.HuberLoss(delta=params["huber_delta"])(outputs, y.double().unsqueeze(1)),
        "cross_entropy": lambda: nn.CrossEntropyLoss(label_smoothing=params["label_smoothing"])(outputs, y),
        "focal": lambda: _focal(outputs, y, params["focal_gamma"]),
        "binary": lambda: nn.BCEWithLogitsLoss()(outputs, nn.functional.one_hot(y, outputs.shape[1]).double()),
    }
    return plain[params["loss"]]()


def _focal(outputs: Tensor, y: Tensor, gamma: float) -> Tensor:
    p = outputs.softmax(-1)[torch.arange(len(y)), y]
    return -((1 - p) ** gamma * p.log()).mean()


def _rate(params: Mapping[str, Any], step: int, total: int) -> float:
    warm = round(params["warmup"] * total)
    ramp = (step + 1) / warm if step < warm else 1.0
    progress = max(step - warm, 0) / (total - warm)
    shape = {
        "constant": 1.0,
        "cosine": (1 + math.cos(math.pi * progress)) / 2,
        "cyclic": (1 + math.cos(math.pi * (progress * params["cycles"] % 1))) / 2,
        "step": params["lr_decay"] ** math.floor(progress * (params["lr_drops"] + 1)),
        "one_cycle": 0.04 + 0.96 * (1 - math.cos(math.pi * progress / 0.3)) / 2
        if progress < 0.3
        else (1 + math.cos(math.pi * (progress - 0.3) / 0.7)) / 2,
    }[params["schedule"]]
    return float((params["lr_min"] + (params["lr"] - params["lr_min"]) * shape) * ramp)
