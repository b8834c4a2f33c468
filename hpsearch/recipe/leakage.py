"""D1.leakage: a feature that by itself predicts the target nearly perfectly was made from it."""

import warnings

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from hpsearch.recipe.verdict import Finding, judged, skipped, some
from hpsearch.recipe.view import Feature, View

_MOST = 5000  # rows that are enough to see it
_PERFECT, _NEARLY = 0.995, 0.97
_FOLDS = 5  # and the rows that a class needs


def leakage(view: View) -> Finding:
    """D1.leakage: each feature by itself, five-fold: a small tree, or a word's answer; balanced accuracy or R²."""
    rng = np.random.default_rng(0)
    places = view.part["train"]
    places = np.sort(rng.choice(places, _MOST, replace=False)) if len(places) > _MOST else places
    if view.is_classification:
        places = places[np.bincount(view.y[places])[view.y[places]] >= _FOLDS]
    y = view.y[places]
    units = None if view.unit is None else view.unit[places]
    if len(y) < 2 * _FOLDS or len(np.unique(y)) < 2 or (units is not None and len(np.unique(units)) < _FOLDS):
        return skipped("too few rows, of two classes at least, to tell")
    scores = {f.name: _alone(f, places, y, view.is_classification, units) for f in view.features}
    worst = sorted(scores, key=lambda name: -scores[name])
    perfect = [name for name in worst if scores[name] >= _PERFECT]
    nearly = [name for name in worst if scores[name] >= _NEARLY]
    what = "balanced accuracy" if view.is_classification else "R²"
    best = f"best feature alone: {worst[0]} with {what} {scores[worst[0]]:.3f}"
    return judged(
        bool(perfect),
        bool(nearly),
        f"{some(nearly)}: {best}" if nearly else best,
        f"no feature that alone reaches {_NEARLY}",
        "ask whether it will be known when a prediction is made: a column written after the target, or from "
        "it, is "
        "to be taken out (data.drop); where it is honest, the task is easy, and this finding can be accepted",
    )


def _alone(
    feature: Feature, places: np.ndarray, y: np.ndarray, is_classification: bool, units: np.ndarray | None
) -> float:
    """What a feature says of the target, out of fold."""
    kind = StratifiedKFold if is_classification else KFold
    splitter = kind(_FOLDS, shuffle=True, random_state=0) if units is None else GroupKFold(_FOLDS)
    column = (feature.values if feature.is_number else feature.codes)[places].reshape(-1, 1)
    if not feature.is_number:
        tree = _OfWords(is_classification)
    elif is_classification:
        tree = DecisionTreeClassifier(max_depth=8, min_samples_leaf=2, random_state=0, class_weight="balanced")
    else:
        tree = DecisionTreeRegressor(max_depth=8, min_samples_leaf=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        guess = cross_val_predict(tree, column, y, cv=splitter, groups=units)
    if is_classification:
        return float(np.mean([np.mean(guess[y == c] == c) for c in np.unique(y)]))
    return 1 - float(np.mean((guess - y) ** 2) / max(np.var(y), 1e-300))


class _OfWords(BaseEstimator):  # type: ignore[misc]
    """Says of each word the class of which it has the largest share, or the mean of its values."""

    def __init__(self, is_classification: bool = True) -> None:
        self.is_classification = is_classification

    def fit(self, x: np.ndarray, y: np.ndarray) -> "_OfWords":
        table = pd.DataFrame({"word": x[:, 0], "y": y})
        if self.is_classification:
            counts = table.groupby(["word", "y"]).size().unstack(fill_value=0)
            self._says = (counts / counts.sum()).idxmax(axis=1)
            self._else = table["y"].mode()[0]
        else:
            self._says, self._else = table.groupby("word")["y"].mean(), table["y"].mean()
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(pd.Series(x[:, 0]).map(self._says).fillna(self._else))
