"""Weights at the minima of a cyclic learning rate: a trial's own small ensemble (Huang et al. 2017)."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hpsearch.pack.rows import Rows


def epochs_of_minima(params: Mapping[str, Any]) -> list[int]:
    """The epochs, counted from 1, after which the rate of a cyclic row is lowest; none of other rows.

    The last is the run's end. Of a cycle that ends within an epoch it is the epoch before, since the rate has gone
    up again at that one's end.
    """
    if params["schedule"] != "cyclic":
        return []
    epochs, cycles = int(params["epochs"]), int(params["cycles"])
    warm = float(params["warmup"]) * epochs
    minima = [warm + (epochs - warm) * (i + 1) / cycles for i in range(cycles)]
    return sorted({min(max(math.floor(minimum + 1e-9), 1), epochs) for minimum in minima})


def taken(rows: Rows, k: int, epoch: int, prediction: Tensor) -> dict[str, Tensor]:
    """Row k as it is now, as tensors of its state; `prediction` is its validation prediction."""
    tensors = {"theta": rows.theta[k], "prediction": prediction}
    tensors |= {f"buffer.{name}": rows.buffers[name][k] for name in rows.state_names()}
    return {f"snapshot.{epoch}.{name}": tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


def of_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The snapshots in a row's state."""
    return {name: tensor for name, tensor in tensors.items() if name.startswith("snapshot.")}


def epochs_of(tensors: Mapping[str, torch.Tensor]) -> list[int]:
    """The epochs of a row's snapshots."""
    return sorted({int(name.split(".")[1]) for name in of_state(tensors)})
