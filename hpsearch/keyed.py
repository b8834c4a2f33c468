"""Random numbers keyed by what they are for, never drawn from a shared stream.

A number depends on (seed, trial, epoch, step, purpose) alone. So a loop and a pack see the same numbers,
a resume needs no generator state, a trial's result does not depend on its neighbours, and a CPU and a GPU
draw the same masks (`pack/masks.py`).

The bits come from SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"):
a counter times an odd constant, then a finaliser of two multiplications.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB


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
            out = _finalise(out ^ (offset * np.uint64(GOLDEN)))
    return out


def _finalise(z: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(MIX_1)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(MIX_2)
    return np.asarray(z ^ (z >> np.uint64(31)))


def permutations(keys_K: np.ndarray, n: int) -> np.ndarray:
    """A random order of n items for each key, int64 [K, n]."""
    rows = [np.random.Generator(np.random.Philox(key=int(k))).permutation(n) for k in keys_K]
    return np.stack(rows)


def sample(count: int, most: int) -> np.ndarray:
    """Places of at most so many of `count` items, in order; always the same ones, int64."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def uniforms(keys_K: np.ndarray, n: int) -> np.ndarray:
    """n uniform numbers in [0, 1) for each key, float64 [K, n]."""
    return np.stack([np.random.Generator(np.random.Philox(key=int(k))).random(n) for k in keys_K])
