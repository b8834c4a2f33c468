"""R10: the very numbers that enter the net, decoded back and held against the source."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.data import preprocess
from hpsearch.data.cycles import phase
from hpsearch.data.dataset import Target
from hpsearch.data.preprocess import ArraySchema, Category, Date, TableSchema
from hpsearch.pack.augment import NAMES
from hpsearch.recipe import pictures
from hpsearch.recipe.bench import Bench
from hpsearch.recipe.pictures import Draw
from hpsearch.recipe.verdict import Finding, judged, some

_ROUNDING = 1e-3  # of a feature's spread
_FAR = 200.0  # standard deviations
_MOST, _AT_ONCE = 20_000, 256  # rows that are decoded
_SHOWN, _COLUMNS = 24, 6


def decoded(bench: Bench) -> Finding:
    """R10: each training row, decoded, is its row of the source: same numbers, same words, in the same order."""
    dataset = bench.prepared.dataset
    part, raw = dataset.train, dataset.raw
    assert raw is not None
    count = min(len(part.own_y), _MOST)
    x, rows = part.x[:count], part.index[:count]
    if isinstance(dataset.schema, ArraySchema):
        assert raw.x is not None
        runs = [slice(start, start + _AT_ONCE) for start in range(0, count, _AT_ONCE)]
        apart = {"x": max(arrays_apart(dataset.schema, x[some], raw.x[rows[some]]) for some in runs)}
    else:
        assert raw.table is not None
        apart = columns_apart(dataset.schema, x, raw.table.iloc[rows])
    worst = max(apart, key=lambda name: apart[name])
    wrong = [name for name, value in apart.items() if not value <= _ROUNDING]
    return judged(
        bool(wrong),
        False,
        f"{count} training rows; the largest difference to the source is {apart[worst]:.2g} of a spread"
        + (f", in {some(wrong)}" if wrong else ""),
        "0 to rounding",
        "what enters the net is not what the source holds: look at how it is read; numbers with many digits "
        "in front "
        "of what changes lose it in float32",
        picture=_picture(bench),
    )


def scaled(bench: Bench) -> Finding:
    """R10.scale: inputs of the size that nets are made for, about 0 and 1."""
    x, layout = bench.inputs(len(bench.arrays.train.y)).flatten(1), bench.arrays.layout
    if layout is not None and layout.number.any():  # the 0 and 1 of a rare word say nothing of size
        x = x[:, np.flatnonzero(layout.number)]
    mean, spread = float(x.mean(0).mean()), float(x.std(0, correction=0).mean())
    far = float(x.abs().max())
    usual = abs(mean) <= 3 and 0.01 < spread < 10
    return judged(
        not far <= 1e4,
        not (usual and far <= _FAR),
        f"mean {mean:.2g}, mean spread of a feature {spread:.2g}, largest size {far:.3g}{bench.of}",
        f"about 0, about 1, below {_FAR:g}",
        "one far value rules each step that its row is in: see D1.outliers"
        if usual
        else "the inputs are not of the size 1: look at what is done to them on their way",
    )


def arrays_apart(schema: ArraySchema, x: np.ndarray, source: np.ndarray) -> float:
    """How far arrays are from their source, in spreads."""
    mean, std = schema.scale(source)
    found = (source.reshape(x.shape).astype(np.float64) - mean) / std
    return float(np.abs(found - x).max())


def columns_apart(schema: TableSchema, x: np.ndarray, source: pd.DataFrame) -> dict[str, float]:
    """How far each column is from its source: in spreads, or as a share of words that differ."""
    found, start = {}, 0
    for column in schema.columns:
        block = x[:, start : start + column.width]
        start += column.width
        if isinstance(column, Category):
            found[column.name] = float((_words(column.categories, block) != _known(column, source)).mean())
            continue
        values = preprocess.values(column, source[column.name], column.name)
        values = np.where(np.isnan(values), column.fill, values)
        back = block[:, 0].astype(np.float64) * column.std + column.mean
        found[column.name] = float(np.abs(back - values).max() / column.std)
        if isinstance(column, Date) and column.cycles:
            found[column.name] = max(found[column.name], _cycles_apart(column, block, values))
    return found


def _cycles_apart(column: Date, block: np.ndarray, values: np.ndarray) -> float:
    """How far the sines and cosines of a date's cycles are from those of its values."""
    angle = 2 * np.pi * phase(values[:, None], np.array(column.periods))
    wanted = np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
    return float(np.abs(block[:, -wanted.shape[1] :] - wanted).max())


def _words(categories: tuple[str, ...], block: np.ndarray) -> np.ndarray:
    """The words that 0/1 columns stand for, None where there is none."""
    hot = block[:, : len(categories)]
    none = 1 - hot.sum(1, keepdims=True)
    words = np.array([*categories, None], dtype=object)
    return np.asarray(words[np.hstack([hot, none]).argmax(1)])


def _known(column: preprocess.Category, source: pd.DataFrame) -> np.ndarray:
    codes = column.codes(source[column.name], column.name)
    return np.asarray(np.array([*column.categories, None], dtype=object)[np.maximum(codes, -1)])


def _picture(bench: Bench) -> Draw:
    """The first rows decoded: a table's numbers and words; pictures, and as they enter the net in training."""
    dataset, part = bench.prepared.dataset, bench.arrays.train
    x, names = part.x[:_SHOWN], [_name(dataset.target, value) for value in part.y[:_SHOWN]]
    if x.ndim == 4:
        count = min(len(x), _SHOWN // 2)
        entering = _strongest(bench, count)
        return pictures.images([*x[:count], *entering], [*names[:count], *["in training"] * count], _COLUMNS)
    columns: Mapping[str, list[Any]]
    if isinstance(dataset.schema, ArraySchema):
        columns = {f"x[{i}]": values.tolist() for i, values in enumerate(x.reshape(len(x), -1)[:, :_COLUMNS].T)}
    else:
        columns, start = {}, 0
        for column in dataset.schema.columns[:_COLUMNS]:
            block = x[:, start : start + column.width]
            start += column.width
            if isinstance(column, Category):
                columns[column.name] = _words(column.categories, block).tolist()
            else:
                columns[column.name] = (block[:, 0].astype(float) * column.std + column.mean).tolist()
    rows = list(zip(names, *columns.values(), strict=True))[: _SHOWN // 2]
    return pictures.table(["target", *columns], rows)


def _strongest(bench: Bench, count: int) -> np.ndarray:
    """The first examples as a trial with the strongest augmentation of the study has them, [count, C, H, W]."""
    space = bench.prepared.space
    tricks = {name: space.highest(name) for name in [*NAMES, "image_start"] if name in bench.params}
    pack = bench.pack([tricks])
    return np.asarray(pack.entering(np.arange(count)[None], 0).x[0].numpy())


def _name(target: Target, value: float) -> str:
    return str(target.classes[int(value)]) if target.task == "classification" else f"{value:.4g}"
