"""Where a decision tree cuts the range of each number, to predict the target from it alone."""

import numpy as np
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from hpsearch import keyed
from hpsearch.data.dataset import Arrays

_MOST_ROWS = 20_000
_FEWEST = 5  # rows of a piece, or one in a thousand


def cuts(arrays: Arrays, most: int) -> dict[int, np.ndarray]:
    """Of each number that a tree of at most so many leaves cuts: its ends, then its cuts, the most telling first.

    float32, by column of the training inputs; extra data have no say. The classes are balanced. The first n of
    these cuts are those of a tree of n + 1 leaves, since trees grow at their best leaf.
    """
    own = arrays.train.own_places
    rows = own[keyed.sample(len(own), _MOST_ROWS)]
    x, y = arrays.train.x[rows], arrays.target.scaled(arrays.train.y[rows])
    number = np.ones(x.shape[1], dtype=bool) if arrays.layout is None else arrays.layout.number
    limits = {"max_leaf_nodes": most, "min_samples_leaf": max(_FEWEST, len(y) // 1000), "random_state": 0}
    found = {}
    for column in np.flatnonzero(number).tolist():
        values = x[:, column : column + 1]
        tree = (
            DecisionTreeClassifier(class_weight="balanced", **limits)
            if arrays.target.task == "classification"
            else DecisionTreeRegressor(**limits)
        )
        grown = tree.fit(values, y).tree_
        inner = np.flatnonzero(grown.children_left >= 0)
        inner = inner[np.argsort(grown.children_left[inner])]  # leaves are split in the order of their children
        if len(inner):
            ends = [values.min(), values.max()]
            found[column] = np.array([*ends, *grown.threshold[inner]], dtype=np.float32)
    return found
