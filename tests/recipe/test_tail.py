"""Nonlinearities behind the last layer are found by behaviour; what is harmless there is not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from broken_studies import Fault, blobs, images, values, write
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.prepare import prepare
from hpsearch.recipe.bench import Bench
from hpsearch.recipe.initial import zeroed
from hpsearch.recipe.tail import nonlinear

Tail = Callable[["Net", Tensor], Tensor]


class Net(nn.Module):
    def __init__(self, inputs: int, outputs: int, tail: Tail) -> None:
        super().__init__()
        self.body, self.head, self.tail = nn.Linear(inputs, 16), nn.Linear(16, outputs), tail
        self.norm, self.wide = nn.LayerNorm(outputs), nn.Linear(inputs, outputs, bias=False)
        self.batch_norm, self.slope = nn.BatchNorm1d(outputs), nn.PReLU()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        self.x = x.flatten(1)
        return self.tail(self, self.head(self.body(self.x).relu()))


class OfParameters(Net):
    """A head that is no layer."""

    def __init__(self, inputs: int, outputs: int, tail: Tail) -> None:
        super().__init__(inputs, outputs, tail)
        self.weight = nn.Parameter(torch.randn(outputs, 16) / 4)
        del self.head

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self, functional.linear(self.body(x.flatten(1)).relu(), self.weight))


class Convolutions(nn.Module):
    def __init__(self, inputs: int, outputs: int, tail: Tail) -> None:
        super().__init__()
        self.body, self.head, self.tail = nn.Conv2d(1, 4, 3), nn.Conv2d(4, outputs, 1), tail

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self, self.head(self.body(x).relu())).mean((2, 3))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bench]:
    def made(name: str, data: Any, **study: Any) -> Bench:
        folder: Path = tmp_path_factory.mktemp(name)
        return Bench(prepare(write(Fault(name, "", data, {"params": {"epochs": 1}, **study}), folder)))

    return {
        "classes": made("classes", blobs),
        "binary": made("binary", blobs, params={"loss": ["binary", "focal"], "epochs": 1}),
        "values": made("values", values),
        "images": made("images", images),
    }


def with_net(bench: Bench, tail: Tail, kind: Any = Net) -> Bench:
    other = bench.on(bench.arrays)
    other.factory = lambda params, shape: kind(int(torch.tensor(shape.inputs).prod()), shape.outputs, tail)
    return other


LIMITS: dict[str, Tail] = {
    "relu": lambda net, z: z.relu(), "leaky relu": lambda net, z: functional.leaky_relu(z),
    "sigmoid": lambda net, z: z.sigmoid(), "tanh": lambda net, z: z.tanh(), "clamp": lambda net, z: z.clamp(-1, 1),
    "softplus": lambda net, z: functional.softplus(z), "gelu": lambda net, z: functional.gelu(z),
    "elu": lambda net, z: functional.elu(z), "abs": lambda net, z: z.abs(), "exp": lambda net, z: z.exp(),
    "relu6": lambda net, z: functional.relu6(z), "relu of two paths": lambda net, z: (z + net.wide(net.x)).relu(),
    "log-sigmoid": lambda net, z: functional.logsigmoid(z), "square": lambda net, z: z.square(),
}  # fmt: skip


@pytest.mark.parametrize("data", ["classes", "binary", "values"])
@pytest.mark.parametrize("name", LIMITS)
def test_what_limits_outputs_is_a_failure(benches: dict[str, Bench], name: str, data: str) -> None:
    found = nonlinear(with_net(benches[data], LIMITS[name]))
    assert found is not None and found.verdict == "fail"
    assert "what follows the last layer limits the outputs" in found.advice
    assert ("standardised" in found.advice) == (data == "values")


HARMLESS: dict[str, Tail] = {
    "nothing": lambda net, z: z, "temperature": lambda net, z: z / 10,
    "learned scale": lambda net, z: z * net.scale,
    "soft cap": lambda net, z: 30 * torch.tanh(z / 30), "wide clamp": lambda net, z: z.clamp(-20, 20),
    "batch norm": lambda net, z: net.batch_norm(z), "another path": lambda net, z: z + net.wide(net.x),
    "residual": lambda net, z: z + net.x[:, : z.shape[1]], "another sign": lambda net, z: -z,
    "scaled tanh": lambda net, z: net.scale * z.tanh(), "learned slope": lambda net, z: net.slope(z),
}  # fmt: skip
OF_CLASSES: dict[str, Tail] = {
    "layer norm": lambda net, z: net.norm(z), "log-softmax": lambda net, z: z.log_softmax(-1),
    "centred": lambda net, z: z - z.mean(-1, keepdim=True), "all higher": lambda net, z: z + 10,
}  # fmt: skip


@pytest.mark.parametrize("data", ["classes", "binary", "values"])
@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_harmless_there_is_no_failure(benches: dict[str, Bench], name: str, data: str) -> None:
    assert zeroed(with_net(benches[data], HARMLESS[name])).verdict in ("pass", "skip")


@pytest.mark.parametrize("name", OF_CLASSES)
def test_what_a_softmax_takes_no_notice_of(benches: dict[str, Bench], name: str) -> None:
    assert zeroed(with_net(benches["classes"], OF_CLASSES[name])).verdict == "pass"


def test_a_log_softmax_before_a_sigmoid_is_a_failure(benches: dict[str, Bench]) -> None:
    found = zeroed(with_net(benches["binary"], OF_CLASSES["log-softmax"]))
    assert found.verdict == "fail" and "sigmoid" in found.advice


@pytest.mark.parametrize("data", ["classes", "values"])
def test_a_head_that_is_no_layer_is_judged_by_its_outputs(benches: dict[str, Bench], data: str) -> None:
    bench = benches[data]
    found = nonlinear(with_net(bench, LIMITS["relu"], OfParameters))
    assert found is not None and found.verdict == "fail"
    assert nonlinear(with_net(bench, HARMLESS["nothing"], OfParameters)) is None


def test_a_head_of_convolutions(benches: dict[str, Bench]) -> None:
    found = nonlinear(with_net(benches["images"], LIMITS["relu"], Convolutions))
    assert found is not None and found.verdict == "fail"
    assert nonlinear(with_net(benches["images"], HARMLESS["nothing"], Convolutions)) is None


def test_a_regression_may_be_held_to_what_its_targets_span(benches: dict[str, Bench]) -> None:
    assert nonlinear(with_net(benches["values"], lambda net, z: 4 * z.tanh())) is None
