"""A row's result depends on its trial and its params alone: not on its neighbours, its place or their number."""

import itertools

import pytest
import torch

from hpsearch.nets.layers import NORMS
from hpsearch.tricks.optimizers import OPTIMIZERS
from hpsearch.tricks.schedules import SCHEDULES


@pytest.fixture
def rows(make_params):
    def make(**shared):
        kinds = itertools.product(OPTIMIZERS, SCHEDULES)
        return [
            make_params(
                optimizer=optimizer, schedule=schedule, dropout=0.2 * (i % 3), clip=0.5 * (i % 2), skip=i % 2 == 0,
                weight_decay=0.02 * (i % 4), label_smoothing=0.1 * (i % 2), lr=0.004 * (i + 1), **shared,
            )
            for i, (optimizer, schedule) in enumerate(kinds)
        ]  # fmt: skip

    return make


SHUFFLED = [5, 2, 8, 0, 7, 3, 1, 6, 4]


@pytest.mark.parametrize(("way", "norm"), [("vmap", "none"), ("vmap", "layer"), *(("loop", n) for n in NORMS)])
def test_a_row_does_not_depend_on_its_place(way, norm, arrays, rows, train, unlike):
    params = rows(norm=norm, epochs=3)
    straight = train(arrays, params, forward=way)
    shuffled = train(arrays, [params[k] for k in SHUFFLED], SHUFFLED, forward=way)
    assert [unlike(straight[k], state) for k, state in zip(SHUFFLED, shuffled, strict=True)] == [[]] * 9


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_a_row_in_a_pack_equals_the_row_alone(norm, arrays, rows, train, unlike):
    params = rows(norm=norm, epochs=3)
    packed = train(arrays, params)
    for k in (0, 4, 8):
        assert unlike(packed[k], train(arrays, [params[k]], [k])[0]) == []


def test_with_batch_norm_a_row_does_not_depend_on_its_place_to_rounding(arrays, rows, train, furthest):
    params = rows(norm="batch", epochs=3)
    straight = train(arrays, params, dtype=torch.float64)
    shuffled = train(arrays, [params[k] for k in SHUFFLED], SHUFFLED, dtype=torch.float64)
    assert furthest([straight[k] for k in SHUFFLED], shuffled) < 1e-8


def test_many_rows_and_a_large_validation_set_change_nothing(make_arrays, make_params, train, unlike):
    arrays = make_arrays(validation=523)
    params = [make_params(epochs=1, lr=0.001 * (k + 1)) for k in range(40)]
    packed = train(arrays, params)
    for k in (0, 39):
        assert unlike(packed[k], train(arrays, [params[k]], [k])[0]) == []


def test_equal_params_of_different_trials_give_different_results(arrays, make_params, train):
    one, other = train(arrays, [make_params()] * 2)
    assert not torch.equal(one.tensors["theta"], other.tensors["theta"])


def test_another_seed_gives_different_results(arrays, make_params, train):
    one, other = (train(arrays, [make_params()], seed=seed)[0] for seed in (1, 2))
    assert not torch.equal(one.tensors["theta"], other.tensors["theta"])


def test_the_global_generator_neither_matters_nor_moves(arrays, make_params, train, unlike):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = train(arrays, [make_params(dropout=0.3)])[0]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert unlike(one, train(arrays, [make_params(dropout=0.3)])[0]) == []
