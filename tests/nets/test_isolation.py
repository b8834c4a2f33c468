"""A net neither changes the tensors that it is handed nor hands out one buffer twice."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from hpsearch.nets import own
from hpsearch.nets.build import build
from hpsearch.nets.isolation import shared_tensors, writes_into_input
from hpsearch.nets.shape import Shape

SHAPE = Shape((6,), 3)


class Net(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.head, self.buffer = nn.Linear(6, outputs), torch.zeros(0)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x)


class Subtracts(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.sub_(0.5))


class ThroughAView(Net):
    def forward(self, x: Tensor) -> Tensor:
        x.flatten(1)[:, 0] = 7.0
        return self.head(x)


class InPlaceActivation(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(nn.functional.relu(x, inplace=True))


class ThroughNumpy(Net):
    def forward(self, x: Tensor) -> Tensor:
        x.detach().numpy()[:] += 1
        return self.head(x)


class OneBuffer(Net):
    def forward(self, x: Tensor) -> Tensor:
        out = self.head(x)
        if self.buffer.shape != out.shape:
            self.buffer = torch.zeros_like(out)
        return self.buffer.copy_(out.detach())


def made(net: Any) -> nn.Module:
    return build(own.factory(net, "m:Net", []), {}, SHAPE, 0)


@pytest.mark.parametrize("net", [Subtracts, ThroughAView, InPlaceActivation, ThroughNumpy])
def test_an_input_stays_as_it_is(net: Any) -> None:
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    before, built = x.clone(), made(net)
    first, second = built(x), built(x)
    assert torch.equal(x, before)
    assert torch.equal(first, second)
    assert writes_into_input(built, x)
    assert torch.equal(x, before)
    assert not writes_into_input(made(Net), x)


def test_outputs_of_two_passes_are_apart() -> None:
    built = made(OneBuffer).eval()
    a, b = (torch.full((2, 6), value) for value in (0.0, 1.0))
    with torch.no_grad():
        first = built(a)
        built(b)
        assert torch.equal(first, built(a))


def test_the_guards_run_under_vmap_and_keep_gradients() -> None:
    built = made(Subtracts)
    params = {name: torch.stack([p.detach(), 2 * p.detach()]) for name, p in built.named_parameters()}
    x = torch.randn(2, 5, 6)
    together = vmap(lambda p, x: functional_call(built, p, (x,)))(params, x.clone())
    alone = torch.stack([functional_call(built, {n: p[k] for n, p in params.items()}, (x[k],)) for k in (0, 1)])
    torch.testing.assert_close(together, alone)
    leaf = torch.randn(4, 6, requires_grad=True)
    built(leaf).sum().backward()
    torch.testing.assert_close(leaf.grad, built.head.weight.sum(0).expand(4, 6))


def test_nets_that_share_layers_are_noticed() -> None:
    shared = nn.Linear(6, 6)

    def factory(outputs: int) -> nn.Module:
        return nn.Sequential(shared, nn.BatchNorm1d(6), nn.Linear(6, outputs))

    assert shared_tensors(made(factory), made(factory)) == ["0.weight", "0.bias"]
    assert shared_tensors(made(Net), made(Net)) == []
    shared.requires_grad_(False)  # a frozen part may be shared: no trial changes it
    assert shared_tensors(made(factory), made(factory)) == []
