"""Losses in training: kinds side by side in a pack, class weights, flooding, examples' weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from hpsearch.nets.build import NETS
from hpsearch.nets.shape import Shape
from hpsearch.pack.net import trained
from hpsearch.pack.train import Pack
from hpsearch.tricks.losses import LOSSES

TASK = {kind: task for task, losses in LOSSES.items() for kind in losses}


@pytest.mark.parametrize("kind", TASK)
def test_a_loss_trains_as_in_torch(kind, make_arrays, make_params, train, plain):
    params = make_params(loss=kind, focal_gamma=2.0, huber_delta=0.5, optimizer="sgd", lr=0.05)
    arrays = make_arrays(TASK[kind])
    (state,) = train(arrays, [params], dtype=torch.float64)
    assert (state.tensors["theta"] - plain(arrays, params)).abs().max() < 1e-8


@pytest.mark.parametrize("forward", ["loop", "vmap", "fused"])
def test_rows_of_several_kinds_train_as_each_does_alone(forward, arrays, make_params, train, unlike):
    kinds = ["focal", "cross_entropy", "binary", "focal", "cross_entropy"]
    rows = [make_params(loss=kind, focal_gamma=i, class_weights=i / 4) for i, kind in enumerate(kinds)]
    together = train(arrays, rows, forward=forward)
    for k, params in enumerate(rows):
        (alone,) = train(arrays, [params], [k], forward=forward)
        assert unlike(together[k], alone) == []


def test_a_balanced_loss_helps_the_rare_class(make_params, train, make_arrays):
    arrays = make_arrays(metric="balanced_accuracy", n=400)
    rare = np.flatnonzero(arrays.train.y == 2)[8:]
    train_part = replace(
        arrays.train, x=np.delete(arrays.train.x, rare, 0), y=np.delete(arrays.train.y, rare), index=np.arange(1)
    )
    arrays = replace(arrays, train=train_part)
    rows = [make_params(class_weights=power, width=4, depth=1, epochs=10) for power in (0.0, 1.0)]
    none, balanced = train(arrays, rows)
    assert balanced.record.best["balanced_accuracy"] > none.record.best["balanced_accuracy"] + 0.03


def test_flooding_holds_the_training_loss_at_its_level(arrays, make_params, train):
    rows = [make_params(flood=level, epochs=250, width=32, batch_size=163) for level in (0.0, 0.1, 0.3)]
    losses = [state.record.curve[-1][1] for state in train(arrays, rows)]
    assert losses[0] < 0.02
    assert losses[1:] == pytest.approx([0.1, 0.3], rel=0.15)  # the flooded loss is at least the level


def test_examples_count_by_their_weights(arrays, make_params, train, plain):
    params = make_params(optimizer="sgd", lr=0.05, batch_size=163, epochs=3, prior_bias=False)
    weight = np.random.default_rng(0).uniform(0, 2, 163).astype(np.float32)
    weighted = replace(arrays, train=replace(arrays.train, weight=weight))
    (state,) = train(weighted, [params], dtype=torch.float64)
    shape = Shape(arrays.input_shape, 3)
    net = (
        trained(NETS["mlp"], train(arrays, [params], until={0: 0}, dtype=torch.float64)[0], shape).double().train()
    )
    x, y = torch.from_numpy(arrays.train.x).double(), torch.from_numpy(arrays.train.y)
    optimizer = torch.optim.SGD(net.parameters(), 0.05, 0.9)
    for _ in range(3):
        optimizer.zero_grad()
        (functional.cross_entropy(net(x), y, reduction="none") * torch.from_numpy(weight)).mean().backward()
        optimizer.step()
    expected = torch.cat([p.detach().flatten() for p in net.parameters()])
    assert (state.tensors["theta"] - expected).abs().max() < 1e-8
    assert (state.tensors["theta"] - plain(arrays, params)).abs().max() > 1e-4


def test_a_net_of_the_binary_loss_predicts_by_itself_what_its_pack_predicts(arrays, make_params, train, settings):
    (state,) = train(arrays, [make_params(loss="binary")])
    net = trained(NETS["mlp"], state, Shape(arrays.input_shape, 3))
    x = torch.from_numpy(arrays.validation.x)
    expected = state.tensors["best.prediction"]
    assert torch.allclose(net(x).log_softmax(-1), expected, atol=1e-6)
    pack = Pack.start(settings(), arrays, [0], [make_params(loss="binary")])
    sigmoids = torch.sigmoid(net[0](x))
    assert torch.allclose(expected.exp(), sigmoids / sigmoids.sum(-1, keepdim=True), atol=1e-6)
    assert pack.check() is None


def test_extra_examples_count_as_each_row_says(arrays, make_params, train):
    extra = np.arange(163) >= 100
    given = replace(arrays, train=replace(arrays.train, extra=extra))
    shared = {"batch_size": 163, "optimizer": "sgd", "prior_bias": False}
    rows = [make_params(extra_weight=w, **shared) for w in (0.0, 0.5, 1.0)]
    found = train(given, rows, dtype=torch.float64)
    for k, w in enumerate((0.0, 0.5, 1.0)):
        weight = np.where(extra, w, 1.0) / np.where(extra, w, 1.0).mean()
        weight = weight.astype(np.float32)
        weighted = replace(arrays, train=replace(arrays.train, weight=weight))
        (same,) = train(weighted, [make_params(**shared)], [k], dtype=torch.float64)
        assert (same.tensors["theta"] - found[k].tensors["theta"]).abs().max() < 1e-6
