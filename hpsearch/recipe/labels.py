"""D2.labels: rows whose label is probably wrong."""

import warnings

import numpy as np
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hpsearch.recipe.duplicates import fewer
from hpsearch.recipe.verdict import Finding, judged, percent, skipped
from hpsearch.recipe.view import View

_MOST = 5000  # rows
_MANY = 0.01
_SURE = 0.1  # a label less probable than this is doubted
_FEWEST = 5  # rows of a class
_TREES = 600  # of all classes together, at most 60 of one
_CATEGORIES = 250  # that boosting tells apart


def labels(view: View) -> Finding:
    """D2.labels: confident learning on five folds (Northcutt, Jiang & Chuang 2021, arXiv 1911.00068).

    A row is suspect where another class has a probability as high as that class has, on average, on its own rows,
    and its own label is thought improbable. Gradient boosting gives the probabilities, of more than 60 classes a
    random forest; of arrays and images logistic regression. The test part is left alone.
    """
    if not view.is_classification:
        return skipped("for classes")
    rng = np.random.default_rng(0)
    places = np.concatenate([view.part["train"], view.part["validation"]])
    places = np.sort(rng.choice(places, _MOST, replace=False)) if len(places) > _MOST else places
    places = places[np.bincount(view.y[places])[view.y[places]] >= _FEWEST]
    classes, y = np.unique(view.y[places], return_inverse=True)
    if len(classes) < 2:
        return skipped("fewer than two classes have enough rows for cross-validation")
    probability = _out_of_fold(view, places, y)
    suspect = suspects(probability, y)
    order = suspect[np.argsort(probability[suspect, y[suspect]])]
    low = float(stats.binomtest(len(order), len(y)).proportion_ci().low)
    return judged(
        False,
        low > _MANY,
        f"{len(order)} of {len(y)} rows ({percent(len(order) / len(y))}) look mislabelled{view.of}",
        f"at most {percent(_MANY)}, beyond chance",
        "look at these rows, the first are the surest; where the labels are right the classes overlap, and "
        "more or "
        "better features would tell them apart",
        view.sources(places[order]),
    )


def suspects(probability_NC: np.ndarray, y_N: np.ndarray) -> np.ndarray:
    """Places whose label is probably another one."""
    classes = probability_NC.shape[1]
    usual_C = np.array([probability_NC[y_N == c, c].mean() for c in range(classes)])
    sure_NC = probability_NC >= usual_C
    likeliest_N = np.where(sure_NC, probability_NC, -1).argmax(1)
    own_N = probability_NC[np.arange(len(y_N)), y_N]
    return np.flatnonzero(sure_NC.any(1) & (likeliest_N != y_N) & (own_N < _SURE))


def _out_of_fold(view: View, places: np.ndarray, y: np.ndarray) -> np.ndarray:
    splitter = StratifiedKFold(_FEWEST, shuffle=True, random_state=0)
    if view.source is None:
        words = [not f.is_number for f in view.features]
        columns = [f.values if f.is_number else np.minimum(f.codes, _CATEGORIES) for f in view.features]
        x = np.stack(columns, axis=1).astype(np.float64)[places]
        x[:, words] = np.where(x[:, words] < 0, np.nan, x[:, words])
        trees = min(60, _TREES // (y.max() + 1))
        if trees < 10:  # a forest's trees are of all classes at once
            trees = max(20, 10_000 // (y.max() + 1))  # each leaf has a number for each class
            net = RandomForestClassifier(min(trees, 100), min_samples_leaf=3, random_state=0)
        else:
            net = HistGradientBoostingClassifier(
                max_iter=trees, categorical_features=words, early_stopping=False, random_state=0
            )
    else:
        x = fewer(view.flat(places), len(places))
        net = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(cross_val_predict(net, x, y, cv=splitter, method="predict_proba"))
