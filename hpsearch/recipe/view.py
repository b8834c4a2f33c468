"""A study's data as a person knows them: named features in their own units, for the checks on data."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hpsearch.data import preprocess
from hpsearch.data.dataset import Target
from hpsearch.data.load import Dataset
from hpsearch.data.preprocess import Category
from hpsearch.data.splits import PARTS
from hpsearch.prepared import Prepared

MOST = 20_000  # rows of a part that are looked at; of more, a sample


@dataclass(frozen=True)
class Feature:
    """One feature of every row: float64 with NaN where it is missing, or words with None, [N]."""

    name: str
    values: np.ndarray
    is_number: bool

    @cached_property
    def missing(self) -> np.ndarray:
        """bool [N]"""
        if self.is_number:
            return np.asarray(np.isnan(self.values))
        return np.array([value is None for value in self.values], dtype=np.bool_)

    @cached_property
    def codes(self) -> np.ndarray:
        """The same values as integers [N]: equal where they are equal."""
        values = self.values if self.is_number else np.array([v or "" for v in self.values], dtype=str)
        codes = np.unique(values, return_inverse=True, equal_nan=self.is_number)[1]
        return np.where(self.missing, -1, codes)


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

    `x`: the inputs of arrays and images as they were read [N, …]. `unit`: rows with the same number were drawn
    into a part together [N], where the study splits by group; `given`: where time, a column or the source says the
    parts. `in_extra`: which validation and test rows data.extra has, too. `of`: what is looked at, in words, where
    it is not all.
    """

    kind: str
    features: tuple[Feature, ...]
    y: np.ndarray
    target: Target
    rows: np.ndarray
    part: Mapping[str, np.ndarray]
    copies: Copies
    x: np.ndarray | None = None
    unit: np.ndarray | None = None
    given: bool = False
    in_extra: np.ndarray | None = None
    of: str = ""

    def sources(self, places: np.ndarray) -> np.ndarray:
        """The row numbers in the source."""
        return np.asarray(self.rows[places])

    @property
    def is_classification(self) -> bool:
        return self.target.task == "classification"


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
        features, x = _of_table(dataset, rows), None
        if split.group is not None:
            unit = np.unique(preprocess.words(raw.table[split.group].iloc[rows]).astype(str), return_inverse=True)[
                1
            ]
    else:
        assert raw.x is not None
        x = np.ascontiguousarray(raw.x[rows])
        features = _of_images(x) if dataset.kind == "images" else _of_arrays(x)
    given = raw.part is not None or split.time is not None or split.column is not None
    told = f" (of a sample of {len(rows)} rows)" if len(rows) < len(whole) else ""
    return View(
        dataset.kind, features, y, dataset.target, rows, part, copies, x, unit, given,
        _in_extra(dataset), told,
    )  # fmt: skip


def _in_extra(dataset: Dataset) -> np.ndarray | None:
    """The numbers of the validation and test rows whose inputs an extra training row has; None without extra."""
    train, held = dataset.train, (dataset.validation, dataset.test)
    if train.extra is None:
        return None
    given = train.x[train.extra]
    flat = np.concatenate([given, *(part.x for part in held)]).reshape(
        len(given) + sum(len(p.y) for p in held), -1
    )
    group = equal_rows(flat)
    return np.concatenate([part.index for part in held])[np.isin(group[len(given) :], group[: len(given)])]


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
        flat = np.stack([feature.codes for feature in _of_table(dataset, rows)], axis=1)
    else:
        assert raw.x is not None
        flat = np.ascontiguousarray(raw.x[rows].reshape(len(rows), -1)) + 0.0  # -0.0 is 0.0
    return equal_rows(flat)


def equal_rows(flat: np.ndarray) -> np.ndarray:
    """A number for each row of a matrix [N, D]; equal rows have the same one."""
    flat = np.ascontiguousarray(flat)
    as_bytes = flat.view(np.dtype((np.void, flat.dtype.itemsize * flat.shape[1]))).ravel()
    return np.asarray(np.unique(as_bytes, return_inverse=True)[1].ravel())


def _of_table(dataset: Dataset, rows: np.ndarray) -> tuple[Feature, ...]:
    assert dataset.raw is not None and dataset.raw.table is not None
    assert isinstance(dataset.schema, preprocess.TableSchema)
    table, found = dataset.raw.table.iloc[rows], []
    for column in dataset.schema.columns:
        is_word = isinstance(column, Category)
        series = table[column.name]
        values = preprocess.words(series) if is_word else preprocess.numbers(series, column.name)
        found.append(Feature(column.name, values, not is_word))
    return tuple(found)


def _of_arrays(x: np.ndarray) -> tuple[Feature, ...]:
    flat = x.reshape(len(x), -1)
    return tuple(Feature(f"x[{i}]", flat[:, i].astype(np.float64), True) for i in range(flat.shape[1]))


def _of_images(x: np.ndarray) -> tuple[Feature, ...]:
    """Of a channel, what its brightness and its contrast are in each image: a pixel by itself tells nothing."""
    found = []
    for channel in range(x.shape[1]):
        flat = x[:, channel].reshape(len(x), -1).astype(np.float64)
        found.append(Feature(f"brightness of channel {channel}", flat.mean(1), True))
        found.append(Feature(f"contrast of channel {channel}", flat.std(1), True))
    return tuple(found)
