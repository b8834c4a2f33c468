"""Random numbers for all rows at once: SplitMix64 in integer arithmetic, the same bits on a CPU and a GPU."""

import numpy as np
import torch
from torch import Tensor

from hpsearch.keyed import GOLDEN, MIX_1, MIX_2


def signed(value: int) -> int:
    """The int64 with the same bits: torch has no arithmetic on uint64."""
    return value - (1 << 64) if value >= 1 << 63 else value


class Draws:
    """`words` 64-bit words a row, drawn without allocating."""

    def __init__(self, rows: int, words: int, device: torch.device) -> None:
        self._counter = torch.arange(1, words + 1, dtype=torch.int64, device=device) * signed(GOLDEN)
        self._bits = torch.empty(rows, words, dtype=torch.int64, device=device)
        self._shifted = torch.empty_like(self._bits)

    def bits(self, keys_K: np.ndarray) -> Tensor:
        """Words [K, W] of one key a row, int64; valid until the next call."""
        z, shifted = self._bits, self._shifted
        keys_K1 = torch.from_numpy(keys_K.view(np.int64)).to(z.device).unsqueeze(1)
        torch.add(keys_K1, self._counter, out=z)
        for shift, factor in ((30, MIX_1), (27, MIX_2), (31, None)):
            torch.bitwise_right_shift(z, shift, out=shifted)
            z.bitwise_xor_(shifted.bitwise_and_((1 << (64 - shift)) - 1))  # the shift is arithmetic
            if factor is not None:
                z.mul_(signed(factor))
        return z

    def uniforms(self, keys_K: np.ndarray, dtype: torch.dtype) -> Tensor:
        """Numbers in [0, 1), multiples of 2^-24, [K, 2 W]."""
        halves = self.bits(keys_K).view(torch.int32)
        return (torch.bitwise_right_shift(halves, 8) & 0xFFFFFF).to(dtype) * 2.0**-24


def normals(uniforms: Tensor) -> Tensor:
    """Standard normal numbers from as many uniform ones, by the inverse of the distribution function."""
    inside = 1 - 2.0**-24  # the next number below 1 in float32, where the inverse is still finite
    return torch.erfinv((2 * uniforms - 1).clamp(-inside, inside)) * 2**0.5
