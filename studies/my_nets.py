"""A net of one's own, for own_net.yaml."""

import math

from torch import nn


def build(input_shape, outputs, width, dropout=0.1):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(math.prod(input_shape), width), nn.GELU(), nn.Dropout(dropout),
        nn.Linear(width, outputs),
    )  # fmt: skip
