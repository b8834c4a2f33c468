"""Random numbers keyed by what they are for, never drawn from a shared stream.

A number depends on (seed, trial, epoch, step, purpose) alone. So a loop and a pack see the same numbers,
a resume needs no generator state, a trial's result does not depend on its neighbours, and a CPU and a GPU
draw the same masks.

The bits come from SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"):
a counter times an odd constant, then a finaliser of two multiplications.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


def key(*parts: int | str) -> int:
    """A 64-bit key of the parts; the same on every machine and Python version."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def keys(seed: int, trials: Sequence[int], purpose: str) -> np.ndarray:
    """One key a trial, uint64 [K]."""
    return np.array([key(seed, trial, purpose) for trial in trials], dtype=np.uint64)


def fold(keys_K: np.ndarray, *numbers: int | np.ndarray) -> np.ndarray:
    """Folds counters (an epoch, a step, a layer; scalars or one a row) into keys, uint64 [K]."""
    out = keys_K
    for number in numbers:
        offset = np.asarray(number, dtype=np.uint64) + np.uint64(1)
        with np.errstate(over="ignore"):
            out = _finalise(out ^ (offset * np.uint64(_GOLDEN)))
    return out


def _finalise(z: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(_MIX_1)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(_MIX_2)
    return np.asarray(z ^ (z >> np.uint64(31)))


def permutations(keys_K: np.ndarray, n: int) -> np.ndarray:
    """A random order of n items for each key, int64 [K, n]."""
    rows = [np.random.Generator(np.random.Philox(key=int(k))).permutation(n) for k in keys_K]
    return np.stack(rows)


def uniforms(keys_K: np.ndarray, n: int) -> np.ndarray:
    """n uniform numbers in [0, 1) for each key, float64 [K, n]."""
    return np.stack([np.random.Generator(np.random.Philox(key=int(k))).random(n) for k in keys_K])


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
        self._counter = torch.arange(1, words + 1, dtype=torch.int64, device=device) * _signed(_GOLDEN)
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

    def _splitmix(self, keys_K: Tensor) -> Tensor:
        z, shifted = self._bits, self._shifted
        torch.add(keys_K.unsqueeze(1), self._counter, out=z)
        for shift, factor in ((30, _MIX_1), (27, _MIX_2), (31, None)):
            torch.bitwise_right_shift(z, shift, out=shifted)
            z.bitwise_xor_(shifted.bitwise_and_((1 << (64 - shift)) - 1))  # the shift is arithmetic
            if factor is not None:
                z.mul_(_signed(factor))
        return z
