"""What a net holds outside its parameters and buffers is found wherever attributes lead."""

from dataclasses import dataclass, field

import torch
from torch import nn

from hpsearch.nets.unregistered import differing, unregistered, unregistered_names


@dataclass
class Memory:
    values: list[torch.Tensor] = field(default_factory=lambda: [torch.ones(2)])


def holding(**attributes: object) -> nn.Module:
    net = nn.Sequential(nn.Linear(2, 2))
    for name, value in attributes.items():
        object.__setattr__(net[0], name, value)
    return net


def test_paths_of_tensors() -> None:
    net = holding(
        alone=torch.ones(1), layers=[nn.Linear(2, 2)], table={"a": (torch.ones(1),)}, memory=Memory(), words="none"
    )
    assert unregistered_names(net) == [
        "0.alone", "0.layers[0].weight", "0.layers[0].bias", "0.table['a'][0]", "0.memory.values[0]",
    ]  # fmt: skip


def test_registered_tensors_do_not_count() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    net.again = [net[0].weight, net[1].running_mean]
    net.same_layer = (net[0],)
    assert unregistered_names(net) == []


def test_circles_end() -> None:
    memory = Memory()
    memory.values.append(memory)  # type: ignore[arg-type]
    assert unregistered_names(holding(memory=memory)) == ["0.memory.values[0]"]


def test_what_differs_between_two_nets() -> None:
    one, other = holding(steps=3, mean=torch.zeros(2), rate=0.5), holding(steps=4, mean=torch.ones(2), rate=0.5)
    assert differing(one, other) == ["0.steps", "0.mean"]
    assert "0.rate" in unregistered(one)
