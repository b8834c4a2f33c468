"""The ranges of the training values, against NumPy's."""

import json

import numpy as np
import pandas as pd
import pytest

from hpsearch.data import ranges
from hpsearch.data.preprocess import fit_array, fit_table, from_json, to_json


@pytest.mark.parametrize("shape", [(500, 3), (500, 3, 4, 5)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64", "bool"])
def test_ranges_are_those_of_the_training_rows(shape: tuple[int, ...], dtype: str) -> None:
    x = np.random.default_rng(0).gamma(2, 20, shape).clip(0, 255).astype(dtype)
    train = np.arange(0, 500, 2)
    found = fit_array(x, train, "x").seen
    for i, one in enumerate(found):
        own = x[train][:, i].astype(np.float64).ravel()
        assert (one.minimum, one.maximum) == (own.min(), own.max())
        assert (one.low, one.high) == pytest.approx(tuple(np.quantile(own, [0.001, 0.999])))
        assert (one.mean, one.std) == pytest.approx((own.mean(), own.std()), rel=1e-5)
        assert one.whole == (dtype not in ("float32", "float64"))


def test_missing_values_are_left_out_of_a_columns_range() -> None:
    table = pd.DataFrame({"a": [1.0, np.nan, 3.0, 99.0], "b": [np.nan] * 4})
    a, b = fit_table(table, [], np.arange(3), "x").columns
    assert a.seen == ranges.Range(1.0, pytest.approx(1.002), pytest.approx(2.998), 3.0, 2.0, 1.0, True)  # type: ignore[union-attr]
    assert b.seen is None  # type: ignore[union-attr]


def test_ranges_go_through_json() -> None:
    rng = np.random.default_rng(0)
    arrays = fit_array(rng.normal(size=(20, 2, 3, 3)), np.arange(20), "x")
    columns = fit_table(pd.DataFrame({"a": rng.normal(size=20), "w": ["p", "q"] * 10}), [], np.arange(20), "x")
    for schema in (arrays, columns):
        assert from_json(json.loads(json.dumps(to_json(schema), allow_nan=False))) == schema


def test_large_data_have_their_quantiles_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "_MOST_FOR_QUANTILES", 4000)
    x = np.random.default_rng(0).normal(size=(20_000, 2))
    (one, _) = fit_array(x, np.arange(20_000), "x").seen
    assert one.maximum == x[:, 0].max()
    assert one.high == pytest.approx(np.quantile(x[:, 0], 0.999), abs=0.8)
