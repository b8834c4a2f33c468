"""Hostile little data sets and nets, for the tests of exports."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn

from hpsearch.data import preprocess
from hpsearch.data.dataset import Target
from hpsearch.data.preprocess import Schema
from hpsearch.export import bundle
from hpsearch.nets.mlp import MLP

TARGETS = {
    "binary": Target("classification", ("no", "yes")),
    "classes": Target("classification", ("a|b", "<script>alert(1)</script>", 'new\nline, "quoted" `x`')),
    "regression": Target("regression", (), mean=1500.0, std=20.0),
}
WEIGHTS = [0.5, 0.2, 0.3]


class Case(NamedTuple):
    members: list[nn.Module]
    weights: list[float]
    schema: Schema
    target: Target
    data: pd.DataFrame | np.ndarray

    def features(self) -> np.ndarray:
        return self.schema.transform(self.data, "test")


def table() -> pd.DataFrame:
    """Hostile column names; missing numbers and words; numbers with a large offset."""
    rng = np.random.default_rng(0)
    n = 60
    data = pd.DataFrame(
        {
            "probability": rng.normal(size=n),
            "colour|`x`": rng.choice(["red", "green", "blue|\n<b>"], n),
            "x": 1.7e9 + rng.uniform(0, 100, n),  # a timestamp: float32 steps by 128 there
            'say "hi"': rng.integers(0, 4, n),
            "<script>": rng.choice(["p", "q"], n),
            "new\nline": np.full(n, 3.0),
            "value_": rng.choice([True, False], n),
            "value": rng.uniform(-1, 1, n),
        }
    )
    data.loc[::7, "probability"] = np.nan
    data.loc[::5, "<script>"] = None
    data.loc[41:, "value"] = np.nan  # missing in rows beyond training only
    data.loc[50:, "colour|`x`"] = ["unknown", None, "red ", "RED", "1", *["green"] * 5]
    return data


def nets(features: np.ndarray, outputs: int, count: int) -> list[nn.Module]:
    """Trained they are not, but their norms have seen data and their outputs differ."""
    inputs = int(np.prod(features.shape[1:]))
    torch.manual_seed(inputs + outputs)
    made: list[nn.Module] = [
        MLP(inputs, outputs, 8, 2, norm, activation)
        for norm, activation in [("batch", "gelu"), ("layer", "relu"), ("none", "silu")][:count]
    ]
    for net in made:
        for _ in range(20):
            net(torch.from_numpy(features) + torch.randn(features.shape))
        torch.nn.init.normal_(net.head.weight, std=2.0)
        torch.nn.init.zeros_(net.head.bias)
    return made


def make_case(kind: str, task: str, count: int) -> Case:
    target = TARGETS[task]
    data: pd.DataFrame | np.ndarray
    if kind == "table":
        data = table()
        schema: Schema = preprocess.fit_table(data, ['say "hi"'], np.arange(40), "test")
    else:
        data = np.random.default_rng(1).normal(5, 3, (20, 2, 2, 3)).astype(np.float32)
        schema = preprocess.fit_array(data, np.arange(15), "x")
    features = schema.transform(data, "test")
    return Case(nets(features, target.outputs, count), WEIGHTS[:count], schema, target, data)


def reference(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Probability or value, and spread, in float64 by the definitions."""
    with torch.no_grad():
        x = torch.from_numpy(case.features())
        out = np.stack([net.eval()(x).double().numpy() for net in case.members])
    weights = np.array(case.weights) / sum(case.weights)
    if case.target.task == "regression":
        out = case.target.mean + case.target.std * out[..., 0]
    else:
        out = np.exp(out) / np.exp(out).sum(-1, keepdims=True)
    mean = np.tensordot(weights, out, 1)
    if case.target.task == "classification":
        out = np.take_along_axis(out, mean.argmax(-1)[None, :, None], -1)[..., 0]
    spread = np.sqrt(np.tensordot(weights, (out - np.tensordot(weights, out, 1)) ** 2, 1))
    return mean, spread


def make_card(count: int, missing: Sequence[str] = ("",)) -> bundle.Card:
    return bundle.Card(
        study="digits",
        what="ensemble" if count > 1 else "best",
        metrics={
            "validation": {"log_loss": 0.25, "auroc": float("nan")},
            "test": {"log_loss": 0.5, "auroc": 0.75},
        },
        members=[{"trial": 10 + i, "kind": "best", "epoch": 7} for i in range(count)],
        source="data/<b>|train.csv",
        rows={"train": 40, "validation": 10, "test": 10},
        missing=list(missing),
    )
