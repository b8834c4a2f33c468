"""A study's data as a person knows them: named features in their own units, for the checks on data."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from hpsearch.data import categories, preprocess
from hpsearch.data.dataset import Target
from hpsearch.data.load import Dataset
from hpsearch.data.preprocess import Category, Date
from hpsearch.data.splits import PARTS
from hpsearch.prepared import Prepared

MOST = 20_000  # rows of a part that are looked at; of more, a sample
_AT_ONCE = 256  # rows of arrays and images, which may be large
_SMALL = 32  # pixels of a side, at which images are compared


@dataclass(frozen=True)
class Feature:
    """One feature of every row: float64 with NaN where it is missing, or words with None, [N].

    `is_date`: the numbers are points in time.
    """

    name: str
    values: np.ndarray
    is_number: bool
    is_date: bool = False

    @cached_property
    def missing(self) -> np.ndarray:
        """bool [N]"""
        if self.is_number:
            return np.asarray(np.isnan(self.values))
        return np.array([value is None for value in self.values], dtype=np.bool_)

    @cached_property
    def codes(self) -> np.ndarray:
        """The same values as integers [N]: equal where they are equal, -1 where there is none."""
        return np.asarray(pd.factorize(self.values)[0])


@dataclass(frozen=True)
class Copies:
    """Every row of the data, and which are equal. `group`: a number for each row [M], the same for equal inputs.

    `rows`: their numbers in the source [M]; `part`: places 0 to M of each part.
    """

    group: np.ndarray
    rows: np.ndarray
    y: np.ndarray
    part: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class View:
    """The rows that are looked at. `rows`: their numbers in the source [N]; `part`: places 0 to N of each part.

    `source`: the inputs of arrays and images as they were read, every row. `unit`: rows with the same number were
    drawn into a part together [N], where the study splits by group; `given`: where time, a column or the source
    says the parts. `in_extra`: which validation and test rows data.extra has, too. `of`: what is looked at, in
    words, where it is not all. `doubts`: sentences about columns whose format is ambiguous.
    """

    kind: str
    features: tuple[Feature, ...]
    y: np.ndarray
    target: Target
    rows: np.ndarray
    part: Mapping[str, np.ndarray]
    copies: Copies
    source: np.ndarray | None = None
    unit: np.ndarray | None = None
    given: bool = False
    in_extra: np.ndarray | None = None
    of: str = ""
    doubts: tuple[str, ...] = ()

    def sources(self, places: np.ndarray) -> np.ndarray:
        """The row numbers in the source."""
        return np.asarray(self.rows[places])

    @property
    def is_classification(self) -> bool:
        return self.target.task == "classification"

    @property
    def dropping(self) -> str:
        """How to take a feature out."""
        return "data.drop" if self.kind == "tables" else "in the source: it has no names to drop"

    @property
    def together(self) -> str:
        """How to keep rows in one part."""
        return "data.split.group" if self.kind == "tables" else "as parts of the source's own"

    def inputs(self, places: np.ndarray) -> np.ndarray:
        """Arrays or images at these places, as they were read, [n, …]."""
        assert self.source is not None
        return np.asarray(self.source[self.rows[places]])

    def flat(self, places: np.ndarray) -> np.ndarray:
        """The same as rows of numbers, float32 [n, D]; large images as means of blocks of pixels."""
        blocks = (self.inputs(places[some]).astype(np.float32) for some in _runs(len(places)))
        return np.concatenate([_smaller(block).reshape(len(block), -1) for block in blocks])


def view(prepared: Prepared, seed: int = 0) -> View:
    """The data set's own rows, without extra training data; at most MOST a part."""
    dataset = prepared.dataset
    raw, split = dataset.raw, prepared.study.data.split
    assert raw is not None
    whole, every = _rows(dataset, None)
    rows, part = _rows(dataset, np.random.default_rng(seed))
    place = {int(row): i for i, row in enumerate(whole)}
    answers = np.concatenate([getattr(dataset, name).own_y for name in PARTS])
    copies = Copies(_groups(dataset, whole), whole, answers, every)
    y = answers[[place[int(row)] for row in rows]]
    unit = None
    if raw.table is not None:
        features = tuple(_of_table(dataset, rows))
        if split.group is not None:
            unit = np.unique(categories.words(raw.table[split.group].iloc[rows]).astype(str), return_inverse=True)[
                1
            ]
    else:
        assert raw.x is not None
        features = (_of_images if dataset.kind == "images" else _of_arrays)(raw.x, rows)
    given = raw.part is not None or split.time is not None or split.column is not None
    told = f" (of a sample of {len(rows)} rows)" if len(rows) < len(whole) else ""
    return View(
        dataset.kind, features, y, dataset.target, rows, part, copies, raw.x, unit, given,
        _in_extra(dataset), told, dataset.doubts,
    )  # fmt: skip


