"""Where ranges are cut, against trees that are grown to each size."""

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from hpsearch.data.cuts import cuts
from hpsearch.data.dataset import Arrays, Part, Target
from hpsearch.data.relevance import relevance


def arrays_of(x: np.ndarray, y: np.ndarray, extra: np.ndarray | None = None) -> Arrays:
    classes = y.dtype.kind == "i"
    target = Target("classification", ("a", "b")) if classes else Target("regression", (), y.mean(), y.std())
    part = Part(x.astype(np.float32), y, np.arange(len(y)), extra=extra)
    return Arrays(part, part, target, "accuracy" if classes else "rmse")


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("leaves", [2, 3, 7, 12])
def test_the_first_cuts_are_those_of_a_smaller_tree(task: str, leaves: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 1)).astype(np.float32)
    y = np.sin(4 * x[:, 0]) + 0.3 * rng.normal(size=600)
    y = (y > 0.5).astype(np.int64) if task == "classification" else y
    arrays = arrays_of(x, y)
    low, high, *inner = cuts(arrays, 12)[0].tolist()
    limits = {"max_leaf_nodes": leaves, "min_samples_leaf": 5, "random_state": 0}
    tree = (
        DecisionTreeClassifier(class_weight="balanced", **limits)
        if task == "classification"
        else DecisionTreeRegressor(**limits)
    )
    grown = tree.fit(x, arrays.target.scaled(y)).tree_
    wanted = np.sort(grown.threshold[grown.feature >= 0])
    assert sorted(inner[: leaves - 1]) == pytest.approx(wanted.tolist())
    assert (low, high) == (x.min(), x.max())


def test_neither_units_nor_the_order_of_rows_decide() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(45_000, 1))
    y = np.abs(x[:, 0])
    assert {len(cuts(arrays_of(x, scale * y), 8)[0]) for scale in (1e-12, 1, 1e12)} == {9}
    alternating = np.arange(45_000) % 2
    assert len(cuts(arrays_of(x + 3 * alternating[:, None], alternating), 4)[0]) > 2


def test_a_number_that_tells_nothing_and_extra_rows_give_no_cuts() -> None:
    rng = np.random.default_rng(0)
    x, y = np.stack([rng.normal(size=300), np.ones(300)], 1), np.arange(300) % 2
    assert 1 not in cuts(arrays_of(x, y), 8)
    own = arrays_of(x, y)
    more = arrays_of(np.concatenate([x, x + 9]), np.concatenate([y, np.zeros(300, int)]), np.arange(600) >= 300)
    assert {c: p.tolist() for c, p in cuts(more, 8).items()} == {c: p.tolist() for c, p in cuts(own, 8).items()}
    np.testing.assert_array_equal(relevance(more), relevance(own))
