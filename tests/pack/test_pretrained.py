"""Starting from given weights: what fits is loaded, the head replaced, the body held for its first epochs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hpsearch.errors import UserError
from hpsearch.nets.build import NETS
from hpsearch.nets.shape import Shape
from hpsearch.pack.first import first_net
from hpsearch.pack.net import trained, whole_net
from hpsearch.pack.pretrained import read_weights, start_from
from hpsearch.pack.train import Pack


@pytest.fixture
def pretrained(arrays, make_params, train):
    """A trained net's tensors, by name."""
    (state,) = train(arrays, [make_params(norm="batch", epochs=8)])
    net = trained(NETS["mlp"], state, Shape(arrays.input_shape, 3))
    return {name: tensor.detach().numpy() for name, tensor in net.state_dict().items()}


def test_a_net_starts_from_the_weights_whose_names_and_shapes_are_its_own(arrays, make_params, pretrained):
    params = make_params(norm="batch")
    given = replace(arrays, weights=pretrained)
    net = first_net(NETS["mlp"], params, given, Shape(arrays.input_shape, 3), 5)
    for name, tensor in net.state_dict().items():
        if not name.endswith(("gate", "mask", ".p")):
            assert np.array_equal(tensor.numpy(), pretrained[name]), name
    params, more = {**params, "prior_bias": False}, Shape(arrays.input_shape, 7)  # classes: another head
    other, fresh = (first_net(NETS["mlp"], params, some, more, 5) for some in (given, arrays))
    assert torch.equal(other.head.weight, fresh.head.weight)
    assert np.array_equal(other.blocks[0].linear.weight.detach().numpy(), pretrained["blocks.0.linear.weight"])


def test_what_was_loaded_and_what_is_drawn_is_named(arrays, make_params, pretrained):
    params = make_params(norm="batch", prior_bias=False)
    net = first_net(NETS["mlp"], params, arrays, Shape(arrays.input_shape, 7), 5)
    loaded, drawn = start_from(net, pretrained)
    assert drawn == ["head.weight", "head.bias"]
    assert {"blocks.0.linear.weight", "blocks.1.norm.running_mean"} <= set(loaded)


@pytest.mark.parametrize("given", [{"loss": "binary"}, {"scaling": "quantile"},
                                   {"loss": "binary", "scaling": "quantile"}])  # fmt: skip
def test_an_exports_net_is_found_behind_its_front_and_before_its_sigmoid(
    given, arrays, make_params, train, tmp_path
):
    params = make_params(**given)
    (state,) = train(arrays, [params])
    whole = whole_net(NETS["mlp"], state, arrays)
    save_file({f"member.0.{name}": t.contiguous() for name, t in whole.state_dict().items()}, tmp_path / "m")
    net = first_net(NETS["mlp"], params, arrays, Shape(arrays.input_shape, 3), 5)
    loaded, drawn = start_from(net, read_weights(tmp_path / "m", "s"))
    assert drawn == []
    assert {"head.weight", "blocks.0.linear.weight"} <= set(loaded)


def test_a_gate_is_the_trials_own(arrays, make_params, train):
    (state,) = train(arrays, [make_params(skip=True, depth=3)])
    given = trained(NETS["mlp"], state, Shape(arrays.input_shape, 3)).state_dict()
    weights = {name: tensor.numpy() for name, tensor in given.items()}
    for skip in (False, True):
        params = make_params(skip=skip, depth=3)
        net = first_net(NETS["mlp"], params, replace(arrays, weights=weights), Shape(arrays.input_shape, 3), 5)
        gates = {float(tensor) for name, tensor in net.state_dict().items() if name.endswith("gate")}
        assert gates == {float(skip)}


def test_a_net_that_starts_well_begins_well(arrays, make_params, train, pretrained):
    params = make_params(norm="batch", epochs=1, lr=1e-6)
    cold, warm = (train(given, [params])[0] for given in (arrays, replace(arrays, weights=pretrained)))
    assert warm.record.best["log_loss"] < 0.7 * cold.record.best["log_loss"]


