"""Learned inputs of tables, against embeddings and waves written out."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from hpsearch.nets.layers import NORMS
from hpsearch.nets.shape import Layout
from hpsearch.nets.tables import TableInput
from hpsearch.pack.train import Pack

# number 0 with its flag, a category of four values with its flag, a category of two values, number 3
LAYOUT = Layout(np.array([0, 0, 1, 1, 1, 1, 1, 2, 2, 3]), np.array([True] + [False] * 8 + [True]))


def rows():
    x = torch.zeros(5, 10)
    x[:, 0] = torch.tensor([0.5, -1.0, 0.0, 2.0, 0.1])
    x[2, 1] = 1
    for row, value in enumerate([0, 1, 2, 3]):
        x[row, 2 + value] = 1
    x[4, 6] = 1  # missing
    x[range(5), [7, 8, 7, 8, 7]] = 1
    x[:, 9] = torch.linspace(-1, 1, 5)
    return x


def test_an_embedding_is_a_table_of_vectors_and_small_categories_stay():
    net, x = TableInput(10, LAYOUT, embedding=3, periodic=0, scale=1.0), rows()
    assert net.outputs == 2 + 2 + 1 + 3
    table = nn.Embedding.from_pretrained(net.embeddings[0].weight.T)
    out = net(x)
    assert torch.equal(out[:, :5], x[:, [0, 1, 7, 8, 9]])
    assert torch.allclose(out[:4, 5:], table(torch.arange(4)))
    assert torch.allclose(out[4, 5:], table(torch.tensor(4)))  # missing has a vector of its own
    x[0, 2] = 0  # a category that training has not seen
    assert torch.equal(net(x)[0, 5:], torch.zeros(3))


def test_waves_are_the_papers_formula():
    torch.manual_seed(0)
    net, x = TableInput(10, LAYOUT, embedding=0, periodic=4, scale=0.7), rows()
    assert net.outputs == 10 + 2 * 4
    assert net.frequencies.shape == (2, 4)
    out = net(x)
    assert torch.equal(out[:, :10], x)
    for n in range(5):
        for i, column in enumerate((0, 9)):
            v = 2 * math.pi * net.frequencies[i] * x[n, column]
            expected = torch.relu(net.waves(torch.cat([torch.sin(v), torch.cos(v)])))
            assert torch.allclose(out[n, 10 + 4 * i : 14 + 4 * i], expected, atol=1e-5)


def test_the_spread_of_the_first_frequencies_is_the_scale():
    torch.manual_seed(0)
    net = TableInput(50, None, embedding=4, periodic=40, scale=0.3)
    assert float(net.frequencies.std()) == pytest.approx(0.3, rel=0.1)
    assert len(net.embeddings) == 0


@pytest.mark.parametrize("norm", NORMS)
def test_a_pack_with_learned_inputs_trains_the_same_both_ways(
    norm, arrays, make_params, train, furthest, settings
):
    params = [make_params(periodic=3, periodic_scale=0.1 * (k + 1), norm=norm) for k in range(3)]
    changes = {"dtype": torch.float64}
    assert Pack.start(settings(**changes), arrays, range(3), params).check() is None
    loop, packed = (train(arrays, params, forward=way, **changes) for way in ("loop", "vmap"))
    assert furthest(loop, packed) < 1e-8
