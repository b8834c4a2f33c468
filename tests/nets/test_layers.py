"""Layers that hold a row's hyperparameter, and the tables of norms and activations."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional

from hpsearch.nets.layers import ACTIVATIONS, IMAGE_NORMS, NORMS, Dropout, Skip, SpatialDropout

PLAIN_ACTIVATIONS = {
    "relu": functional.relu, "gelu": functional.gelu, "silu": functional.silu, "leaky": functional.leaky_relu,
}  # fmt: skip
PLAIN_NORMS = {
    "none": lambda x: x,
    "batch": lambda x: (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt(),
    "group": lambda x: functional.group_norm(x, 2),
    "layer": lambda x: (x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True) + 1e-5).sqrt(),
}


@pytest.fixture
def x():
    return 2 + 3 * torch.randn(17, 8, generator=torch.Generator().manual_seed(1))


def test_every_norm_and_activation_is_held_against_a_formula_here():
    assert PLAIN_ACTIVATIONS.keys() == ACTIVATIONS.keys()
    assert PLAIN_NORMS.keys() == NORMS.keys()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_torchs(name, x):
    assert torch.equal(ACTIVATIONS[name]()(x), PLAIN_ACTIVATIONS[name](x))


@pytest.mark.parametrize("name", NORMS)
def test_a_fresh_norm_is_its_formula(name, x):
    assert torch.allclose(NORMS[name](8).train()(x), PLAIN_NORMS[name](x), atol=1e-5)


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_serves_many_rows_as_it_serves_one(name, x):
    rows = [NORMS[name](8) for _ in range(3)]
    if name != "none":
        for k, row in enumerate(rows):
            nn.init.constant_(row.weight, 1.0 + k)
    inputs = torch.stack([x, 2 * x, x + 1])
    parameters, buffers = stack_module_state(rows)
    together = vmap(lambda p, b, one: functional_call(rows[0], (p, b), (one,)))(parameters, buffers, inputs)
    alone = torch.stack([row(one) for row, one in zip(rows, inputs, strict=True)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_dropout_multiplies_by_its_mask_in_training_alone(x):
    layer = Dropout(0.4)
    layer.mask = torch.randint(0, 2, x.shape) / 0.6
    assert torch.equal(layer.train()(x), x * layer.mask)
    assert torch.equal(layer.eval()(x), x)


def test_group_norm_does_not_depend_on_the_batch_and_batch_norm_does():
    images = torch.randn(6, 16, 5, 5, generator=torch.Generator().manual_seed(1))
    for name, norm in IMAGE_NORMS.items():
        layer = norm(16).train()
        apart = torch.cat([layer(images[:2]), layer(images[2:])])
        assert torch.allclose(layer(images), apart, atol=1e-5) == (name != "batch")


@pytest.mark.parametrize("width", [1, 6, 7, 8, 12, 16, 64])
def test_group_norm_has_groups_of_equal_size_that_have_a_spread(width):
    norm = NORMS["group"](width)
    assert norm.num_groups == 1 or width // norm.num_groups >= 4
    assert NORMS["group"](width)(torch.randn(3, width)).shape == (3, width)
    assert IMAGE_NORMS["group"](width)(torch.randn(3, width, 2, 2)).shape == (3, width, 2, 2)


def test_the_image_norms_are_torchs():
    images = 2 + torch.randn(6, 16, 5, 5, generator=torch.Generator().manual_seed(1))
    expected = {
        "none": images,
        "batch": functional.batch_norm(images, None, None, training=True),
        "group": functional.group_norm(images, 4),
        "layer": functional.layer_norm(images, [16, 5, 5]),
    }
    assert expected.keys() == IMAGE_NORMS.keys() == NORMS.keys()
    for name, plain in expected.items():
        assert torch.allclose(IMAGE_NORMS[name](16).train()(images), plain, atol=1e-5)


def test_spatial_dropout_drops_whole_channels():
    layer = SpatialDropout(0.5).train()
    images = torch.ones(4, 3, 5, 5)
    layer.mask = torch.randint(0, 2, layer.mask_shape(images.shape)).float()
    assert torch.equal(layer(images), layer.mask[:, :, None, None].expand_as(images))
    assert torch.equal(layer.eval()(images), images)


def test_dropout_drops_nothing_before_its_mask_is_filled(x):
    assert torch.equal(Dropout(0.4).train()(x), x)


def test_dropouts_probability_and_mask_are_no_part_of_a_saved_net():
    assert Dropout(0.4).state_dict() == {}
    assert float(Dropout(0.4).p) == pytest.approx(0.4)


@pytest.mark.parametrize("gate", [0.0, 1.0])
def test_a_skip_adds_its_gates_share(gate, x):
    layer = Skip()
    layer.gate.fill_(gate)
    assert torch.equal(layer(x, 2 * x), x + gate * 2 * x)


def test_a_fresh_skip_is_closed(x):
    assert torch.equal(Skip()(x, 5 * x), x)
