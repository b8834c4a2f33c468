"""How much each feature tells of the target, by itself."""

import numpy as np
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from hpsearch import keyed
from hpsearch.data.dataset import Arrays

_MOST_ROWS = 4000


def relevance(arrays: Arrays) -> np.ndarray:
    """The mutual information of each feature with the target in the training part, in nats, float64 [F].

    A category counts by its most telling value. (Kraskov et al. 2004; scikit-learn's estimators.) Of many examples
    4000 are asked; extra data have no say.
    """
    own = arrays.train.own_places
    rows = own[keyed.sample(len(own), _MOST_ROWS)]
    x, y = arrays.train.x[rows], arrays.train.y[rows]
    layout = arrays.layout
    number = np.ones(x.shape[1], dtype=bool) if layout is None else layout.number
    estimate = mutual_info_classif if arrays.target.task == "classification" else mutual_info_regression
    by_column = estimate(x, y, discrete_features=~number, random_state=0)
    if layout is None:
        return np.asarray(by_column)
    found = np.zeros(int(layout.feature.max()) + 1)
    np.maximum.at(found, layout.feature, by_column)
    return found
