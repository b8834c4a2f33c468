"""Layers that hold a row's hyperparameter, and the tables of norms and activations."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional

from hpsearch.nets.layers import ACTIVATIONS, NORMS, Dropout, Skip

PLAIN_ACTIVATIONS = {"relu": functional.relu, "gelu": functional.gelu, "silu": functional.silu}
PLAIN_NORMS = {
    "none": lambda x: x,
    "batch": lambda x: (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt(),
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
