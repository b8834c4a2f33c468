"""A row that turns NaN or infinite goes, says when, and harms nobody."""

import pytest
import torch

from hpsearch.nets.layers import NORMS
from hpsearch.pack.train import Pack


@pytest.fixture
def three(make_params):
    """Three rows, the middle one as it is told."""

    def make(middle, **shared):
        return [make_params(**shared, lr=lr, dropout=0.2) for lr in (0.01, middle, 0.03)]

    return make


@pytest.fixture
def poison(train, settings):
    """Trains three rows of which the middle one has a NaN among its weights after an epoch."""

    def run(arrays, rows, **changes):
        states = train(arrays, rows, until=dict.fromkeys(range(3), 1), **changes)
        states[1].tensors["theta"][3] = torch.nan
        pack = Pack(settings(**changes), arrays, states)
        pack.train()
        return sorted(pack.done, key=lambda state: state.record.trial)

    return run


@pytest.mark.parametrize(("way", "norm"), [("vmap", "none"), ("vmap", "layer"), *(("loop", n) for n in NORMS)])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_row_that_blows_up_leaves_the_others_bit_identical(way, norm, optimizer, arrays, three, train, unlike):
    shared = {"norm": norm, "optimizer": optimizer, "clip": 0.0 if norm == "batch" else 1.0}
    sane = train(arrays, three(0.02, **shared), forward=way)
    mad = train(arrays, three(1e38, **shared), forward=way)
    assert mad[1].record.failure is not None
    assert [unlike(sane[k], mad[k]) for k in (0, 2)] == [[], []]


@pytest.mark.parametrize(("way", "norm"), [("vmap", "none"), ("vmap", "layer"), *(("loop", n) for n in NORMS)])
def test_a_poisoned_row_leaves_the_others_bit_identical(way, norm, arrays, three, train, poison, unlike):
    rows = three(0.02, norm=norm)
    sane, mad = train(arrays, rows, forward=way), poison(arrays, rows, forward=way)
    assert mad[1].record.failure == "the training loss became nan in epoch 2"
    assert [unlike(sane[k], mad[k]) for k in (0, 2)] == [[], []]


def test_with_batch_norm_and_vmap_the_others_agree_to_rounding(arrays, three, train, poison, furthest):
    rows, changes = three(0.02, norm="batch"), {"dtype": torch.float64}
    sane, mad = train(arrays, rows, **changes), poison(arrays, rows, **changes)
    assert mad[1].record.failure is not None
    assert furthest([sane[0], sane[2]], [mad[0], mad[2]]) < 1e-8


@pytest.mark.parametrize("way", ["loop", "vmap", "fused"])
def test_a_failed_row_ends_where_it_failed_and_keeps_its_best_epoch(way, arrays, three, poison):
    failed = poison(arrays, three(0.02), forward=way)[1].record
    assert (failed.epoch, failed.best_epoch) == (2, 1)
    assert [entry[0] for entry in failed.curve] == [1]


def test_a_loss_that_becomes_infinite_is_named_with_its_epoch(make_arrays, make_params, train):
    (state,) = train(make_arrays("regression"), [make_params(optimizer="sgd", lr=1e30)])
    assert "training loss became" in state.record.failure
    assert "in epoch 1" in state.record.failure


def test_a_failed_validation_names_the_metric_that_failed(arrays, make_params, train):
    one_step_an_epoch = make_params(lr=1e30, batch_size=163)
    (state,) = train(arrays, [one_step_an_epoch])
    assert "log_loss" in state.record.failure
    assert "in epoch 1" in state.record.failure


def test_a_failed_row_is_not_trained_again(arrays, three, poison, settings):
    failed = poison(arrays, three(0.02))[1]
    pack = Pack(settings(), arrays, [failed])
    pack.train()
    assert (pack.done[0].record.epoch, pack.done[0].record.failure) == (2, failed.record.failure)


def test_when_all_rows_fail_training_ends(arrays, make_params, train):
    states = train(arrays, [make_params(optimizer="sgd", lr=1e38)] * 2)
    assert all(state.record.failure for state in states)


EPOCHS = {"first": 0, "middle": 2, "last": 4}  # epochs that are sound before
WAYS = [("loop", "none"), ("loop", "batch"), ("vmap", "none"), ("fused", "none"), ("fused", "batch")]
POISONS = [(*way, what) for way in WAYS for what in ("nan", "inf")]
POISONS += [(*way, "metric") for way in WAYS if "batch" in way]  # it has statistics that only evaluations read


def spoil(state, what):
    """A weight that is no number, or a running mean that is none: then only the evaluation shows it."""
    value = torch.inf if what == "inf" else torch.nan
    name = "buffer.blocks.0.norm.running_mean" if what == "metric" else "theta"
    state.tensors[name][3] = value


@pytest.mark.parametrize("moment", EPOCHS)
@pytest.mark.parametrize(("way", "norm", "what"), POISONS)
@pytest.mark.parametrize("poisoned", [[1], [0, 1, 2]], ids=["one row", "all rows"])
def test_poison_at_any_time_fails_its_rows_and_no_others(
    poisoned, way, norm, what, moment, arrays, three, settings, unlike
):
    rows = three(0.02, norm=norm)

    def run(spoiled):
        pack = Pack.start(settings(forward=way), arrays, range(3), rows)
        pack.train(until=dict.fromkeys(range(3), EPOCHS[moment]))
        states = sorted(pack.states(), key=lambda state: state.record.trial)
        for k in spoiled:
            spoil(states[k], what)
        pack = Pack(settings(forward=way), arrays, states)
        pack.train()
        return sorted(pack.done, key=lambda state: state.record.trial)

    sane, mad = run([]), run(poisoned)
    when = f"in epoch {EPOCHS[moment] + 1}"
    for k in range(3):
        if k in poisoned:
            failure = mad[k].record.failure
            assert ("validation" if what == "metric" else "training loss") in failure
            assert failure.endswith(when)
            assert len(mad[k].record.curve) == EPOCHS[moment]
        else:
            assert mad[k].record.failure is None
            assert unlike(sane[k], mad[k]) == []
