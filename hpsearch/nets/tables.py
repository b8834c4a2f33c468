"""How a table's columns enter a net, where they are learned: embeddings of categories, waves of numbers."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from hpsearch.nets.shape import Layout


class TableInput(nn.Module):
    """Numbers as they are or as learned waves, categories as 0/1 columns or as learned vectors. x: [N, D].

    `embedding` is the size of a category's vector, 0 for 0/1 columns; a category of fewer values than that stays
    as it is (Guo & Berkhahn 2016, arXiv 1604.06737). An unknown one is the zero vector, and so is a missing one
    where training has none missing.

    `periodic` is the number of waves that a number is put through, 0 for none: sines and cosines of learned
    frequencies, then a linear layer that all numbers share and a ReLU (Gorishniy et al. 2022, arXiv 2203.05556,
    PLR-lite); `periodic_scale` is the spread of the first frequencies, sensibly 0.01 to 10. Both are slower: such
    nets go forward by vmap.
    """

    def __init__(self, inputs: int, layout: Layout | None, embedding: int, periodic: int, scale: float) -> None:
        super().__init__()
        layout = layout or Layout(np.arange(inputs), np.ones(inputs, dtype=bool))
        self._blocks = [block for block in layout.categories() if 0 < embedding < len(block)]
        embedded = {column for block in self._blocks for column in block}
        numbers = np.flatnonzero(layout.number).tolist() if periodic else []
        self._plain, self._numbers = [column for column in range(inputs) if column not in embedded], numbers
        self.embeddings = nn.ModuleList(nn.Linear(len(block), embedding, bias=False) for block in self._blocks)
        for layer in self.embeddings:
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=1 / math.sqrt(embedding))
        self.frequencies = nn.Parameter(scale * torch.randn(len(numbers), periodic)) if numbers else None
        self.waves = nn.Linear(2 * periodic, periodic) if numbers else None
        self.outputs = len(self._plain) + embedding * len(self._blocks) + periodic * len(numbers)

    def forward(self, x: Tensor) -> Tensor:
        parts = [x[:, self._plain]]
        parts += [layer(x[:, block]) for layer, block in zip(self.embeddings, self._blocks, strict=True)]
        if self.frequencies is not None and self.waves is not None:
            angle = 2 * math.pi * self.frequencies * x[:, self._numbers].unsqueeze(-1)
            parts.append(self.waves(torch.cat([angle.sin(), angle.cos()], -1)).relu().flatten(1))
        return torch.cat(parts, 1)
