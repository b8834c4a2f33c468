"""A trial as a careful person writes it by hand: plain PyTorch, fused AdamW, no DataLoader."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class Net(nn.Module):
    """The benchmark's MLP with torch's own layers; `skip` adds a block's input where the widths agree."""

    def __init__(self, inputs: int, outputs: int, params: Mapping[str, Any]) -> None:
        super().__init__()
        sizes = [inputs] + [params["width"]] * params["depth"]
        self.blocks = nn.ModuleList()
        for a, b in itertools.pairwise(sizes):
            norm = [nn.BatchNorm1d(b)] if params["norm"] == "batch" else []
            self.blocks.append(nn.Sequential(nn.Linear(a, b), *norm, nn.ReLU(), nn.Dropout(params["dropout"])))
        self.skips = [bool(params["skip"]) and a == b for a, b in itertools.pairwise(sizes)]
        self.head = nn.Linear(sizes[-1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        for block, skip in zip(self.blocks, self.skips, strict=True):
            x = block(x) + x if skip else block(x)
        return self.head(x)


def rate(params: Mapping[str, Any], step: int, total: int) -> float:
    warm = round(params["warmup"] * total)
    ramp = min((step + 1) / max(warm, 1), 1)
    if params["schedule"] == "constant":
        return params["lr"] * ramp
    progress = min(max((step - warm) / max(total - warm, 1), 0), 1)
    return params["lr"] * 0.5 * (1 + math.cos(math.pi * progress)) * ramp


def train(params: Mapping[str, Any], data: Mapping[str, Tensor], seed: int) -> float:
    """The best epoch's validation accuracy."""
    return max(epochs(params, data, seed))


def epochs(params: Mapping[str, Any], data: Mapping[str, Tensor], seed: int) -> Iterator[float]:
    """Trains; gives the accuracy on the whole validation part after each epoch."""
    torch.manual_seed(seed)
    x, y = data["x_train"], data["y_train"]
    net = Net(x.shape[1], int(y.max()) + 1, params)
    kind = torch.optim.AdamW if params["optimizer"] == "adamw" else torch.optim.Adam
    optimizer = kind(net.parameters(), lr=params["lr"], weight_decay=params["weight_decay"], fused=True)
    loss_of = nn.CrossEntropyLoss(label_smoothing=params["label_smoothing"])
    batch = params["batch_size"]
    steps = len(y) // batch
    total = params["epochs"] * steps
    for epoch in range(params["epochs"]):
        net.train()
        order = torch.randperm(len(y))
        for s in range(steps):
            index = order[s * batch : (s + 1) * batch]
            optimizer.param_groups[0]["lr"] = rate(params, epoch * steps + s, total)
            optimizer.zero_grad()
            loss_of(net(x[index]), y[index]).backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            hits = (net(data["x_validation"]).argmax(1) == data["y_validation"]).float().mean()
        yield float(hits)


def load(path: str) -> dict[str, Tensor]:
    """The arrays of a file, inputs as rows of numbers."""
    with np.load(path) as file:
        found = {name: torch.from_numpy(file[name]) for name in file.files}
    return {name: values.flatten(1) if values.dim() > 1 else values for name, values in found.items()}
