"""The values of each input over the training part, against which later inputs are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_TAILS = (0.001, 0.999)  # quantiles
_MOST_FOR_QUANTILES = 2**23  # values; of more a sample of the rows, evenly spaced
_AT_ONCE = 256  # rows of arrays, which may be large images
_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Range:
    """The values of one input: a number column, a feature of flat arrays, or a channel.

    Attributes:
        low, high: the 0.1 % and the 99.9 % quantile.
        whole: all values are whole numbers.
    """

    minimum: float
    low: float
    high: float
    maximum: float
    mean: float
    std: float
    whole: bool

    @property
    def span(self) -> float:
        return self.maximum - self.minimum


def of_values(values_N: np.ndarray) -> Range | None:
    """The range of a column's values, without those that are missing (NaN); None when all are."""
    known = values_N[~np.isnan(values_N)].astype(np.float64)
    if not len(known):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = known.mean(keepdims=True), known.std(keepdims=True)
    return of_arrays(known[:, None], np.arange(len(known)), mean, std)[0]


def of_arrays(x: np.ndarray, train: np.ndarray, mean: np.ndarray, std: np.ndarray) -> tuple[Range, ...]:
    """The range of each feature of flat arrays [N, D], or of each channel [N, C, ...], over the rows `train`.

    `mean`, `std`: theirs, which the caller has.

    Raises:
        ValueError: there are no rows.
    """
    axes = (0,) if x.ndim == 2 else (0, *range(2, x.ndim))
    minimum, maximum, whole = [], [], []
    for start in range(0, len(train), _AT_ONCE):
        block = x[train[start : start + _AT_ONCE]]
        minimum.append(block.min(axes))
        maximum.append(block.max(axes))
        whole.append((block == np.rint(block)).all(axes) if block.dtype.kind == "f" else np.True_)
    ends = np.min(minimum, axis=0), np.max(maximum, axis=0)
    low, high = np.clip(_quantiles(x, train), *ends)
    numbers = zip(*(_finite(values) for values in (ends[0], low, high, ends[1], mean, std)), strict=True)
    flags = np.broadcast_to(np.all(whole, axis=0), len(mean))
    return tuple(
        Range(a, b, c, d, m, s, bool(flag)) for (a, b, c, d, m, s), flag in zip(numbers, flags, strict=True)
    )


def from_json(value: dict[str, Any] | None) -> Range | None:
    return None if value is None else Range(**value)


def all_from_json(values: Sequence[dict[str, Any]]) -> tuple[Range, ...]:
    return tuple(Range(**value) for value in values)


def _quantiles(x: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Both tails of each feature or channel, [2, D]."""
    most = max(_MOST_FOR_QUANTILES // max(int(np.prod(x.shape[1:])), 1), 1)
    sample = train if len(train) <= most else train[np.linspace(0, len(train) - 1, most).astype(np.int64)]
    values_NDM = x[sample].reshape(len(sample), x.shape[1], -1)
    values_DN = np.moveaxis(values_NDM, 1, 0).reshape(x.shape[1], -1).astype(np.float64)
    return np.asarray(np.quantile(values_DN, _TAILS, axis=1, overwrite_input=True))


def _finite(values: np.ndarray) -> list[float]:
    """As JSON holds them: sums and squares of huge values overflow."""
    found: list[float] = np.nan_to_num(values.astype(np.float64), nan=_LARGEST).tolist()
    return found
