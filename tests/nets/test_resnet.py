"""The small residual net: its shapes, its shortcuts, and packs of it against the loop and torch."""

import itertools

import pytest
import torch
from torch import nn

from hpsearch.knobs import of_net
from hpsearch.nets.build import NETS, build
from hpsearch.nets.layers import ACTIVATIONS, HEADS, IMAGE_NORMS, Dropout, SpatialDropout
from hpsearch.nets.shape import Shape

DEFAULTS = {name: knob.default for name, knob in of_net("resnet").items()}


def resnet(seed=0, inputs=(1, 8, 8), **params):
    return build(NETS["resnet"], {**DEFAULTS, "width": 4, **params}, Shape(inputs, 5), seed)


@pytest.mark.parametrize(
    ("norm", "activation", "head"), itertools.product(IMAGE_NORMS, list(ACTIVATIONS)[:2], HEADS)
)
@pytest.mark.parametrize("inputs", [(1, 8, 8), (3, 9, 7), (2, 1, 1)])
def test_it_gives_one_output_a_class(norm, activation, head, inputs):
    net = resnet(inputs=inputs, norm=norm, activation=activation, head=head, depth=2)
    assert net(torch.randn(3, *inputs)).shape == (3, 5)


def test_depth_is_blocks_a_stage_and_width_doubles():
    net = resnet(depth=2)
    assert [block.conv2.out_channels for block in net.blocks] == [4, 4, 8, 8, 16, 16]
    assert [block.conv1.stride[0] for block in net.blocks] == [1, 1, 2, 1, 2, 1]


def test_a_pooled_head_is_smaller_and_takes_images_of_any_size():
    sizes = [sum(p.numel() for p in resnet(head=head).head.parameters()) for head in HEADS]
    assert sizes == [16 * 5 + 5, 16 * 4 * 5 + 5]
    assert resnet(head="pooled")(torch.randn(2, 1, 13, 6)).shape == (2, 5)


def test_the_skip_gate_opens_and_closes_the_shortcuts():
    x = torch.randn(2, 1, 8, 8)
    opened, closed = resnet(skip=True), resnet(skip=False)
    assert not torch.allclose(opened(x), closed(x))
    for block in closed.blocks:
        nn.init.zeros_(block.norm2.weight)
    assert torch.allclose(closed(x)[0], closed(x)[1])  # without a shortcut nothing passes
    for block in opened.blocks:
        nn.init.zeros_(block.norm2.weight)
    assert not torch.allclose(opened(x)[0], opened(x)[1])


def test_dropout_is_before_the_head_and_spatial_dropout_in_the_blocks():
    net = resnet(dropout=0.3, spatial_dropout=0.1)
    found = {type(m).__name__: float(m.p) for m in net.modules() if isinstance(m, Dropout)}
    assert found == pytest.approx({"SpatialDropout": 0.1, "Dropout": 0.3})
    assert sum(isinstance(m, SpatialDropout) for m in net.modules()) == 3


def test_at_the_width_of_the_paper_it_has_the_papers_size():
    """ResNet-20 for CIFAR-10: 0.27 M parameters, with shortcuts that are convolutions a little more."""
    net = build(NETS["resnet"], {**DEFAULTS, "width": 16, "depth": 3}, Shape((3, 32, 32), 10), 0)
    assert 0.269e6 < sum(p.numel() for p in net.parameters()) < 0.275e6
