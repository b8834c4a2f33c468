"""What a trial's params put before its net."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from hpsearch.data.dataset import Arrays
from hpsearch.nets.front import Quantile, Resize, Select
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
    if params["scaling"] == "quantile":
        numbers = np.ones(x.shape[1], dtype=bool) if shape.layout is None else shape.layout.number
        stages.append(Quantile(x, numbers))
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


def _of_columns(layout: Layout | None, columns: np.ndarray) -> Layout | None:
    if layout is None:
        return None
    _, feature = np.unique(layout.feature[columns], return_inverse=True)
    return Layout(feature, layout.number[columns])
