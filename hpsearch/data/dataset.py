"""A data set ready for nets: numbers in arrays, in three parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch.data.formats import Format
from hpsearch.nets.shape import Layout


@dataclass(frozen=True)
class Part:
    """Some examples: x float32 [N, ...]; y int64 class indices or float64 values in the target's units, [N].

    `index`: row numbers in the source, int64 [N]. `weight`: how much an example counts in training, float32 [N]
    with mean 1, where the study names weights. `extra`: whether it is of the extra training data, bool [N], where
    there are some.
    """

    x: np.ndarray
    y: np.ndarray
    index: np.ndarray
    weight: np.ndarray | None = None
    extra: np.ndarray | None = None

    def at(self, places: np.ndarray) -> "Part":
        """The examples at these places."""
        found = (self.x, self.y, self.index, self.weight, self.extra)
        return Part(*(None if array is None else array[places] for array in found))  # type: ignore[arg-type]

    @property
    def own_y(self) -> np.ndarray:
        """The targets without those of extra data."""
        return self.y if self.extra is None else self.y[~self.extra]

    @property
    def own_places(self) -> np.ndarray:
        """The places of all but extra data, int64."""
        return np.arange(len(self.y)) if self.extra is None else np.flatnonzero(~self.extra)


@dataclass(frozen=True)
class Target:
    """How outputs are read: class names for classification, mean and spread for regression.

    `format`: how the source's texts are read as values, where they are no plain numbers.
    """

    task: str
    classes: tuple[Any, ...] = ()
    mean: float = 0.0
    std: float = 1.0
    format: Format | None = None

    @property
    def outputs(self) -> int:
        return len(self.classes) if self.task == "classification" else 1

    def scaled(self, y: np.ndarray) -> np.ndarray:
        """Targets as a net sees them: class indices, or standardised values."""
        if self.task == "classification":
            return y.astype(np.int64)
        return ((y - self.mean) / self.std).astype(np.float32)


@dataclass(frozen=True)
class Pool:
    """Examples without a label: x float32 [N, ...], and what a teacher says of them, float32 [N, outputs]."""

    x: np.ndarray
    teacher: np.ndarray


@dataclass(frozen=True)
class Arrays:
    """What training sees: the training and the validation part, never the test part.

    `teacher`, where given, holds a teacher's log-probabilities or standardised values for each training
    example, float32 [N, outputs].
    """

    train: Part
    validation: Part
    target: Target
    metric: str
    teacher: np.ndarray | None = None
    pool: Pool | None = None  # beside a teacher
    folds: np.ndarray | None = None  # of cross-validation, where training and validation part are the same rows
    layout: Layout | None = None  # of a table
    relevance: np.ndarray | None = None  # of each feature, where a study chooses by it
    cuts: Mapping[int, np.ndarray] | None = None  # of columns' ranges, where a study encodes numbers in pieces
    block: np.ndarray | None = None  # of each validation example, where those of one group or time belong together
    weights: Mapping[str, np.ndarray] | None = None  # that nets start from, by the names of their tensors

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.train.x.shape[1:]
