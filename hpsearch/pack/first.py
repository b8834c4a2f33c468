"""A trial's net before its first step: weights from its own seed, the last bias from the training targets."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from hpsearch.data.dataset import Arrays
from hpsearch.nets.build import build
from hpsearch.nets.shape import Factory, Shape
from hpsearch.pack.pretrained import start_from
from hpsearch.pack.rows import Rows
from hpsearch.tricks.losses import PLAIN, class_weight, prior


def first_net(factory: Factory, params: Mapping[str, Any], arrays: Arrays, shape: Shape, key: int) -> nn.Module:
    """The net of a trial, on the CPU, with weights drawn from its key.

    `prior_bias`: the bias of the last linear layer is the best constant prediction for the training part: log
    frequencies of the classes, as the loss weighs them, or the mean, which is 0 as a net sees it. The first steps
    then do not go into learning it (Karpathy 2019, "A Recipe for Training Neural Networks"). Costs nothing. A bias
    that comes with pretrained weights stays.
    """
    net = build(factory, params, shape, key)
    last = last_linear(net, shape.outputs) if params["prior_bias"] else None
    loaded = start_from(net, arrays.weights)[0] if arrays.weights is not None else []
    names = {parameter: name for name, parameter in net.named_parameters()}
    if last is not None and names[last.bias] not in loaded:
        with torch.no_grad():
            last.bias.copy_(_constant(params, arrays))
    return net


def body_of(rows: Rows, outputs: int) -> torch.Tensor:
    """All of a net but its last linear layer, held for the first `frozen_epochs`; places in a row of θ, int64.

    `frozen_epochs`: for so many epochs all but the last linear layer stays as it is. For runs that start from
    pretrained weights (`init_from`): a new head learns before it moves what it stands on. Batch norms go on
    estimating.
    """
    net = rows.modules[0]
    last = last_linear(net, outputs)
    own = set() if last is None else {id(p) for p in last.parameters()}
    names = {name for name, p in net.named_parameters() if id(p) in own}
    parts = [torch.arange(slot.start, slot.stop) for slot in rows.slots if slot.name not in names]
    return torch.cat([torch.zeros(0, dtype=torch.int64), *parts]).to(rows.device)


def last_linear(net: nn.Module, outputs: int) -> nn.Linear | None:
    """The last linear layer with a bias and as many outputs as the net."""
    fitting = [m for m in net.modules() if isinstance(m, nn.Linear) and m.out_features == outputs]
    return next((m for m in reversed(fitting) if isinstance(m.bias, nn.Parameter)), None)


def mass(arrays: Arrays) -> list[float]:
    """How much each class's training examples count together, those of extra data left out."""
    y, weight = arrays.train.own_y, arrays.train.weight
    weight = None if weight is None else weight[: len(y)]  # extra examples come last
    found: list[float] = np.bincount(y, weight, minlength=arrays.target.outputs).astype(np.float64).tolist()
    return found


def _constant(params: Mapping[str, Any], arrays: Arrays) -> torch.Tensor:
    target = arrays.target
    if target.task == "regression":
        return torch.zeros(1)
    count_C = torch.tensor(mass(arrays)).double()
    by_class = class_weight(torch.tensor([float(params["class_weights"])]).double(), count_C)[0]
    return prior(str(params["loss"] or PLAIN[target.task]), count_C * by_class)
