"""Training on a share of the examples, and on images that start small and grow."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from hpsearch.data.dataset import Arrays, Part, Target
from hpsearch.errors import UserError
from hpsearch.knobs import of_net
from hpsearch.nets.build import NETS
from hpsearch.pack.examples import share_of
from hpsearch.pack.train import Pack
from hpsearch.space import draw
from hpsearch.study import parse_study
from hpsearch.tricks.augment import grown
from hpsearch.validate import check_names

DEFAULTS = {name: knob.default for name, knob in of_net("resnet").items()}


def test_a_share_trains_on_its_own_examples_alone(arrays, make_params, train):
    half = share_of(arrays, 0.5, 7)
    small = Arrays(arrays.train.at(half), arrays.validation, arrays.target, arrays.metric)
    shared = {"prior_bias": False}
    (found,) = train(arrays, [make_params(train_share=0.5, **shared)])
    (expected,) = train(small, [make_params(**shared)])
    assert torch.equal(found.tensors["theta"], expected.tensors["theta"])
    assert len(half) == round(0.5 * len(arrays.train.y))


def test_smaller_shares_are_parts_of_larger_ones(arrays):
    shares = [set(share_of(arrays, share, 7).tolist()) for share in (0.01, 0.2, 0.5, 0.99)]
    assert all(a <= b for a, b in pairwise(shares))
    assert len(shares[0]) == 2
    assert share_of(arrays, 1.0, 7) is None


def test_extra_data_stay_whole_in_a_share(arrays):
    extra = np.arange(163) >= 100
    kept = share_of(replace(arrays, train=replace(arrays.train, extra=extra)), 0.1, 3)
    assert len(kept) == 10 + 63
    assert list(kept[10:]) == list(range(100, 163))


# --- growing ----------------------------------------------------------------------------------------------------


def test_images_grow_to_their_size_by_the_middle_of_the_run():
    sizes = [grown(epoch / 10, 8, 28) for epoch in range(10)]
    assert sizes == [8, 12, 16, 20, 24, 28, 28, 28, 28, 28]
    assert grown(0.0, 40, 28) == 28


@pytest.fixture(scope="module")
def images() -> Arrays:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 96)
    x = rng.normal(size=(96, 1, 12, 12)).astype(np.float32)
    parts = [Part(x[own], y[own], np.arange(96)[own]) for own in (slice(0, 64), slice(64, None))]
    return Arrays(*parts, Target("classification", ("a", "b", "c")), "accuracy")


@pytest.mark.parametrize("forward", ["loop", "vmap"])
def test_a_net_sees_small_images_first(forward, images, settings, monkeypatch):
    params = [
        {**DEFAULTS, "epochs": 4, "batch_size": 32, "width": 4, "image_start": 6, "spatial_dropout": 0.1}
    ] * 2
    pack = Pack.start(settings(factory=NETS["resnet"], forward=forward), images, [0, 1], params)
    seen, small = [], pack._small

    def noting(batch, epochs):
        found = small(batch, epochs)
        seen.append(found.x.shape[-2:])
        return found

    monkeypatch.setattr(pack, "_small", noting)
    pack.train()
    assert (
        seen == [(6, 6)] * 2 + [(8, 8)] * 2 + [(12, 12)] * 4
        or seen == [(6, 6)] * 2 + [(10, 10)] * 2 + [(12, 12)] * 4
    )
    assert len(pack.done) == 2


def test_images_that_are_no_squares_keep_their_form(settings):
    rng = np.random.default_rng(1)
    part = Part(rng.normal(size=(64, 1, 8, 16)).astype(np.float32), rng.integers(0, 3, 64), np.arange(64))
    arrays = Arrays(part, part, Target("classification", ("a", "b", "c")), "accuracy")
    params = {**DEFAULTS, "epochs": 4, "batch_size": 32, "width": 4, "image_start": 8}
    pack = Pack.start(settings(factory=NETS["resnet"], forward="loop"), arrays, [0], [params])
    small = pack._small(pack.examples.batch(np.arange(32)[None]), np.array([0]))
    assert small.x.shape[-2:] == (4, 8)


def test_a_growing_row_equals_itself_alone_and_resumed(images, train, settings, unlike):
    rows = [
        {**DEFAULTS, "epochs": 4, "batch_size": 32, "width": 4, "image_start": 6, "lr": lr} for lr in (1e-3, 1e-2)
    ]
    whole = train(images, rows, factory=NETS["resnet"], forward="loop")
    halfway = train(images, rows, until={0: 1, 1: 1}, factory=NETS["resnet"], forward="loop")
    pack = Pack(settings(factory=NETS["resnet"], forward="loop"), images, halfway)
    pack.train()
    resumed = sorted(pack.states(), key=lambda state: state.record.trial)
    assert [unlike(a, b) for a, b in zip(resumed, whole, strict=True)] == [[], []]


def test_epochs_are_structural_beside_growing_images_and_the_head_is_pooled():
    def space(params):
        raw = {"name": "s", "data": {"source": "x"}, "net": "resnet", "params": params}
        return check_names(parse_study(raw, "s.yaml"), "s.yaml")

    growing = space({"epochs": [2, 4], "image_start": [0, 8], "head": ["pooled", "dense"]})
    assert "epochs" in growing.structural()
    assert "epochs" not in space({"epochs": [2, 4]}).structural()
    drawn = [draw(growing, n) for n in range(0, 128, 8)]
    assert {("image_start" in d, d["head"]) for d in drawn} == {(True, "pooled"), (False, "dense")}
    with pytest.raises(UserError, match="image_start: acts with head: pooled alone"):
        space({"image_start": 8, "head": "dense"})
