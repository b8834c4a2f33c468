"""The probe chooses a way forward and a number of rows within its limits."""

import json
import re

import pytest
import torch
from torch import nn

from hpsearch.nets.layers import NORMS
from hpsearch.pack.probe import probe

PLENTY = 1e9


class Scaled(nn.Module):
    """vmap would use the first row's scale for all."""

    def __init__(self, params, shape):
        super().__init__()
        self.scale = params["factor"]
        self.head = nn.Linear(*shape.inputs, shape.outputs)

    def forward(self, x):
        return self.scale * self.head(x)


class Recurrent(nn.Module):
    """Its layer puts out a tuple."""

    def __init__(self, params, shape):
        super().__init__()
        self.lstm, self.head = nn.LSTM(1, 5, batch_first=True), nn.Linear(5, shape.outputs)

    def forward(self, x):
        return self.head(self.lstm(x.unsqueeze(-1))[0][:, -1])


def rows_tried(found):
    return [int(name.split()[1]) for name in found.ms if name.startswith("vmap")]


@pytest.mark.parametrize("norm", NORMS)
def test_it_reports_what_it_measured(norm, arrays, make_params, settings):
    rows = [make_params(norm=norm, dropout=0.1 * k) for k in range(4)]
    found = probe(settings(), arrays, rows, 4, PLENTY)
    assert found.forward in ("loop", "fused")
    assert 1 <= found.rows <= 4
    assert found.row_ms == pytest.approx(min(found.ms.values()), rel=0.1)
    assert found.why
    assert json.loads(json.dumps(found.to_json()))["rows"] == found.rows


@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_it_never_tries_more_rows_than_it_may(most, arrays, make_params, settings):
    found = probe(settings(), arrays, [make_params(), make_params(lr=0.1)], most, PLENTY)
    assert found.rows <= most
    assert max(rows_tried(found), default=1) <= most


def test_one_row_is_looped(arrays, make_params, settings):
    found = probe(settings(), arrays, [make_params()], 1, PLENTY)
    assert (found.forward, found.rows) == ("loop", 1)


def test_too_little_memory_leaves_one_row(arrays, make_params, settings):
    found = probe(settings(), arrays, [make_params(), make_params()], 8, 1.0)
    assert found.rows == 1
    assert max(rows_tried(found), default=1) == 1


def test_less_memory_means_fewer_rows(arrays, make_params, settings):
    """Of a net with a million weights, 4 bytes each and at least theta, gradient and two moments, few fit."""
    wide = make_params(width=1024, depth=2, batch_size=4)
    found = probe(settings(), arrays, [wide], 8, 3 * 4 * 4 * 1024 * 1024)
    assert max([found.rows, *rows_tried(found)]) <= 3


def test_a_net_that_vmap_gets_wrong_is_looped_and_told_why(arrays, make_params, settings):
    rows = [make_params(factor=1.0), make_params(factor=2.0), make_params(factor=3.0)]
    found = probe(settings(factory=Scaled), arrays, rows, 3, PLENTY)
    assert found.forward == "loop"
    assert re.search("disagree|scale", found.why)
    assert found.rows <= 3


def test_a_net_that_vmap_cannot_run_is_looped_and_told_why(arrays, make_params, settings):
    found = probe(settings(factory=Recurrent), arrays, [make_params(), make_params()], 2, PLENTY)
    assert found.forward == "loop"
    assert "vmap" in found.why


def test_fewer_trials_than_rows_are_enough(arrays, make_params, settings):
    found = probe(settings(), arrays, [make_params()], 4, PLENTY)
    assert found.rows <= 4


def test_probing_leaves_the_generator_alone(arrays, make_params, settings):
    before = torch.get_rng_state()
    probe(settings(), arrays, [make_params(dropout=0.2)], 2, PLENTY)
    assert torch.equal(torch.get_rng_state(), before)
