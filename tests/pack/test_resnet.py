"""Packs of convolutional nets: loop and vmap agree, and so does plain torch."""

import numpy as np
import pytest
import torch
from torch import nn

from hpsearch import keyed
from hpsearch.data.dataset import Arrays, Part, Target
from hpsearch.knobs import of_net
from hpsearch.nets.build import NETS, build
from hpsearch.nets.layers import IMAGE_NORMS
from hpsearch.nets.shape import Shape
from hpsearch.pack.train import Pack

DEFAULTS = {name: knob.default for name, knob in of_net("resnet").items()}


@pytest.fixture(scope="module")
def images() -> Arrays:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 104)
    x = rng.normal(size=(104, 1, 6, 6)).astype(np.float32)
    x[np.arange(104), 0, y, y] += 3
    parts = [Part(x[own], y[own], np.arange(104)[own]) for own in (slice(0, 64), slice(64, None))]
    return Arrays(*parts, Target("classification", ("a", "b", "c")), "accuracy")


def rows(**shared):
    return [
        {**DEFAULTS, "epochs": 3, "batch_size": 16, "width": 4, "lr": 3e-3 * (k + 1), "skip": k != 1,
         "dropout": 0.2 * k, "spatial_dropout": 0.1 * k, **shared}
        for k in range(3)
    ]  # fmt: skip


@pytest.mark.parametrize("norm", IMAGE_NORMS)
@pytest.mark.parametrize("head", ["pooled", "dense"])
def test_loop_and_vmap_agree_in_float64(norm, head, images, train, furthest, settings):
    changes = {"factory": NETS["resnet"], "dtype": torch.float64}
    params = rows(norm=norm, head=head)
    assert Pack.start(settings(**changes), images, range(3), params).check() is None
    loop, packed = (train(images, params, forward=way, **changes) for way in ("loop", "vmap"))
    assert furthest(loop, packed) < 1e-8


def test_a_row_trains_as_in_torch(images, train, settings):
    params = {
        **DEFAULTS,
        "epochs": 2,
        "batch_size": 16,
        "width": 4,
        "optimizer": "sgd",
        "lr": 0.02,
        "prior_bias": False,
    }
    (state,) = train(images, [params], factory=NETS["resnet"], dtype=torch.float64)
    seed = settings().seed
    net = build(NETS["resnet"], params, Shape((1, 6, 6), 3), keyed.key(seed, 0, "weights")).double().train()
    optimizer = torch.optim.SGD(net.parameters(), 0.02, 0.9)
    x, y = torch.from_numpy(images.train.x).double(), torch.from_numpy(images.train.y)
    for epoch in range(2):
        order = keyed.permutations(keyed.fold(keyed.keys(seed, [0], "order"), epoch), len(y))[0]
        for batch in torch.from_numpy(order).split(16):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
    expected = torch.cat([p.detach().flatten() for p in net.parameters()])
    assert (state.tensors["theta"] - expected).abs().max() < 1e-8


def test_each_rows_own_share_of_channels_is_dropped(images, settings):
    params = [{**DEFAULTS, "width": 64, "batch_size": 64, "spatial_dropout": p} for p in (0.0, 0.25, 0.6)]
    pack = Pack.start(settings(factory=NETS["resnet"]), images, range(3), params)
    pack.check()  # fills the masks as a step does
    mask = pack.rows.buffers["blocks.0.dropout.mask"]
    assert mask.shape == (3, 64, 64)
    assert (mask > 0).float().mean((1, 2)).tolist() == pytest.approx([1, 0.75, 0.4], abs=0.03)