def _in_extra(dataset: Dataset) -> np.ndarray | None:
    """The numbers of the validation and test rows whose inputs an extra training row has; None without extra."""
    train, held = dataset.train, (dataset.validation, dataset.test)
    if train.extra is None:
        return None
    given = hashes(train.x, np.flatnonzero(train.extra))
    return np.concatenate([part.index[np.isin(hashes(part.x), given)] for part in held])


def _rows(dataset: Dataset, rng: np.random.Generator | None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The numbers of the rows, a part after the other, and each part's places; of many a sample, given `rng`."""
    found = []
    for name in PARTS:
        part = getattr(dataset, name)
        index = part.index[: len(part.own_y)]
        if rng is not None and len(index) > MOST:
            index = index[np.sort(rng.choice(len(index), MOST, replace=False))]
        found.append(index)
    ends = np.cumsum([len(index) for index in found])
    return np.concatenate(found), {
        name: np.arange(end - len(index), end) for name, index, end in zip(PARTS, found, ends, strict=True)
    }


def _groups(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """A number for each row; rows with equal inputs have the same one."""
    raw = dataset.raw
    assert raw is not None
    if raw.table is not None:
        codes = np.stack([feature.codes.astype(np.int32) for feature in _of_table(dataset, rows)], axis=1)
        found = hashes(codes)
    else:
        assert raw.x is not None
        found = hashes(raw.x, rows)
    return np.asarray(np.unique(found, return_inverse=True)[1])


def hashes(x: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """A number for each row of an array [N, …], or of some rows: the same for equal rows, uint64.

    Others have the same by chance once in 1.8e19 pairs.
    """
    rows = np.arange(len(x)) if rows is None else rows
    blocks = (np.ascontiguousarray(x[rows[some]]) + 0 for some in _runs(len(rows)))  # -0.0 is 0.0
    found = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for block in blocks for row in block]
    return np.frombuffer(b"".join(found), np.uint64)


def _runs(count: int) -> Iterator[slice]:
    """Places 0 to `count`, a few at a time."""
    return (slice(start, start + _AT_ONCE) for start in range(0, count, _AT_ONCE))


def _smaller(x: np.ndarray) -> np.ndarray:
    """Images [n, C, H, W] of at most _SMALL pixels a side; others as they are."""
    if x.ndim != 4 or max(x.shape[2:]) <= _SMALL:
        return x
    for axis in (2, 3):
        edges = np.linspace(0, x.shape[axis], min(x.shape[axis], _SMALL) + 1).astype(int)
        sums = np.add.reduceat(x, edges[:-1], axis=axis)
        x = sums / np.diff(edges).reshape((1,) * axis + (-1,) + (1,) * (3 - axis)).astype(np.float32)
    return x


def _of_table(dataset: Dataset, rows: np.ndarray) -> Iterator[Feature]:
    assert dataset.raw is not None and dataset.raw.table is not None
    assert isinstance(dataset.schema, preprocess.TableSchema)
    table = dataset.raw.table
    for column in dataset.schema.columns:
        series = table[column.name].iloc[rows]
        if isinstance(column, Category):
            yield Feature(column.name, column.read(series, column.name), False)
        else:
            values = preprocess.values(column, series, column.name)
            yield Feature(column.name, values, True, isinstance(column, Date))


def _of_arrays(x: np.ndarray, rows: np.ndarray) -> tuple[Feature, ...]:
    flat = x[rows].reshape(len(rows), -1)
    return tuple(Feature(f"x[{i}]", flat[:, i].astype(np.float64), True) for i in range(flat.shape[1]))


def _of_images(x: np.ndarray, rows: np.ndarray) -> tuple[Feature, ...]:
    """Of a channel, what its brightness and its contrast are in each image: a pixel by itself tells nothing."""
    brightness, contrast = (np.empty((len(rows), x.shape[1])) for _ in range(2))
    for some in _runs(len(rows)):
        block = x[rows[some]].astype(np.float64)
        brightness[some], contrast[some] = block.mean((2, 3)), block.std((2, 3))
    return tuple(
        Feature(f"{name} of channel {channel}", values[:, channel], True)
        for channel in range(x.shape[1])
        for name, values in (("brightness", brightness), ("contrast", contrast))
    )
