"""A trial's own net: a function of its params and its seed."""

import itertools

import pytest
import torch
from torch import nn

from hpsearch.knobs import KNOBS
from hpsearch.nets.build import NETS, build
from hpsearch.nets.layers import ACTIVATIONS, NORMS, Dropout, Skip
from hpsearch.nets.own import adopt
from hpsearch.nets.shape import Shape

SHAPE = Shape((3, 4), 5)
DEFAULTS = {name: knob.default for name, knob in KNOBS.items()}


def mlp(seed=0, **params):
    return build(NETS["mlp"], {**DEFAULTS, "width": 8, **params}, SHAPE, seed)


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


@pytest.mark.parametrize(("norm", "activation"), itertools.product(NORMS, ACTIVATIONS))
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_an_mlp_gives_an_output_for_each_class(norm, activation, depth):
    net = mlp(norm=norm, activation=activation, depth=depth)
    assert net(torch.randn(7, 3, 4)).shape == (7, 5)
    assert len([m for m in net.modules() if isinstance(m, nn.Linear)]) == depth + 1


def test_an_mlp_without_hidden_layers_is_linear():
    net, x = mlp(depth=0), torch.randn(6, 3, 4)
    assert torch.allclose(net(x), x.flatten(1) @ net.head.weight.T + net.head.bias)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    assert torch.equal(weights(mlp(seed=2**64 - 1)), weights(mlp(seed=2**64 - 1)))
    assert not torch.equal(weights(mlp(seed=1)), weights(mlp(seed=2)))


def test_the_weights_depend_neither_on_the_generator_nor_on_what_is_no_shape():
    torch.manual_seed(5)
    one = weights(mlp(lr=0.1, dropout=0.5, skip=True))
    torch.manual_seed(6)
    before = torch.get_rng_state()
    assert torch.equal(one, weights(mlp()))
    assert torch.equal(before, torch.get_rng_state())


def test_skips_and_dropout_follow_the_params():
    net = mlp(depth=3, skip=True, dropout=0.3)
    gates = [float(m.gate) for m in net.modules() if isinstance(m, Skip)]
    assert gates == [1.0, 1.0]
    assert [float(m.p) for m in net.modules() if isinstance(m, Dropout)] == [pytest.approx(0.3)] * 3
    assert [float(m.gate) for m in mlp(depth=3).modules() if isinstance(m, Skip)] == [0.0, 0.0]


def test_a_closed_skip_changes_nothing_and_an_open_one_something():
    x = torch.randn(4, 3, 4)
    closed, opened = mlp(depth=3, skip=False), mlp(depth=3, skip=True)
    assert torch.equal(weights(closed), weights(opened))
    assert not torch.allclose(closed(x), opened(x))


def test_a_users_dropout_becomes_ours_wherever_it_lies():
    net = nn.Sequential(
        nn.Dropout(0.1), nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.2)), nn.ModuleList([nn.Dropout()])
    )
    adopt(net)
    assert [float(m.p) for m in net.modules() if isinstance(m, Dropout)] == pytest.approx([0.1, 0.2, 0.5])
    assert not [m for m in net.modules() if isinstance(m, nn.Dropout)]


def test_a_dropout_layer_that_stands_in_two_places_is_swapped_in_both():
    shared = nn.Dropout(0.3)
    net = nn.Sequential(nn.Linear(2, 2), shared, nn.Linear(2, 2), shared)
    adopt(net)
    assert not [m for m in net.modules() if isinstance(m, nn.Dropout)]