@pytest.mark.parametrize("forward", ["loop", "vmap", "fused"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_body_is_held_for_the_frozen_epochs(
    forward, optimizer, arrays, make_params, train, pretrained, settings, unlike
):
    given = replace(arrays, weights=pretrained)
    shared = {"norm": "batch", "epochs": 5, "optimizer": optimizer, "weight_decay": 0.1, "frozen_epochs": 3}
    rows = [make_params(lr=lr, **shared) for lr in (1e-3, 1e-2)]
    start = Pack.start(settings(forward=forward), given, [0, 1], rows)
    body, first = start.body, start.rows.theta.clone()
    assert len(body) == first.shape[1] - (12 * 3 + 3)
    head = [place for place in range(first.shape[1]) if place not in set(body.tolist())]
    still, moved = (train(given, rows, until={0: e, 1: e}, forward=forward) for e in (3, 4))
    for k in (0, 1):
        assert torch.equal(still[k].tensors["theta"][body], first[k][body])
        assert not torch.equal(still[k].tensors["theta"][head], first[k][head])
        assert not torch.equal(moved[k].tensors["theta"][body], first[k][body])
    pack = Pack(settings(forward=forward), given, train(given, rows, until={0: 2, 1: 2}, forward=forward))
    pack.train()
    resumed = sorted(pack.states(), key=lambda state: state.record.trial)
    whole = train(given, rows, forward=forward)
    assert [unlike(a, b) for a, b in zip(resumed, whole, strict=True)] == [[], []]


def test_a_held_body_has_no_part_in_the_clipped_norm(arrays, make_params, train, pretrained):
    given = replace(arrays, weights=pretrained)
    params = make_params(
        norm="batch", epochs=1, optimizer="sgd", momentum=0.0, lr=0.1, clip=1e-3, frozen_epochs=1, batch_size=163
    )
    (state,) = train(given, [params], forward="loop", dtype=torch.float64)
    net = first_net(NETS["mlp"], params, given, Shape(arrays.input_shape, 3), 0).double().train()
    x, y = torch.from_numpy(arrays.train.x).double(), torch.from_numpy(arrays.train.y)
    torch.nn.functional.cross_entropy(net(x), y).backward()
    head = list(net.head.parameters())
    torch.nn.utils.clip_grad_norm_(head, 1e-3)
    expected = torch.cat([(p - 0.1 * p.grad).detach().flatten() for p in head])
    trained_net = trained(NETS["mlp"], state, Shape(arrays.input_shape, 3))
    found = torch.cat([p.detach().double().flatten() for p in trained_net.head.parameters()])
    assert (found - expected).abs().max() < 1e-6
    assert (found - torch.cat([p.detach().flatten() for p in head])).abs().max() > 1e-5


@pytest.mark.parametrize("within", ["", "0.", "1.", "0.1.", "member.0.0.1."])
def test_a_net_within_an_exports_is_found(within: str, tmp_path: Path):
    """Before the sigmoid of its loss, behind a front, or both; in half precision, too."""
    save_file({f"{within}head.weight": torch.ones(2, 3).bfloat16()}, tmp_path / "w.safetensors")
    assert read_weights(tmp_path / "w.safetensors", "s")["head.weight"].tolist() == [[1.0] * 3] * 2


def test_names_as_they_stand_come_first(tmp_path: Path):
    save_file({"0.weight": torch.ones(2), "1.0.weight": torch.zeros(2)}, tmp_path / "w.safetensors")
    assert read_weights(tmp_path / "w.safetensors", "s")["0.weight"].tolist() == [1.0, 1.0]


def test_an_exports_first_member_is_read(tmp_path: Path):
    tensors = {"member.0.head.weight": torch.ones(2, 3), "member.1.head.weight": torch.zeros(2, 3)}
    save_file(tensors, tmp_path / "w.safetensors")
    found = read_weights(tmp_path / "w.safetensors", "s.yaml: init_from")
    assert {name: array.tolist() for name, array in found.items()} == {"head.weight": [[1.0] * 3] * 2}


@pytest.mark.parametrize("content", [None, b"", b"junk" * 30, b"\x80\x04pickle"])
def test_a_file_that_is_none_is_refused(content, tmp_path: Path):
    if content is not None:
        (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"^s\.yaml: init_from: .*w\.safetensors: "):
        read_weights(tmp_path / "w.safetensors", "s.yaml: init_from")
