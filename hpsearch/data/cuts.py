"""Where a decision tree cuts the range of each number, to predict the target from it alone."""

import numpy as np
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

_MOST_ROWS = 20_000
_FEWEST = 5  # rows of a piece, or one in a thousand


def cuts(
    x_ND: np.ndarray, y_N: np.ndarray, number_D: np.ndarray, most: int, is_classification: bool
) -> dict[int, np.ndarray]:
    """Of each number that a tree of at most so many leaves cuts: the ends of its pieces in order, float32.

    x: training rows as they enter; `number_D` tells which columns are numbers. The classes are balanced.
    """
    step = max(len(x_ND) // _MOST_ROWS, 1)
    x_ND, y_N = x_ND[::step], y_N[::step]
    if most < 2:
        return {}
    limits = {"max_leaf_nodes": most, "min_samples_leaf": max(_FEWEST, len(y_N) // 1000), "random_state": 0}
    found = {}
    for column in np.flatnonzero(number_D).tolist():
        values = x_ND[:, column : column + 1]
        tree = (
            DecisionTreeClassifier(class_weight="balanced", **limits)
            if is_classification
            else DecisionTreeRegressor(**limits)
        )
        inner = tree.fit(values, y_N).tree_
        between = inner.threshold[inner.feature >= 0]
        ends = np.unique(np.array([values.min(), *between, values.max()], dtype=np.float32))
        if len(ends) > 2:
            found[column] = ends
    return found
