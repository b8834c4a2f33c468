"""The two ways through a pack give one answer."""

import itertools

import numpy as np
import pytest
import torch

from hpsearch import keyed
from hpsearch.nets.layers import ACTIVATIONS, NORMS
from hpsearch.pack.train import Pack
from hpsearch.tricks.optimizers import OPTIMIZERS
from hpsearch.tricks.schedules import SCHEDULES


@pytest.fixture(scope="module")
def mixed(make_params):
    """One row for each optimizer with each schedule; every other column differs from row to row."""

    def make(**shared):
        rows = []
        for i, (optimizer, schedule) in enumerate(itertools.product(OPTIMIZERS, SCHEDULES)):
            rows.append(
                make_params(
                    optimizer=optimizer, schedule=schedule, lr=0.003 * (i % 9 + 1), lr_min=1e-4 * (i % 2),
                    momentum=0.1 * (i % 9), weight_decay=0.01 * (i % 3), clip=0.3 * (i % 4), warmup=0.1 * (i % 3),
                    cycles=1 + i % 3, dropout=0.15 * (i % 4), label_smoothing=0.05 * (i % 3), skip=i % 2 == 0,
                    **shared,
                )
            )  # fmt: skip
        return rows

    return make


@pytest.mark.parametrize("norm", NORMS)
def test_after_fifty_steps_in_float64_loop_and_vmap_agree(norm, arrays, mixed, train, furthest):
    rows = mixed(norm=norm)
    loop, packed = (train(arrays, rows, forward=way, dtype=torch.float64) for way in ("loop", "vmap"))
    assert furthest(loop, packed) < 1e-8
    assert all(a.record.best_epoch == b.record.best_epoch for a, b in zip(loop, packed, strict=True))
    curves = [np.array([state.record.curve for state in way]) for way in (loop, packed)]
    assert np.allclose(*curves, rtol=0, atol=1e-8)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_activation_trains_the_same_both_ways(activation, arrays, mixed, train, furthest):
    rows = mixed(activation=activation, epochs=1)[:3]
    loop, packed = (train(arrays, rows, forward=way, dtype=torch.float64) for way in ("loop", "vmap"))
    assert furthest(loop, packed) < 1e-8


def test_a_regression_pack_trains_the_same_both_ways(make_arrays, mixed, train, furthest):
    rows = mixed(norm="batch")
    loop, packed = (
        train(make_arrays("regression"), rows, forward=way, dtype=torch.float64) for way in ("loop", "vmap")
    )
    assert furthest(loop, packed) < 1e-8
    assert all(state.record.failure is None for state in packed)


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("norm", NORMS)
def test_one_float32_step_from_equal_state_gives_equal_gradients(norm, task, make_arrays, mixed, train, settings):
    arrays = make_arrays(task)
    rows = mixed(norm=norm)
    states = train(arrays, rows, until=dict.fromkeys(range(len(rows)), 2))
    order = keyed.permutations(keyed.keys(0, range(len(rows)), "any order"), len(arrays.train.y))
    grads = []
    for way in ("loop", "vmap"):
        pack = Pack(settings(forward=way), arrays, states)
        pack.steps_alone(order, 1)
        grads.append(pack.rows.grad.double())
    distance, size = (grads[0] - grads[1]).norm(dim=1), grads[0].norm(dim=1)
    assert (size > 0).all()
    assert (distance <= 1e-5 * size).all()


@pytest.mark.parametrize("norm", NORMS)
def test_our_own_nets_pass_the_check(norm, arrays, mixed, settings):
    rows = mixed(norm=norm)
    assert Pack.start(settings(), arrays, range(len(rows)), rows).check() is None


def test_trained_rows_still_pass_the_check(arrays, mixed, train, settings):
    assert Pack(settings(), arrays, train(arrays, mixed(norm="batch"))).check() is None


@pytest.mark.parametrize("way", ["loop", "vmap"])
def test_the_check_leaves_the_pack_as_it_was(way, arrays, mixed, train, settings, unlike):
    rows = mixed(norm="batch", epochs=2)
    pack = Pack.start(settings(forward=way), arrays, range(len(rows)), rows)
    pack.check()
    pack.train()
    checked = sorted(pack.done, key=lambda state: state.record.trial)
    unchecked = train(arrays, rows, forward=way)
    assert [unlike(a, b) for a, b in zip(checked, unchecked, strict=True)] == [[]] * len(rows)


def test_rows_of_unequal_batch_size_are_no_pack(arrays, make_params, settings):
    with pytest.raises(ValueError, match="batch size"):
        Pack.start(settings(), arrays, [0, 1], [make_params(), make_params(batch_size=32)])


def test_a_net_without_weights_to_train_is_refused(arrays, make_params, settings):
    with pytest.raises(ValueError, match="gradient"):
        Pack.start(settings(factory=lambda params, shape: torch.nn.ReLU()), arrays, [0], [make_params()])
