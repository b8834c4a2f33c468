"""The last bias from the training targets: the first prediction is the prior, and the first loss its entropy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from hpsearch.nets.build import NETS
from hpsearch.nets.shape import Shape
from hpsearch.pack.first import first_net, last_linear
from hpsearch.pack.train import Pack


@pytest.fixture
def uneven(make_arrays):
    """Classes with shares of about 1, 2 and 7 tenths."""
    arrays = make_arrays()
    y = np.random.default_rng(0).choice(3, len(arrays.train.y), p=[0.1, 0.2, 0.7])
    return replace(arrays, train=replace(arrays.train, y=y))


def zeroed(pack):
    for module in pack.rows.modules:
        nn.init.zeros_(module.head.weight)
    return pack


@pytest.mark.parametrize("loss", ["cross_entropy", "binary", "focal"])
def test_the_first_prediction_is_the_classes_shares(loss, uneven, make_params, settings):
    pack = zeroed(Pack.start(settings(), uneven, [0], [make_params(loss=loss)]))
    shares = np.bincount(uneven.train.y) / len(uneven.train.y)
    found = pack.predict(pack.examples.x_validation)[0].exp()
    assert torch.allclose(found, torch.from_numpy(shares).float().expand_as(found), atol=1e-4)


def test_the_first_loss_is_the_entropy_of_the_prior(uneven, make_params, settings):
    pack = zeroed(Pack.start(settings(), uneven, [0], [make_params()]))
    loss = pack.losses(pack.rows.modules[0](pack.examples.x)[None], slice(None), batch=pack.examples.batch(
        np.arange(len(uneven.train.y))[None]
    ))  # fmt: skip
    shares = np.bincount(uneven.train.y) / len(uneven.train.y)
    assert float(loss) == pytest.approx(-(shares * np.log(shares)).sum(), abs=1e-5)


def test_balanced_weights_make_the_first_prediction_even(uneven, make_params, settings):
    pack = zeroed(Pack.start(settings(), uneven, [0], [make_params(class_weights=1.0)]))
    found = pack.predict(pack.examples.x_validation)[0].exp()
    assert torch.allclose(found, torch.full_like(found, 1 / 3), atol=1e-4)


def test_without_it_the_bias_is_drawn(uneven, make_params):
    shape = Shape(uneven.input_shape, 3)
    drawn, set_ = (first_net(NETS["mlp"], make_params(prior_bias=on), uneven, shape, 7) for on in (False, True))
    assert torch.equal(drawn.head.weight, set_.head.weight)
    assert not torch.equal(drawn.head.bias, set_.head.bias)


def test_a_regression_begins_at_the_mean(make_arrays, make_params, settings):
    arrays = make_arrays("regression")
    pack = zeroed(Pack.start(settings(), arrays, [0], [make_params()]))
    assert torch.allclose(pack.predict(pack.examples.x_validation), torch.tensor(arrays.target.mean).double())


def test_the_last_linear_layer_with_a_bias_is_found_if_there_is_one():
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3), nn.Linear(3, 3, bias=False))
    assert last_linear(net, 3) is net[2]
    assert last_linear(net, 5) is None
