"""The MLP's step by hand against the plain loop."""

import pytest
import torch

from hpsearch import keyed
from hpsearch.nets.layers import ACTIVATIONS, NORMS
from hpsearch.nets.mlp import MLP
from hpsearch.pack.fused import fits
from hpsearch.pack.train import Pack

KINDS = ["adam", "adamw", "sgd"]


@pytest.fixture(params=["classification", "regression"])
def task_arrays(request, make_arrays):
    return make_arrays(request.param)


@pytest.fixture
def mixed(make_params):
    """Six trials that differ in every column."""

    def make(**structure):
        return [
            make_params(
                optimizer=KINDS[k % 3], lr=1e-3 * (k + 1), dropout=0.1 * k, skip=k % 2 == 0, clip=float(k % 3),
                weight_decay=0.01 * k, schedule=["constant", "cosine"][k % 2], **structure,
            )
            for k in range(6)
        ]  # fmt: skip

    return make


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("depth", [0, 1, 2, 4])
def test_fifty_steps_by_hand_equal_the_loop(depth, norm, activation, task_arrays, mixed, train):
    rows = mixed(depth=depth, norm=norm, activation=activation)
    loop, fused = (train(task_arrays, rows, forward=way, dtype=torch.float64) for way in ("loop", "fused"))
    for one, other in zip(loop, fused, strict=True):
        assert other.record.best_epoch == one.record.best_epoch
        for name, tensor in one.tensors.items():
            assert torch.allclose(tensor, other.tensors[name], rtol=0, atol=1e-8), name


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norm", NORMS)
def test_one_step_by_hand_has_the_loops_gradients_in_float32(norm, activation, task_arrays, mixed, settings):
    grads = {}
    for way in ("loop", "fused"):
        rows = mixed(depth=3, norm=norm, activation=activation)
        pack = Pack.start(settings(forward=way), task_arrays, range(6), rows)
        pack.steps_alone(keyed.permutations(pack.orders, len(pack.examples)), 1)
        grads[way] = pack.rows.grad
    norm = grads["loop"].norm(dim=1)
    assert bool(((grads["fused"] - grads["loop"]).norm(dim=1) <= 1e-5 * norm).all())


@pytest.mark.parametrize("norm", NORMS)
def test_the_check_holds_it_against_the_loop(norm, task_arrays, mixed, settings):
    pack = Pack.start(settings(forward="fused"), task_arrays, range(6), mixed(norm=norm))
    assert pack.check() is None


def test_other_nets_are_left_to_vmap(arrays, make_params, settings):
    class Other(MLP):
        """Might do anything in `forward`."""

    def factory(params, shape):
        return Other(shape.inputs[0], shape.outputs, width=4, depth=1, norm="none", activation="relu")

    assert fits(Pack.start(settings(), arrays, [0], [make_params()]).rows)
    assert not fits(Pack.start(settings(factory=factory), arrays, [0], [make_params()]).rows)


def test_a_row_trains_the_same_alone_and_beside_rows_that_leave(arrays, make_params, train):
    rows = [make_params(epochs=k + 1, dropout=0.2) for k in range(4)]
    together = {state.record.trial: state for state in train(arrays, rows, forward="fused")}
    for trial, params in enumerate(rows):
        (alone,) = train(arrays, [params], trials=[trial], forward="fused")
        assert torch.equal(alone.tensors["theta"], together[trial].tensors["theta"])
