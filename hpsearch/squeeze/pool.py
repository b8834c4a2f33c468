"""Inputs without a label, on which a student hears its teacher alone: made from pairs of training inputs.

A teacher has an opinion on any input, so a student may be taught on more of them than have labels (Buciluă et al.
2006, "Model Compression"; of tables Fakoor et al. 2020, arXiv 2006.14284; of images Beyer et al. 2022, arXiv
2106.05237).
"""

import numpy as np

from hpsearch.data.dataset import Arrays

_SHARE, _MOST, _BYTES = 10, 30_000, 1e9  # of the training inputs, in all, and in memory
_SWAPPED = 0.25  # of the features, on average


def mixed(arrays: Arrays, seed: int) -> np.ndarray:
    """Inputs float32 [M, ...]: half are between two training inputs, half have parts of another one.

    Parts are features of a table or an array, and a box of an image.
    """
    rng, x = np.random.default_rng(seed), arrays.train.x
    count = max(min(_SHARE * len(x), _MOST, int(_BYTES / x[0].nbytes)), 2)
    first, other = x[rng.integers(len(x), size=count)], x[rng.integers(len(x), size=count)]
    half = count // 2
    share = rng.uniform(0.5, 1, size=(half, *(1,) * (x.ndim - 1))).astype(np.float32)
    between = share * first[:half] + (1 - share) * other[:half]
    taken = _boxes(rng, count - half, x.shape[1:]) if x.ndim == 4 else _features(rng, count - half, arrays)
    return np.concatenate([between, np.where(taken, other[half:], first[half:])])


def _features(rng: np.random.Generator, count: int, arrays: Arrays) -> np.ndarray:
    """Which numbers are another's, whole features at a time, [count, ...]; each row has a rate of its own."""
    shape = arrays.input_shape
    feature = np.arange(shape[0]) if arrays.layout is None else arrays.layout.feature
    rate = rng.uniform(0, 2 * _SWAPPED, size=(count, 1))
    taken = rng.random((count, int(feature.max()) + 1)) < rate
    return taken[:, feature].reshape(count, -1, *(1,) * (len(shape) - 1))


def _boxes(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """A box of each image, of up to half its area, [count, 1, H, W] (CutMix, Yun et al. 2019)."""
    side = np.sqrt(rng.uniform(0, 0.5, size=(count, 1)))
    inside = []
    for length in shape[1:]:
        begin = rng.uniform(0, 1, size=(count, 1)) * (1 - side) * length
        place = np.arange(length)[None] + 0.5
        inside.append((place >= begin) & (place < begin + side * length))
    rows, columns = inside
    return np.asarray((rows[:, :, None] & columns[:, None, :])[:, None])
