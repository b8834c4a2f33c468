"""What a trial's params put before its net."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from hpsearch.data.dataset import Arrays
from hpsearch.nets.front import Pieces, Quantile, Resize, Select
from hpsearch.nets.shape import Layout, Shape


def front_of(params: Mapping[str, Any], arrays: Arrays) -> tuple[nn.Module | None, Shape]:
    """What these params put before the net, if anything, and the shape of what then enters it."""
    shape = Shape(arrays.input_shape, arrays.target.outputs, arrays.layout)
    stages: list[nn.Module] = []
    x = arrays.train.x
    if params["features"] < 1:
        columns = _kept(params["features"], arrays)
        stages.append(Select(columns))
        x = x[:, columns]
        shape = Shape((len(columns),), shape.outputs, _of_columns(shape.layout, columns))
    layout = shape.layout or Layout(np.arange(x.shape[1]), np.ones(x.shape[1], dtype=bool))
    if params["pieces"]:
        found = _cuts(x, arrays, layout.number, params["pieces"])
        if found:
            pieces = Pieces(found)
            stages.append(pieces)
            shape = _wider(shape, layout, pieces.numbers.numpy())
    if params["scaling"] == "quantile":
        stages.append(Quantile(x, layout.number))
    if params["image_size"]:
        size = int(params["image_size"])
        channels, height, width = shape.inputs
        stages.append(Resize(height, width, size))
        shape = replace(shape, inputs=(channels, size, size))
    return (nn.Sequential(*stages).eval() if stages else None), shape


def _kept(share: float, arrays: Arrays) -> np.ndarray:
    """The columns of the most relevant features, one feature at least."""
    assert arrays.relevance is not None
    feature_D = np.arange(arrays.input_shape[0]) if arrays.layout is None else arrays.layout.feature
    count = max(round(share * len(arrays.relevance)), 1)
    best = np.sort(np.argsort(-arrays.relevance, kind="stable")[:count])
    return np.flatnonzero(np.isin(feature_D, best))


def _cuts(x: np.ndarray, arrays: Arrays, number_D: np.ndarray, most: int) -> dict[int, np.ndarray]:
    from hpsearch.data.cuts import cuts  # with scikit-learn, which where torch alone is wanted need not be

    train = arrays.train
    own = slice(None) if train.extra is None else ~train.extra
    return cuts(x[own], train.own_y, number_D, most, arrays.target.task == "classification")


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
