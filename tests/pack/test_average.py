"""Averaged weights, snapshots and patience in training."""

import copy

import pytest
import torch
from torch import nn

from hpsearch.nets.build import NETS
from hpsearch.nets.shape import Shape
from hpsearch.pack.net import trained
from hpsearch.pack.snapshots import epochs_of, epochs_of_minima
from hpsearch.pack.train import Pack

WAYS = ["loop", "vmap", "fused"]


@pytest.mark.parametrize("way", WAYS)
def test_a_row_averages_and_its_neighbours_do_not_feel_it(way, arrays, make_params, train, unlike):
    plain, ema = make_params(norm="batch"), make_params(norm="batch", average="ema", average_span=0.2)
    alone = train(arrays, [plain, plain], forward=way)
    together = train(arrays, [plain, ema], forward=way)
    assert torch.equal(together[0].tensors["theta"], alone[0].tensors["theta"])
    assert torch.equal(together[1].tensors["theta"], alone[1].tensors["theta"])  # training is the same
    assert together[0].record.average_curve == []
    assert len(together[1].record.average_curve) == 5


@pytest.mark.parametrize("way", WAYS)
def test_the_averaged_net_is_scored_with_the_statistics_of_its_own_weights(
    way, arrays, make_params, train, settings
):
    """As torch does it: the mean of the weights, then batch norms without momentum over the same batches."""
    params = make_params(norm="batch", average="swa", average_span=1.0, epochs=2, lr=0.05)
    pack = Pack.start(settings(forward=way, dtype=torch.float64), arrays, [0], [params])
    thetas = []
    step = pack.average.step

    def noting(s):
        thetas.append(pack.rows.theta[0].clone())
        step(s)

    pack.average.step = noting
    pack.train()
    mean = torch.stack(thetas).mean(0)
    (state,) = pack.done
    assert torch.allclose(state.tensors["average.theta"], mean, atol=1e-12)
    net = trained(NETS["mlp"], state, Shape(arrays.input_shape, 3))
    nn.utils.vector_to_parameters(mean, net.parameters())
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm1d)):
        norm.reset_running_stats()
        norm.momentum = None
    net.train()
    for batch in pack.examples.spread(pack.batch, pack.steps, [None]):
        net(batch)
    expected = net.eval()(pack.examples.x_validation).log_softmax(-1)
    right = (expected.argmax(-1) == pack.examples.y_validation).double().mean()
    assert state.record.average_curve[-1][1] == pytest.approx(float(right))
    loss = nn.functional.nll_loss(expected, pack.examples.y_validation)
    assert state.record.average_curve[-1][2] == pytest.approx(float(loss), abs=1e-9)


def test_the_better_of_raw_and_average_is_kept(arrays, make_params, train):
    params = [make_params(lr=0.2, optimizer="sgd", epochs=12, average="ema", average_span=0.1) for _ in range(4)]
    states = train(arrays, params)
    assert "average" in {state.record.best_kind for state in states}
    for state in states:
        record = state.record
        curve = (
            record.average_curve if record.best_kind == "average" else [[e, m, p] for e, _, m, p in record.curve]
        )
        assert [record.best_epoch, record.best["accuracy"], record.best["log_loss"]] in curve
        every = [(m, -p) for _, _, m, p in record.curve] + [(m, -p) for _, m, p in record.average_curve]
        assert (record.best["accuracy"], -record.best["log_loss"]) == max(every)
        net = trained(NETS["mlp"], state, Shape(arrays.input_shape, 3))
        expected = net(torch.from_numpy(arrays.validation.x)).log_softmax(-1)
        assert torch.allclose(state.tensors["best.prediction"], expected, atol=1e-5)


def test_an_average_of_a_noisy_row_is_better_than_its_weights(make_arrays, make_params, train):
    """What averaging is for: a constant rate that is too high."""
    arrays = make_arrays(n=400, validation=300, metric="log_loss")
    rows = [make_params(lr=0.3, optimizer="sgd", epochs=20, average="ema", depth=1) for _ in range(6)]
    records = [state.record for state in train(arrays, rows)]
    raw = sum(record.curve[-1][3] for record in records)
    average = sum(record.average_curve[-1][2] for record in records)
    assert average < 0.9 * raw


def test_evaluating_averages_leaves_training_as_it_was_with_dropout(arrays, make_params, train):
    with_it = make_params(dropout=0.3, norm="batch", average="swa", average_span=0.5)
    one, other = train(arrays, [with_it]), train(arrays, [{**with_it, "average": "none"}])
    assert torch.equal(one[0].tensors["theta"], other[0].tensors["theta"])


