"""Batch norms learn the statistics of weights that were averaged, which no batch has gone through."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hpsearch.data.dataset import Arrays

_PART, _PARTS = 512, 8  # examples, from which batch norms learn the statistics


def settled(net: nn.Module, arrays: Arrays) -> nn.Module:
    """The net, its batch norms with the statistics of its own weights."""
    norms = [m for m in net.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not norms:
        return net
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # the running mean is then that of all batches
        norm.reset_running_stats()
    with torch.no_grad():
        x = arrays.train.x
        for first in range(_PARTS):  # each from all over the part, whose rows may be sorted
            part = x[first::_PARTS][:_PART]
            if len(part) > 1:  # one example has no spread
                net.train()(torch.from_numpy(part.copy()))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return net.eval()
