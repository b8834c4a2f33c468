"""What a trial's params put before its net."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from hpsearch.data.dataset import Arrays
from hpsearch.nets.front import Pieces, Quantile, Resize, Select
from hpsearch.nets.shape import Layout, Shape


def front_of(params: Mapping[str, Any], arrays: Arrays) -> tuple[nn.Sequential | None, Shape]:
    """What these params put before the net, if anything, and the shape of what then enters it."""
    shape = Shape(arrays.input_shape, arrays.target.outputs, arrays.layout)
    stages: list[nn.Module] = []
    if len(shape.inputs) == 1:
        shape = _of_numbers(params, arrays, shape, stages)
    elif params["image_size"]:
        size = int(params["image_size"])
        channels, height, width = shape.inputs
        stages.append(Resize(height, width, size))
        shape = replace(shape, inputs=(channels, size, size))
    return (nn.Sequential(*stages).eval() if stages else None), shape


def _of_numbers(params: Mapping[str, Any], arrays: Arrays, shape: Shape, stages: list[nn.Module]) -> Shape:
    """Chosen features, then their scale, then their pieces on it; adds to the stages."""
    own = slice(None) if arrays.train.extra is None else arrays.train.own_places
    x, columns = arrays.train.x[own], np.arange(shape.inputs[0])
    if params["features"] < 1:
        columns = _kept(params["features"], arrays)
        stages.append(Select(columns))
        x = x[:, columns]
        shape = Shape((len(columns),), shape.outputs, _of_columns(shape.layout, columns))
    layout = shape.layout or Layout(np.arange(len(columns)), np.ones(len(columns), dtype=bool))
    scale: nn.Module = nn.Identity()
    if params["scaling"] == "quantile":
        scale = Quantile(x, layout.number)
        stages.append(scale)
    ends = _ends(arrays, columns, params["pieces"], scale) if params["pieces"] > 1 else {}
    if not ends:
        return shape
    pieces = Pieces(ends)
    stages.append(pieces)
    return _wider(shape, layout, pieces.numbers.numpy())


def _kept(share: float, arrays: Arrays) -> np.ndarray:
    """The columns of the most relevant features, one feature at least."""
    assert arrays.relevance is not None
    feature_D = np.arange(arrays.input_shape[0]) if arrays.layout is None else arrays.layout.feature
    count = max(round(share * len(arrays.relevance)), 1)
    best = np.sort(np.argsort(-arrays.relevance, kind="stable")[:count])
    return np.flatnonzero(np.isin(feature_D, best))


def _ends(arrays: Arrays, columns: np.ndarray, most: int, scale: nn.Module) -> dict[int, np.ndarray]:
    """The ends of at most so many pieces of each of these columns, on their scale."""
    assert arrays.cuts is not None
    given = np.zeros((most + 1, len(columns)), dtype=np.float32)
    for place, column in enumerate(columns.tolist()):
        points = np.sort(arrays.cuts.get(column, given[:1, place])[: most + 1])
        given[:, place] = np.pad(points, (0, most + 1 - len(points)), mode="edge")
    scaled = scale(torch.from_numpy(given)).numpy()
    found = {place: np.unique(values) for place, values in enumerate(scaled.T)}
    return {place: ends for place, ends in found.items() if len(ends) > 2}


def _wider(shape: Shape, layout: Layout, numbers: np.ndarray) -> Shape:
    """With columns that belong to the features of these numbers, and are none themselves."""
    feature = np.append(layout.feature, layout.feature[numbers])
    number = np.append(layout.number, np.zeros(len(numbers), dtype=bool))
    return replace(shape, inputs=(len(feature),), layout=Layout(feature, number))


def _of_columns(layout: Layout | None, columns: np.ndarray) -> Layout | None:
    if layout is None:
        return None
    _, feature = np.unique(layout.feature[columns], return_inverse=True)
    return Layout(feature, layout.number[columns])
