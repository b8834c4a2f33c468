"""Four nets that vmap can train wrongly without an error: each is packed rightly, or not at all and told."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from hpsearch.pack.train import Pack

SCALES = (0.5, 1.0, 3.0)


class Tied(nn.Module):
    """Two layers share one weight."""

    def __init__(self, params, shape):
        super().__init__()
        self.first, self.middle, self.again = nn.Linear(*shape.inputs, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.again.weight = self.middle.weight
        self.head = nn.Linear(8, shape.outputs)

    def forward(self, x):
        return self.head(self.again(self.middle(self.first(x)).tanh()).tanh())


class Padded(nn.Module):
    """An embedding whose vector of token 0 is zero and takes no gradient."""

    def __init__(self, params, shape):
        super().__init__()
        self.embedding = nn.Embedding(9, 4, padding_idx=0)
        self.head = nn.Linear(4 * shape.inputs[0], shape.outputs)

    def forward(self, x):
        return self.head(self.embedding(x.long()).flatten(1))


class Scaled(nn.Module):
    """A plain attribute holds a value of the row."""

    def __init__(self, params, shape):
        super().__init__()
        self.scale = params["factor"]
        self.layer, self.head = nn.Linear(*shape.inputs, 8), nn.Linear(8, shape.outputs)

    def forward(self, x):
        return self.head(self.scale * self.layer(x).tanh())


class Centred(nn.Module):
    """A running mean is replaced, not written into."""

    def __init__(self, params, shape):
        super().__init__()
        self.register_buffer("centre", torch.zeros(shape.inputs))
        self.head = nn.Linear(*shape.inputs, shape.outputs)

    def forward(self, x):
        if self.training:
            self.centre = 0.9 * self.centre + 0.1 * x.mean(0)
        return self.head(x - self.centre)


class Limited(Scaled):
    """The attribute matters only once an activation has grown beyond it."""

    def forward(self, x):
        return self.head(self.layer(x).clamp(max=8 * self.scale))


FAULTS = {"tied": Tied, "padding": Padded, "attribute": Scaled, "buffer": Centred}


@pytest.fixture
def case(make_arrays, make_params):
    def make(fault):
        rows = [make_params(factor=scale, lr=0.02 / scale) for scale in SCALES]
        return make_arrays(tokens=9 if fault == "padding" else 0), rows

    return make


@pytest.fixture
def right_or_told(train, settings, furthest):
    """Asserts that vmap equals the loop wherever the check lets it; gives the check's reason."""

    def check(factory, arrays, rows):
        reason = Pack.start(settings(factory=factory), arrays, range(len(rows)), rows).check()
        if reason is None:
            loop, packed = (
                train(arrays, rows, factory=factory, forward=way, dtype=torch.float64) for way in ("loop", "vmap")
            )
            assert furthest(loop, packed) < 1e-8, "vmap trains something else, and the check did not say so"
        return reason

    return check


@pytest.mark.parametrize("fault", FAULTS)
def test_a_silent_fault_of_vmap_is_told_or_does_no_harm(fault, case, right_or_told):
    right_or_told(FAULTS[fault], *case(fault))


@pytest.mark.parametrize(
    ("fault", "what"), [("padding", "gradient|padding"), ("attribute", "loss|scale"), ("buffer", "buffer centre")]
)
def test_the_reason_names_what_differs(fault, what, case, settings):
    arrays, rows = case(fault)
    reason = Pack.start(settings(factory=FAULTS[fault]), arrays, range(len(rows)), rows).check()
    assert reason is None or re.search(what, reason)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_loop_trains_such_a_net_as_plain_torch_does(fault, case, train, plain):
    arrays, rows = case(fault)
    states = train(arrays, rows, factory=FAULTS[fault], forward="loop", dtype=torch.float64)
    for k, state in enumerate(states):
        assert (state.tensors["theta"] - plain(arrays, rows[k], k, FAULTS[fault])).abs().max() < 1e-8


def test_a_replaced_buffer_is_kept_by_the_loop(case, train):
    arrays, rows = case("buffer")
    (state,) = train(arrays, rows[:1], factory=Centred, forward="loop")
    assert np.allclose(state.tensors["buffer.centre"], arrays.train.x.mean(0), atol=0.3)


@pytest.mark.parametrize("place", [11, 40, 80])
def test_padding_that_is_rare_is_told_or_does_no_harm(place, case, right_or_told):
    arrays, rows = case("padding")
    x = np.maximum(arrays.train.x, 1)
    x[place, 0] = 0
    right_or_told(Padded, replace(arrays, train=replace(arrays.train, x=x)), rows)


def test_an_attribute_that_matters_late_is_told_or_does_no_harm(case, right_or_told):
    arrays, rows = case("attribute")
    right_or_told(Limited, arrays, [{**row, "lr": 0.1} for row in rows])
