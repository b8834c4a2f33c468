"""Hidden values of a masked array are no inputs of a prediction."""

import numpy as np
import pytest

from hpsearch.data.preprocess import ArraySchema, Number, TableSchema
from hpsearch.errors import UserError
from hpsearch.export.inputs import feeds

X = np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[False, False], [True, False]])


def test_hidden_values_of_arrays_are_refused() -> None:
    schema = ArraySchema((2,), (0.0, 0.0), (1.0, 1.0))
    with pytest.raises(UserError, match="X: x is a masked array that hides 1 values, the first in row 1"):
        feeds(X, schema, ["x"], [""], "X", 0)
    assert feeds(X[:1], schema, ["x"], [""], "X", 0)["x"].tolist() == [[1, 2]]


def test_hidden_values_of_tables_are_missing() -> None:
    schema = TableSchema(tuple(Number(name, 0.0, 1.0, 0.0, False) for name in "ab"))
    found = feeds(X, schema, ["a", "b"], ["", ""], "X", 0)
    assert found["a"][0, 0] == 1
    assert np.isnan(found["a"][1, 0])