@pytest.mark.parametrize("way", ["loop", "vmap"])
def test_a_resumed_average_goes_on(way, arrays, make_params, train, unlike, settings):
    rows = [make_params(average=kind, average_span=0.4, schedule="cyclic", cycles=2) for kind in ("ema", "swa")]
    whole = train(arrays, rows, forward=way)
    halfway = train(arrays, rows, until={0: 3, 1: 3}, forward=way)
    pack = Pack(settings(forward=way), arrays, halfway)
    pack.train()
    resumed = sorted(pack.states(), key=lambda state: state.record.trial)
    assert [unlike(a, b) for a, b in zip(resumed, whole, strict=True)] == [[], []]
    assert [state.record.average_curve for state in resumed] == [state.record.average_curve for state in whole]


def test_an_average_is_scored_from_the_epoch_on_in_which_it_is_one(arrays, make_params, train):
    rows = [make_params(average=kind, average_span=0.5, epochs=6) for kind in ("swa", "ema")]
    swa, ema = train(arrays, rows)
    assert [entry[0] for entry in swa.record.average_curve] == [4, 5, 6]
    assert [entry[0] for entry in ema.record.average_curve] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("schedule", ["constant", "cyclic"])
def test_a_cyclic_row_loses_its_patience_at_minima_alone(schedule, arrays, make_params, train):
    params = make_params(epochs=12, schedule=schedule, cycles=3, patience=1, lr=1e-9)  # nothing gets better
    (state,) = train(arrays, [params])
    assert state.record.epoch in ([4, 8] if schedule == "cyclic" else [2, 3])


# --- snapshots --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epochs", "cycles", "warmup", "minima"),
    [
        (10, 2, 0.0, [5, 10]),
        (10, 3, 0.0, [3, 6, 10]),
        (10, 1, 0.5, [10]),
        (12, 2, 0.5, [9, 12]),
        (2, 5, 0.0, [1, 2]),
    ],
)
def test_snapshots_are_taken_where_the_rate_is_lowest(epochs, cycles, warmup, minima, make_params):
    params = make_params(epochs=epochs, schedule="cyclic", cycles=cycles, warmup=warmup)
    assert epochs_of_minima(params) == minima
    assert epochs_of_minima({**params, "schedule": "cosine"}) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_snapshot_is_the_net_that_its_epoch_ended_with(way, arrays, make_params, train):
    params = make_params(epochs=6, schedule="cyclic", cycles=3, norm="batch")
    (state,) = train(arrays, [params], forward=way, evaluate=5)  # snapshots are evaluated whatever the interval
    assert epochs_of(state.tensors) == [2, 4, 6]
    assert list(state.record.snapshots) == ["2", "4", "6"]
    x = torch.from_numpy(arrays.validation.x)
    for epoch in (2, 4, 6):
        (then,) = train(arrays, [params], forward=way, until={0: epoch})
        assert torch.equal(state.tensors[f"snapshot.{epoch}.theta"], then.tensors["theta"])
        net = trained(NETS["mlp"], state, Shape(arrays.input_shape, 3), f"snapshot.{epoch}")
        assert torch.allclose(net(x).log_softmax(-1), state.tensors[f"snapshot.{epoch}.prediction"], atol=1e-5)


# --- patience ---------------------------------------------------------------------------------------------------


def test_a_row_stops_when_its_patience_is_over_and_leaves_the_matrix(arrays, make_params, train, unlike):
    rows = [make_params(epochs=40, lr=0.05, patience=patience) for patience in (0, 3, 8)]
    states = train(arrays, rows)
    for state, patience in zip(states, (0, 3, 8), strict=True):
        record = state.record
        if patience:
            assert record.stopped
            assert record.ended
            assert record.epoch - record.best_epoch == patience
            longest = [e for e, *_ in record.curve if e <= record.epoch]
            assert longest == list(range(1, record.epoch + 1))
        else:
            assert record.epoch == 40
    (alone,) = train(arrays, rows[1:2], [1])
    assert unlike(states[1], alone) == []


def test_patience_waits_for_the_best_of_raw_and_average(arrays, make_params, train):
    params = make_params(epochs=30, lr=0.2, optimizer="sgd", average="ema", patience=2)
    (state,) = train(arrays, [params])
    assert state.record.epoch - state.record.best_epoch == 2


def test_a_stopped_row_is_not_trained_again(arrays, make_params, train, settings):
    (state,) = train(arrays, [make_params(epochs=40, lr=0.05, patience=2)])
    before = copy.deepcopy(state.tensors)
    pack = Pack(settings(), arrays, [state])
    pack.train()
    assert pack.done[0].record.epoch == state.record.epoch
    assert all(torch.equal(before[name], tensor) for name, tensor in pack.done[0].tensors.items())
