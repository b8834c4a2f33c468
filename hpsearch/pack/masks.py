"""Dropout masks from keys, the same on a CPU and a GPU."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hpsearch.pack.draws import Draws


class Masks:
    """Fills the dropout masks of K rows, all layers in one go, without allocating.

    `drop_LK` holds each layer's and row's probability of dropping, rounded to a multiple of 1/65536; the scale
    of what stays is its exact inverse, so a mask's mean is one. With probability 0 every value is exactly 1.
    """

    def __init__(self, drop_LK: Sequence[Tensor], outs_LKn: Sequence[Tensor]) -> None:
        self.outs = [out.flatten(1) for out in outs_LKn]
        rows, device = len(self.outs[0]), self.outs[0].device
        self._words = [-(-out.shape[1] // 4) for out in self.outs]  # four 16-bit draws a word
        self._draws = Draws(rows, sum(self._words), device)
        dropped = [(drop * 65536).round().clamp(0, 65535).unsqueeze(1) for drop in drop_LK]
        self._thresholds = [(d - 32768).to(torch.int16) for d in dropped]
        self._scales = [(65536 / (65536 - d)).to(self.outs[0].dtype) for d in dropped]

    def fill(self, keys_K: np.ndarray) -> None:
        """Writes 0 or 1 / (1 - drop) into every mask, from one key a row."""
        layers = zip(
            self._draws.bits(keys_K).split(self._words, dim=1),
            self.outs,
            self._thresholds,
            self._scales,
            strict=True,
        )
        for words, out, threshold_K1, scale_K1 in layers:
            torch.ge(words.view(torch.int16)[:, : out.shape[1]], threshold_K1, out=out)
            out.mul_(scale_K1)

    def still(self) -> None:
        """Writes 1 into every mask."""
        for out in self.outs:
            out.fill_(1)
