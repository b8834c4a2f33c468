"""R2.state: state outside a net's parameters and buffers is found before the search."""

from pathlib import Path

import pytest

from hpsearch.prepare import prepare
from hpsearch.recipe import check
from hpsearch.recipe.verdict import Finding

NETS = """
import math

import torch
from torch import nn

SCALE = torch.zeros(1)


class Sound(nn.Module):
    def __init__(self, input_shape, outputs, width=16):
        super().__init__()
        self.body, self.head, self.calls = nn.Linear(math.prod(input_shape), width), nn.Linear(width, outputs), 0
        self.set_up(width)

    def set_up(self, width):
        self.drop = nn.Dropout(0.2)

    def hidden(self, x):
        self.calls += 1
        self.last = self.body(x.flatten(1)).relu()
        return self.drop(self.last) if hasattr(self, "drop") else self.last

    def forward(self, x):
        return self.head(self.hidden(x))


class Norms(Sound):
    def set_up(self, width):
        self.norm = nn.BatchNorm1d(width)

    def hidden(self, x):
        return self.norm(super().hidden(x))


class Listed(Sound):
    def set_up(self, width):
        self.layers = [nn.Linear(width, width)]

    def hidden(self, x):
        return self.layers[0](super().hidden(x))


class LateLayer(Sound):
    def hidden(self, x):
        hidden = super().hidden(x)
        if not hasattr(self, "late"):
            self.late = nn.Linear(hidden.shape[1], hidden.shape[1])
        return self.late(hidden)


class InAGlobal(Sound):
    def hidden(self, x):
        if self.training:
            SCALE.add_(0.01)
        return super().hidden(x) * (1 + SCALE)


class OnlyInTraining(Sound):
    def set_up(self, width):
        self.steps = 0

    def hidden(self, x):
        if not self.training:
            return super().hidden(x)
        self.steps += 1
        return super().hidden(x) * (1 + self.steps / 300)


class DrawsAlways(Sound):
    def hidden(self, x):
        return nn.functional.dropout(super().hidden(x), 0.5)
"""
STUDY = """
name: s
data: {{source: "sklearn:digits"}}
net: my_nets:{net}
search: {{trials: 1}}
params: {{epochs: 4, lr: 0.01}}
"""


@pytest.mark.parametrize(
    ("net", "verdict", "said"),
    [
        ("Sound", "pass", "differs from it by at most 0 on validation rows, and by 0 in training mode"),
        ("Norms", "pass", "differs from it by at most 0 on"),
        ("Listed", "fail", "layers[0].weight, layers[0].bias"),
        ("LateLayer", "fail", "outside them it holds late.bias, late.weight"),
        ("InAGlobal", "fail", "differs from it by at most"),
        ("OnlyInTraining", "warn", "steps"),
        ("DrawsAlways", "skip", "does not predict the same twice"),
    ],
)
def test_state_that_a_rebuilt_net_lacks(
    net: str, verdict: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = found(net, tmp_path, monkeypatch)
    assert (finding.verdict, said in finding.measured) == (verdict, True), finding.measured


def found(net: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Finding:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    (folder / "my_nets.py").write_text(NETS)
    (folder / "s.yaml").write_text(STUDY.format(net=net))
    return check.run(prepare(folder / "s.yaml"), ["R2.state"])["R2.state"]
