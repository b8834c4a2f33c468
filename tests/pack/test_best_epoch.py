"""Each row's best epoch by the study's metric, ties by log loss or rmse, on the whole validation set."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn import metrics

from hpsearch.metrics import METRICS, PROPER
from hpsearch.nets.build import NETS
from hpsearch.nets.shape import Shape
from hpsearch.pack.net import trained

TASKS = {"accuracy": "classification", "log_loss": "classification", "f1": "classification", "rmse": "regression",
         "mae": "regression", "r2": "regression"}  # fmt: skip


@pytest.fixture
def overfitted(make_arrays, make_params, train):
    """Rows that are best somewhere on the way."""

    def run(metric, way="vmap", norm="none"):
        arrays = make_arrays(TASKS[metric], metric, n=48, validation=53)
        params = [make_params(epochs=12, lr=lr, norm=norm, dropout=0.2) for lr in (0.003, 0.03, 0.1)]
        return arrays, train(arrays, params, forward=way)

    return run


@pytest.mark.parametrize("metric", TASKS)
def test_the_best_epoch_is_the_best_of_the_curve_with_ties_by_the_proper_score(metric, overfitted):
    arrays, states = overfitted(metric)
    sign, proper = METRICS[metric].sign, METRICS[PROPER[arrays.target.task]].sign
    for state in states:
        record = state.record
        best = max(record.curve, key=lambda entry: (sign * entry[2], proper * entry[3]))
        assert record.best_epoch == best[0]
        assert record.best == {metric: best[2], PROPER[arrays.target.task]: best[3]}
    assert any(state.record.best_epoch < state.record.epoch for state in states)


def test_ties_in_accuracy_occur_and_go_by_log_loss(overfitted):
    _, states = overfitted("accuracy")
    tied = [[e for e in s.record.curve if e[2] == s.record.best["accuracy"]] for s in states]
    assert any(entries[0][0] < state.record.best_epoch for entries, state in zip(tied, states, strict=True))
    for entries, state in zip(tied, states, strict=True):
        assert state.record.best["log_loss"] == min(entry[3] for entry in entries)


@pytest.mark.parametrize("metric", TASKS)
@pytest.mark.parametrize("way", ["loop", "vmap"])
def test_the_kept_net_gives_the_kept_predictions_and_scores(metric, way, overfitted):
    arrays, states = overfitted(metric, way, norm="batch")
    for state in states:
        net = trained(NETS["mlp"], state, Shape(arrays.input_shape, arrays.target.outputs))
        with torch.no_grad():
            out = net(torch.from_numpy(arrays.validation.x))
        kept = state.tensors["best.prediction"]
        assert not net.training
        if arrays.target.task == "classification":
            assert torch.allclose(out.log_softmax(-1), kept, atol=1e-5)
        else:
            values = out.squeeze(1).double() * arrays.target.std + arrays.target.mean
            assert torch.allclose(values, kept, atol=1e-4)
        for name, value in state.record.best.items():
            again = METRICS[name].score(kept.unsqueeze(0), torch.from_numpy(arrays.validation.y))
            assert float(again) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("way", ["loop", "vmap"])
def test_a_neighbour_that_leaves_takes_no_kept_net_along(way, make_arrays, make_params, train):
    arrays = make_arrays(metric="log_loss", n=48, validation=53)
    lengths = ((8, 0.003), (12, 0.05), (12, 0.1))
    params = [make_params(epochs=epochs, lr=lr, norm="batch", batch_size=6) for epochs, lr in lengths]
    states = train(arrays, params, forward=way)
    assert any(state.record.best_epoch < 8 for state in states[1:])
    for state in states:
        out = trained(NETS["mlp"], state, Shape(arrays.input_shape, 3))(torch.from_numpy(arrays.validation.x))
        assert torch.allclose(out.log_softmax(-1), state.tensors["best.prediction"], atol=1e-5)


def test_scores_are_scikit_learns_on_every_validation_example(overfitted):
    arrays, states = overfitted("accuracy")
    for state in states:
        probability = state.tensors["best.prediction"].double().exp().numpy()
        assert probability.shape == (53, 3)
        probability /= probability.sum(1, keepdims=True)  # float32 sums to one but for rounding
        y = arrays.validation.y
        assert state.record.best["accuracy"] == pytest.approx(metrics.accuracy_score(y, probability.argmax(1)))
        assert state.record.best["log_loss"] == pytest.approx(metrics.log_loss(y, probability), rel=1e-5)


def test_values_are_scored_in_the_targets_own_units(overfitted):
    arrays, states = overfitted("rmse")
    for state in states:
        error = state.tensors["best.prediction"].numpy() - arrays.validation.y
        assert state.record.best["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-12)


def test_a_target_far_from_zero_loses_no_digits(make_arrays, make_params, train):
    near, shift = make_arrays("regression"), 1e9
    parts = {
        name: replace(getattr(near, name), y=getattr(near, name).y + shift) for name in ("train", "validation")
    }
    far = replace(near, **parts, target=replace(near.target, mean=near.target.mean + shift))
    one, other = (train(arrays, [make_params()])[0].record.best["rmse"] for arrays in (near, far))
    assert other == pytest.approx(one, rel=1e-4)


@pytest.mark.parametrize("size", [1, 257, 523])
@pytest.mark.parametrize("way", ["loop", "vmap", "fused"])
def test_a_validation_set_of_any_size_is_used_whole(size, way, make_arrays, make_params, train):
    arrays = make_arrays(validation=size)
    states = train(arrays, [make_params(epochs=1)] * 33, forward=way)
    net = trained(NETS["mlp"], states[32], Shape(arrays.input_shape, 3))
    expected = net(torch.from_numpy(arrays.validation.x)).log_softmax(-1)
    assert torch.allclose(states[32].tensors["best.prediction"], expected, atol=1e-6)


@pytest.mark.parametrize(("every", "epochs"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (5, [5]), (9, [5])])
def test_every_kth_epoch_and_the_last_are_evaluated(every, epochs, arrays, make_params, train):
    for state in train(arrays, [make_params(), make_params(epochs=5)], evaluate=every):
        assert [entry[0] for entry in state.record.curve] == epochs


def test_how_often_is_evaluated_does_not_change_the_training(arrays, make_params, train):
    often, seldom = (train(arrays, [make_params(norm="batch")], evaluate=k)[0] for k in (1, 3))
    assert torch.equal(often.tensors["theta"], seldom.tensors["theta"])
    assert torch.equal(often.tensors["buffer.blocks.0.norm.running_mean"],
                       seldom.tensors["buffer.blocks.0.norm.running_mean"])  # fmt: skip


def test_a_rebuilt_net_shares_nothing_with_the_row(arrays, make_params, train):
    (state,) = train(arrays, [make_params(norm="batch")])
    before = {name: tensor.clone() for name, tensor in state.tensors.items()}
    net = trained(NETS["mlp"], state, Shape(arrays.input_shape, 3))
    for tensor in [*net.parameters(), *net.buffers()]:
        tensor.data.zero_()
    assert all(torch.equal(before[name], state.tensors[name]) for name in before)
