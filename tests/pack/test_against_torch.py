"""One row of the loop against torch's own optimizers, losses and clipping, on the same batches in float64."""

import pytest
import torch

from hpsearch.nets.layers import NORMS
from hpsearch.tricks.optimizers import OPTIMIZERS
from hpsearch.tricks.schedules import SCHEDULES


@pytest.fixture
def agrees(train, plain):
    """Asserts that a trial trained by us has the weights that plain torch gives it."""

    def check(arrays, params, trial=0, forward="loop", **changes):
        (state,) = train(arrays, [params], [trial], forward=forward, dtype=torch.float64, **changes)
        assert state.record.failure is None
        distance = (state.tensors["theta"] - plain(arrays, params, trial, **changes)).abs().max()
        assert distance < 1e-8

    return check


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("weight_decay", [0.0, 0.03])
def test_an_optimizer_equals_torchs(optimizer, weight_decay, arrays, make_params, agrees):
    agrees(arrays, make_params(optimizer=optimizer, weight_decay=weight_decay))


def test_sgd_without_momentum_equals_torchs(arrays, make_params, agrees):
    agrees(arrays, make_params(optimizer="sgd", momentum=0.0, lr=0.1))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_equals_a_list_of_rates(schedule, arrays, make_params, agrees):
    agrees(arrays, make_params(schedule=schedule, warmup=0.2, cycles=2, lr_min=1e-3, optimizer="sgd", lr=0.1))


def test_label_smoothing_equals_torchs(arrays, make_params, agrees):
    agrees(arrays, make_params(label_smoothing=0.1))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_clipping_equals_torchs(optimizer, arrays, make_params, agrees):
    agrees(arrays, make_params(clip=0.2, optimizer=optimizer, weight_decay=0.01, momentum=0.5))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("skip", [False, True])
def test_a_norm_and_a_skip_train_as_in_torch(norm, skip, arrays, make_params, agrees):
    agrees(arrays, make_params(norm=norm, skip=skip, optimizer="sgd", lr=0.05))


def test_a_linear_model_trains_as_in_torch(arrays, make_params, agrees):
    agrees(arrays, make_params(depth=0))


def test_a_regression_trains_as_in_torch(make_arrays, make_params, agrees):
    agrees(make_arrays("regression"), make_params(clip=1.0, schedule="cosine"))


def test_the_rows_of_a_vmapped_pack_equal_torch_too(make_params, arrays, train, plain):
    rows = [
        make_params(optimizer="adamw", weight_decay=0.1, lr=0.02, label_smoothing=0.1),
        make_params(optimizer="sgd", clip=0.3, schedule="cyclic", cycles=2),
        make_params(optimizer="adam", schedule="cosine", warmup=0.1, skip=True, weight_decay=0.01),
    ]
    states = train(arrays, rows, [4, 9, 2], dtype=torch.float64)
    for trial, params, state in zip([4, 9, 2], rows, states, strict=True):
        assert (state.tensors["theta"] - plain(arrays, params, trial)).abs().max() < 1e-8


def test_a_batch_larger_than_the_data_is_all_of_it(make_arrays, make_params, train):
    few = make_arrays(n=21)
    whole, larger = (train(few, [make_params(batch_size=size)], dtype=torch.float64)[0] for size in (21, 64))
    assert torch.equal(whole.tensors["theta"], larger.tensors["theta"])


def test_the_curves_training_loss_is_the_mean_over_the_epochs_batches(arrays, make_params, train):
    still = make_params(lr=1e-12, batch_size=163, epochs=2)
    (state,) = train(arrays, [still], dtype=torch.float64)
    start = train(arrays, [still], dtype=torch.float64, until={0: 1})[0]
    assert state.record.curve[0][1] == pytest.approx(state.record.curve[1][1], abs=1e-8)
    assert start.record.curve == state.record.curve[:1]
