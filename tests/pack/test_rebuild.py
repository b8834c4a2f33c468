"""A net that is rebuilt from a row's state predicts what the trained one did, or the row says why not."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hpsearch.nets import own
from hpsearch.pack.rebuild import rebuild_failure
from hpsearch.pack.train import Pack

COUNT = torch.zeros(1)


class Net(nn.Module):
    def __init__(self, input_shape: tuple[int, ...], outputs: int, width: int) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(input_shape[0], width), nn.Linear(width, outputs)
        self.set_up(width)

    def set_up(self, width: int) -> None: ...

    def hidden(self, x: Tensor) -> Tensor:
        return self.body(x).relu()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(x))


class Listed(Net):
    def set_up(self, width: int) -> None:
        self.layers = [nn.Linear(width, width)]

    def hidden(self, x: Tensor) -> Tensor:
        return self.layers[0](super().hidden(x)).relu()


class InADict(Net):
    def set_up(self, width: int) -> None:
        self.parts = {"projection": torch.randn(width, width)}

    def hidden(self, x: Tensor) -> Tensor:
        return super().hidden(x) @ self.parts["projection"]


class RunningMean(Net):
    def set_up(self, width: int) -> None:
        self.mean = torch.zeros(width)

    def hidden(self, x: Tensor) -> Tensor:
        hidden = 3 + super().hidden(x)
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * hidden.mean(0).detach()
        return hidden - self.mean


class Counter(Net):
    def set_up(self, width: int) -> None:
        self.passes = 0

    def hidden(self, x: Tensor) -> Tensor:
        self.passes += self.training
        return super().hidden(x) * min(1.0, self.passes / 20)


class LateLayer(Net):
    def hidden(self, x: Tensor) -> Tensor:
        if not hasattr(self, "late"):
            self.late = nn.Linear(12, 12)
        return self.late(super().hidden(x)).relu()


class DrawsAlways(Net):
    def hidden(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(super().hidden(x), 0.5)


class Registered(Net):
    def set_up(self, width: int) -> None:
        self.layers = nn.ModuleList([nn.Linear(width, width), nn.BatchNorm1d(width), nn.Dropout(0.2)])
        self.register_buffer("mean", torch.zeros(width))
        self.last: Tensor | None = None

    def hidden(self, x: Tensor) -> Tensor:
        hidden = super().hidden(x)
        for layer in self.layers:
            hidden = layer(hidden)
        self.last = hidden  # for a look at it: it changes no prediction
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * hidden.mean(0).detach()
        return hidden - self.mean


def failure(net: type[Net], make_arrays: Any, make_params: Any, settings: Any, task: str) -> str | None:
    arrays, factory = make_arrays(task), own.factory(net, "m:Net", ["width"])
    pack = Pack.start(
        settings(factory=factory, forward="loop"), arrays, [0, 1], [make_params(), make_params(lr=3e-3)]
    )
    pack.train()
    return rebuild_failure(factory, pack.done[1], arrays)


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize(
    ("net", "said"),
    [
        (Listed, "Tensors outside: layers[0].weight, layers[0].bias."),
        (InADict, "Tensors outside: parts['projection']."),
        (RunningMean, "Tensors outside: mean."),
        (Counter, "does not reproduce its validation predictions"),
        (LateLayer, "does not reproduce its validation predictions"),
        (DrawsAlways, "change from pass to pass in evaluation mode"),
    ],
)
def test_state_outside_the_state_dict(
    net: type[Net], said: str, task: str, make_arrays: Any, make_params: Any, settings: Callable[..., Any]
) -> None:
    reason = failure(net, make_arrays, make_params, settings, task)
    assert reason is not None and said in reason


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_registered_state_is_rebuilt(
    task: str, make_arrays: Any, make_params: Any, settings: Callable[..., Any]
) -> None:
    assert failure(Registered, make_arrays, make_params, settings, task) is None


def test_folds_are_held_against_their_own_rows(
    arrays: Any, make_params: Any, settings: Callable[..., Any]
) -> None:
    from hpsearch.data.folds import cross_validated

    folded, factory = cross_validated(arrays, 3, 0, None), own.factory(Net, "m:Net", ["width"])
    pack = Pack.start(settings(factory=factory, forward="loop"), folded, [0], [make_params()])
    pack.train()
    assert [rebuild_failure(factory, state, folded) for state in pack.done] == [None, None, None]
