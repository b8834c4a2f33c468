"""A user's own modules in a pack: what cannot be vmapped is told; what can behaves as in torch."""

import pytest
import torch
from torch import nn

from hpsearch.nets.shape import Shape
from hpsearch.pack.net import trained
from hpsearch.pack.train import Pack


class Recurrent(nn.Module):
    def __init__(self, params, shape):
        super().__init__()
        self.lstm, self.head = nn.LSTM(1, 5, batch_first=True), nn.Linear(5, shape.outputs)

    def forward(self, x):
        return self.head(self.lstm(x.unsqueeze(-1))[0][:, -1])


class Branching(nn.Module):
    def __init__(self, params, shape):
        super().__init__()
        self.head = nn.Linear(*shape.inputs, shape.outputs)

    def forward(self, x):
        return self.head(x) if x.mean() > 0 else self.head(-x)


def averaged_norm(params, shape):
    """Batch norm that counts its batches on the host."""
    norm = nn.BatchNorm1d(8, momentum=None)
    return nn.Sequential(nn.Linear(*shape.inputs, 8), norm, nn.ReLU(), nn.Linear(8, shape.outputs))


class NormedTwice(nn.Module):
    """The second norm's mean is zero but for rounding: in float32 no two ways agree on it."""

    def __init__(self, params, shape):
        super().__init__()
        self.first, self.second = nn.Conv1d(1, 16, 3, padding=1), nn.Conv1d(16, 8, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm1d(8, affine=False), nn.BatchNorm1d(8)])
        self.head = nn.Linear(8, shape.outputs)

    def forward(self, x):
        x = self.second(self.first(x.unsqueeze(1)).tanh())
        return self.head(self.norms[1](100 * self.norms[0](x)).relu().mean(-1))


class CastToFloat32(nn.Module):
    """A net that runs in one precision alone, and whose rows differ in a plain attribute."""

    def __init__(self, params, shape):
        super().__init__()
        self.factor, self.head = [params["lr"]], nn.Linear(*shape.inputs, shape.outputs)

    def forward(self, x):
        return self.head(x.float()) * self.factor[0]


class Frozen(nn.Module):
    """A random layer that is not trained, and a parameter that does nothing."""

    def __init__(self, params, shape):
        super().__init__()
        self.features = nn.Linear(*shape.inputs, 16).requires_grad_(False)
        self.unused = nn.Parameter(torch.ones(3))
        self.norm, self.head = nn.BatchNorm1d(16), nn.Linear(16, shape.outputs)

    def forward(self, x):
        return self.head(self.norm(self.features(x)).relu())


class Counting(nn.Module):
    """Replaces a buffer in every pass, in training and in evaluation, and reads it."""

    def __init__(self, params, shape):
        super().__init__()
        self.register_buffer("passes", torch.zeros(()))
        self.head = nn.Linear(*shape.inputs, shape.outputs)

    def forward(self, x):
        self.passes = self.passes + 1
        return self.head(x) / (1 + 0.1 * self.passes)


class Masked(nn.Module):
    """Two layers hold one constant buffer, as the blocks of a transformer hold one mask."""

    def __init__(self, params, shape):
        super().__init__()
        mask = torch.arange(shape.inputs[0]) % 2.0
        self.first, self.second = nn.Linear(*shape.inputs, *shape.inputs), nn.Linear(*shape.inputs, shape.outputs)
        self.first.register_buffer("mask", mask)
        self.second.register_buffer("mask", mask)

    def forward(self, x):
        return self.second(self.first(x * self.first.mask).tanh() * self.second.mask)


UNPACKABLE = {"lstm": Recurrent, "branch": Branching, "averaged norm": averaged_norm}


@pytest.mark.parametrize("name", UNPACKABLE)
def test_a_net_that_vmap_cannot_run_is_told(name, arrays, make_params, settings):
    pack = Pack.start(settings(factory=UNPACKABLE[name]), arrays, [0, 1], [make_params(), make_params(lr=0.1)])
    assert "vmap" in pack.check()


@pytest.mark.parametrize("name", UNPACKABLE)
def test_a_net_that_vmap_cannot_run_is_looped_as_torch_trains_it(name, arrays, make_params, train, plain):
    rows = [make_params(epochs=2), make_params(epochs=2, optimizer="sgd")]
    states = train(arrays, rows, factory=UNPACKABLE[name], forward="loop", dtype=torch.float64)
    for k, state in enumerate(states):
        assert (state.tensors["theta"] - plain(arrays, rows[k], k, UNPACKABLE[name])).abs().max() < 1e-8


