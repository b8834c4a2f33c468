"""Dropout in a pack: each row its own probability and its own masks, in a user's net as in ours."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from hpsearch.nets.shape import Shape
from hpsearch.pack.train import Pack


def users_net(params, shape):
    p = params.get("dropout", 0.25)
    return nn.Sequential(
        nn.Linear(*shape.inputs, 16), nn.Tanh(), nn.Dropout(p), nn.Linear(16, 8), nn.Dropout(p),
        nn.Linear(8, shape.outputs),
    )  # fmt: skip


class Functional(nn.Module):
    def __init__(self, params, shape):
        super().__init__()
        self.head = nn.Linear(*shape.inputs, shape.outputs)

    def forward(self, x):
        return self.head(functional.dropout(x, 0.3, self.training))


class OnlyInTraining(Functional):
    def __init__(self, params, shape):
        super().__init__(params, shape)
        self.dropout = nn.Dropout()

    def forward(self, x):
        return self.head(self.dropout(x) if self.training else x)


class OneLayerTwice(nn.Module):
    """One dropout layer behind two layers of different width."""

    def __init__(self, params, shape):
        super().__init__()
        self.first, self.second, self.head = (
            nn.Linear(*shape.inputs, 9),
            nn.Linear(9, 5),
            nn.Linear(5, shape.outputs),
        )
        self.dropout = nn.Dropout()

    def forward(self, x):
        return self.head(self.dropout(self.second(self.dropout(self.first(x).tanh())).tanh()))


class Branching(OneLayerTwice):
    """vmap breaks off between the two calls of the dropout layer."""

    def forward(self, x):
        x = self.dropout(self.first(x).tanh())
        return self.head(self.dropout(self.second(x if x.sum() < 1e9 else -x).tanh()))


class Difference(OnlyInTraining):
    """Constant zero unless one dropout layer, called twice, draws two masks."""

    def forward(self, x):
        return self.head(self.dropout(x) - self.dropout(x))


class Counting(OnlyInTraining):
    """Counts its passes in a buffer, in place."""

    def __init__(self, params, shape):
        super().__init__(params, shape)
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, x):
        self.passes += 1
        return self.head(self.dropout(x))


@pytest.mark.parametrize("factory", [None, users_net], ids=["mlp", "user's net"])
def test_each_row_has_its_own_dropout_both_ways(factory, arrays, make_params, train, furthest, settings):
    changes = {"dtype": torch.float64} | ({"factory": factory} if factory else {})
    rows = [make_params(dropout=p) for p in (0.0, 0.2, 0.7)]
    assert Pack.start(settings(**changes), arrays, range(3), rows).check() is None
    loop, packed = (train(arrays, rows, forward=way, **changes) for way in ("loop", "vmap"))
    assert furthest(loop, packed) < 1e-8


def test_dropout_changes_the_rows_that_have_it_and_no_others(arrays, make_params, train, plain):
    rows = [make_params(dropout=p) for p in (0.0, 0.2)]
    without, with_it = train(arrays, rows, factory=users_net, dtype=torch.float64)
    assert (without.tensors["theta"] - plain(arrays, rows[0], 0, users_net)).abs().max() < 1e-8
    assert (with_it.tensors["theta"] - plain(arrays, rows[1], 1, users_net)).abs().max() > 1e-2


def test_the_masks_keep_their_share_and_their_mean(arrays, make_params, settings):
    rows = [make_params(dropout=p, width=256, epochs=1) for p in (0.0, 0.25, 0.6)]
    pack = Pack.start(settings(), arrays, range(3), rows)
    pack.check()  # fills the masks as a step does
    for name in pack.rows.dropouts:
        mask = pack.rows.buffers[f"{name}.mask"]
        assert torch.equal(mask[0], torch.ones_like(mask[0]))
        for row, p in ((1, 0.25), (2, 0.6)):
            kept = mask[row] > 0
            assert float(kept.float().mean()) == pytest.approx(1 - p, abs=0.04)
            assert torch.allclose(mask[row][kept], torch.tensor(1 / (1 - p)), rtol=1e-3)


def test_every_trial_epoch_step_and_layer_has_masks_of_its_own(make_arrays, make_params, settings):
    masks = []

    def remember(pack):
        masks.extend(pack.rows.buffers[f"{name}.mask"][k].clone() for name in pack.rows.dropouts for k in (0, 1))
        return True

    for examples in (16, 32):  # one step an epoch, and the second of two
        pack = Pack.start(settings(), make_arrays(n=examples), [0, 1], [make_params(dropout=0.5)] * 2)
        pack.train(on_epoch=remember)
    assert len(masks) == len({tuple(mask.flatten().tolist()) for mask in masks}) == 2 * 5 * 2 * 2


def test_evaluation_drops_nothing(arrays, make_params, settings):
    rows = [make_params(dropout=0.9)]
    pack = Pack.start(settings(factory=users_net), arrays, [0], rows)
    plain = users_net({}, Shape(arrays.input_shape, 3)).eval()
    plain.load_state_dict(pack.rows.modules[0].state_dict())
    expected = plain(pack.examples.x_validation).log_softmax(-1)
    assert torch.allclose(pack.predict(pack.examples.x_validation)[0], expected, atol=1e-6)


def test_functional_dropout_is_found_and_told(arrays, make_params, settings):
    pack = Pack.start(settings(factory=Functional), arrays, [0, 1], [make_params(), make_params()])
    assert "draws random numbers itself" in pack.check()


def test_what_a_net_draws_itself_depends_on_its_own_trial_and_step_alone(
    arrays, make_params, train, unlike, settings
):
    rows = [make_params(lr=lr) for lr in (1e-3, 1e-2)]
    changes = {"factory": Functional, "forward": "loop"}
    torch.manual_seed(1)
    together = train(arrays, rows, **changes)
    torch.manual_seed(2)
    alone = train(arrays, rows[1:], trials=[1], **changes)[0]
    assert unlike(together[1], alone) == []
    halfway = train(arrays, rows, until={0: 2, 1: 3}, **changes)
    pack = Pack(settings(**changes), arrays, halfway)
    pack.train()
    resumed = {state.record.trial: state for state in pack.states()}
    assert [unlike(resumed[k], together[k]) for k in (0, 1)] == [[], []]
    plain = train(arrays, rows, factory=Functional, forward="loop", seed=8)
    assert unlike(plain[0], together[0])


def test_looking_for_the_masks_shapes_changes_no_buffer(arrays, make_params, train):
    rows = [make_params(dropout=0.2), make_params(dropout=0.2)]
    first, second = train(arrays, rows, factory=Counting)
    assert first.tensors["buffer.passes"] == second.tensors["buffer.passes"]


@pytest.mark.parametrize("factory", [OnlyInTraining, OneLayerTwice])
def test_dropout_in_an_unusual_place_trains_the_same_both_ways(factory, arrays, make_params, train, furthest):
    rows = [make_params(dropout=p) for p in (0.2, 0.5)]
    loop, packed = (train(arrays, rows, factory=factory, forward=w, dtype=torch.float64) for w in ("loop", "vmap"))
    assert furthest(loop, packed) < 1e-8


def test_that_some_rows_draw_themselves_is_seen_whichever_comes_first(arrays, make_params, settings):
    class Draws(nn.Module):
        def __init__(self, p):
            super().__init__()
            self.p, self.body, self.head = p, nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.head(nn.functional.dropout(self.body(x).relu(), self.p, self.training))

    def build(params, shape):
        return Draws(params["flood"])  # any column

    rows = [make_params(flood=p) for p in (0.0, 0.4)]
    found = []
    for order in ([0, 1], [1, 0], [1]):
        torch.manual_seed(len(found))  # what the process drew before has no part in it
        pack = Pack.start(settings(factory=build, forward="loop"), arrays, order, [rows[k] for k in order])
        pack.train()
        found.append({s.record.trial: s.tensors["theta"] for s in pack.states()})
    assert all(torch.equal(one[1], found[0][1]) for one in found)
    assert torch.equal(found[0][0], found[1][0])


def test_a_dropout_layer_called_twice_draws_twice(arrays, make_params, train):
    still = train(arrays, [make_params(dropout=0.5, epochs=1)], factory=Difference, until={0: 0})
    moved = train(arrays, [make_params(dropout=0.5, epochs=1)], factory=Difference)
    weights = slice(0, 18)
    assert not torch.equal(still[0].tensors["theta"][weights], moved[0].tensors["theta"][weights])


def test_a_pass_that_broke_off_leaves_the_masks_in_order(arrays, make_params, train, settings, unlike):
    params = [make_params(dropout=0.3, epochs=1)]
    pack = Pack.start(settings(factory=Branching, forward="loop"), arrays, [0], params)
    assert "vmap raised" in pack.check()
    pack.train()
    assert unlike(pack.done[0], train(arrays, params, factory=Branching, forward="loop")[0]) == []
