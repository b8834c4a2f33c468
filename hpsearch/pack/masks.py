"""Dropout masks from keys: SplitMix64 in integer arithmetic on tensors, the same bits on a CPU and a GPU."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hpsearch.keyed import GOLDEN, MIX_1, MIX_2


def _signed(value: int) -> int:
    """The int64 with the same bits: torch has no arithmetic on uint64."""
    return value - (1 << 64) if value >= 1 << 63 else value


class Masks:
    """Fills the dropout masks of K rows, all layers in one go, without allocating.

    `drop_LK` holds each layer's and row's probability of dropping, rounded to a multiple of 1/65536; the scale
    of what stays is its exact inverse, so a mask's mean is one. With probability 0 every value is exactly 1.
    """

    def __init__(self, drop_LK: Sequence[Tensor], outs_LKn: Sequence[Tensor]) -> None:
        self.outs = [out.flatten(1) for out in outs_LKn]
        rows, device = len(self.outs[0]), self.outs[0].device
        self._words = [-(-out.shape[1] // 4) for out in self.outs]  # four 16-bit draws a word
        words = sum(self._words)
        self._counter = torch.arange(1, words + 1, dtype=torch.int64, device=device) * _signed(GOLDEN)
        self._bits = torch.empty(rows, words, dtype=torch.int64, device=device)
        self._shifted = torch.empty_like(self._bits)
        dropped = [(drop * 65536).round().clamp(0, 65535).unsqueeze(1) for drop in drop_LK]
        self._thresholds = [(d - 32768).to(torch.int16) for d in dropped]
        self._scales = [(65536 / (65536 - d)).to(self.outs[0].dtype) for d in dropped]

    def fill(self, keys_K: np.ndarray) -> None:
        """Writes 0 or 1 / (1 - drop) into every mask, from one key a row."""
        bits = self._splitmix(torch.from_numpy(keys_K.view(np.int64)).to(self._bits.device))
        layers = zip(bits.split(self._words, dim=1), self.outs, self._thresholds, self._scales, strict=True)
        for words, out, threshold_K1, scale_K1 in layers:
            torch.ge(words.view(torch.int16)[:, : out.shape[1]], threshold_K1, out=out)
            out.mul_(scale_K1)

    def still(self) -> None:
        """Writes 1 into every mask."""
        for out in self.outs:
            out.fill_(1)

    def _splitmix(self, keys_K: Tensor) -> Tensor:
        z, shifted = self._bits, self._shifted
        torch.add(keys_K.unsqueeze(1), self._counter, out=z)
        for shift, factor in ((30, MIX_1), (27, MIX_2), (31, None)):
            torch.bitwise_right_shift(z, shift, out=shifted)
            z.bitwise_xor_(shifted.bitwise_and_((1 << (64 - shift)) - 1))  # the shift is arithmetic
            if factor is not None:
                z.mul_(_signed(factor))
        return z