@pytest.mark.parametrize("name", UNPACKABLE)
def test_after_a_failed_check_the_pack_loops_as_if_unchecked(name, arrays, make_params, train, settings, unlike):
    pack = Pack.start(settings(factory=UNPACKABLE[name], forward="loop"), arrays, [0], [make_params(epochs=1)])
    pack.check()
    pack.train()
    unchecked = train(arrays, [make_params(epochs=1)], factory=UNPACKABLE[name], forward="loop")
    assert unlike(pack.done[0], unchecked[0]) == []


def test_a_buffer_replaced_in_every_pass_survives_the_check(arrays, make_params, train, settings, unlike):
    pack = Pack.start(settings(factory=Counting, forward="loop"), arrays, [0], [make_params(epochs=1)])
    pack.check()
    pack.train()
    unchecked = train(arrays, [make_params(epochs=1)], factory=Counting, forward="loop")
    assert unlike(pack.done[0], unchecked[0]) == []


def test_a_buffer_replaced_in_every_pass_survives_a_resume(arrays, make_params, train, settings, unlike):
    changes = {"factory": Counting, "forward": "loop"}
    half = Pack(settings(**changes), arrays, train(arrays, [make_params()], until={0: 2}, **changes))
    half.train()
    assert unlike(half.done[0], train(arrays, [make_params()], **changes)[0]) == []


def test_what_is_rounding_alone_is_packed(arrays, make_params, train, settings, furthest):
    rows = [make_params(), make_params(lr=0.1)]
    pack = Pack.start(settings(factory=NormedTwice), arrays, [0, 1], rows)
    assert "buffer norms.1.running_mean" in pack._disagreement()  # the case is what it is to be
    assert pack.check() is None
    loop, packed = (
        train(arrays, rows, factory=NormedTwice, forward=way, dtype=torch.float64) for way in ("loop", "vmap")
    )
    assert furthest(loop, packed) < 1e-8


def test_what_runs_in_one_precision_alone_keeps_its_verdict(arrays, make_params, settings):
    pack = Pack.start(settings(factory=CastToFloat32), arrays, [0, 1], [make_params(), make_params(lr=0.1)])
    assert "factor" in pack.check()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_buffer_that_layers_share_trains_the_same_both_ways(
    dtype, arrays, make_params, train, furthest
):
    rows = [make_params(), make_params(lr=0.1)]
    loop, packed = (train(arrays, rows, factory=Masked, forward=way, dtype=dtype) for way in ("loop", "vmap"))
    assert furthest(loop, packed) < (1e-8 if dtype == torch.float64 else 1e-3)


@pytest.mark.parametrize("way", ["loop", "vmap"])
def test_a_frozen_parameter_stays_as_it_is(way, arrays, make_params, settings):
    rows = [make_params(weight_decay=0.1), make_params(optimizer="adamw", weight_decay=0.1)]
    pack = Pack.start(settings(factory=Frozen, forward=way), arrays, [0, 1], rows)
    assert pack.check() is None
    before = [state.tensors["buffer.features.weight"] for state in pack.states()]
    assert not torch.equal(*before)
    pack.train()
    assert all(torch.equal(s.tensors["buffer.features.weight"], before[s.record.trial]) for s in pack.done)


def test_a_frozen_parameter_comes_along_when_the_net_is_rebuilt(arrays, make_params, train):
    (state,) = train(arrays, [make_params()], [5], factory=Frozen)
    net = trained(Frozen, state, Shape(arrays.input_shape, 3))
    logp = net(torch.from_numpy(arrays.validation.x)).log_softmax(-1)
    assert torch.allclose(logp, state.tensors["best.prediction"], atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_parameter_without_effect_stays_and_the_others_train(
    optimizer, arrays, make_params, train, furthest, plain
):
    row = make_params(optimizer=optimizer)
    loop, packed = (
        train(arrays, [row, row], factory=Frozen, forward=w, dtype=torch.float64) for w in ("loop", "vmap")
    )
    assert furthest(loop, packed) < 1e-8
    assert torch.equal(loop[0].tensors["theta"][:3], torch.ones(3))
    assert (loop[1].tensors["theta"] - plain(arrays, row, 1, Frozen)).abs().max() < 1e-8
