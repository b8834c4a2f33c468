"""D1.leakage: a feature that by itself predicts the target nearly perfectly was made from it."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.base import BaseEstimator
from sklearn.feature_selection import f_classif, r_regression
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from hpsearch.recipe.verdict import Finding, judged, skipped, some
from hpsearch.recipe.view import Feature, View

_MOST = 5000  # rows that are enough to see it
_PERFECT, _NEARLY = 0.995, 0.97
_COLUMNS = 1000  # numbers that are looked at one by one; of more, those that go most with the target
_CLASSES = 32  # for which a tree of eight levels has leaves enough
_FOLDS = 5  # and the rows that a class needs


def leakage(view: View) -> Finding:
    """D1.leakage: each feature by itself, five-fold: a small tree, or a word's answer; balanced accuracy or R².

    R² is the larger of that of the values and that of their ranks: the largest of a skewed target rule the first.
    A failure where there are enough rows that all of them right are no accident.
    """
    rng = np.random.default_rng(0)
    places = view.part["train"]
    places = np.sort(rng.choice(places, _MOST, replace=False)) if len(places) > _MOST else places
    if view.is_classification:
        places = places[np.bincount(view.y[places])[view.y[places]] >= _FOLDS]
    y = view.y[places]
    units = None if view.unit is None else view.unit[places]
    if len(y) < 2 * _FOLDS or len(np.unique(y)) < 2 or (units is not None and len(np.unique(units)) < _FOLDS):
        return skipped("too few rows, of two classes at least, to tell")
    features = _closest(view.features, places, y, view.is_classification)
    scores = {f.name: _alone(f, places, y, view.is_classification, units) for f in features}
    worst = sorted(scores, key=lambda name: -scores[name])
    enough = not view.is_classification or 0.05 ** (1 / len(y)) > _NEARLY  # as many right by accident
    perfect = [name for name in worst if scores[name] >= _PERFECT and enough]
    nearly = [name for name in worst if scores[name] >= _NEARLY]
    what = "balanced accuracy" if view.is_classification else "R²"
    best = f"best feature alone: {worst[0]} with {what} {scores[worst[0]]:.3f}"
    best += f" (of the {len(features)} that go most with the target)" if len(features) < len(view.features) else ""
    return judged(
        bool(perfect),
        bool(nearly),
        f"{some(nearly)}: {best}" if nearly else best,
        f"no feature that alone reaches {_NEARLY}",
        "ask whether it will be known when a prediction is made: a column written after the target, or from it, "
        f"is to be taken out ({view.dropping}); where it is honest, the task is easy, and this finding can be "
        "accepted",
    )


def _closest(
    features: Sequence[Feature], places: np.ndarray, y: np.ndarray, is_classification: bool
) -> Sequence[Feature]:
    """All words, and of very many numbers those that go most with the target, by their ranks."""
    numbers = [feature for feature in features if feature.is_number]
    if len(numbers) <= _COLUMNS:
        return features
    ranks = np.stack([rankdata(np.nan_to_num(f.values[places], nan=-np.inf)) for f in numbers], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constant columns
        told = f_classif(ranks, y)[0] if is_classification else np.abs(r_regression(ranks, rankdata(y)))
    kept = {numbers[i].name for i in np.argsort(-np.nan_to_num(told))[:_COLUMNS]}
    return [feature for feature in features if not feature.is_number or feature.name in kept]


def _alone(
    feature: Feature, places: np.ndarray, y: np.ndarray, is_classification: bool, units: np.ndarray | None
) -> float:
    """What a feature says of the target, out of fold."""
    if not is_classification:
        values, ranks = (_r2(feature, places, told, units) for told in (y, rankdata(y)))
        return max(values, ranks)
    guess = _guess(feature, places, y, True, units)
    return float(np.mean([np.mean(guess[y == c] == c) for c in np.unique(y)]))


def _r2(feature: Feature, places: np.ndarray, y: np.ndarray, units: np.ndarray | None) -> float:
    guess = _guess(feature, places, y, False, units)
    return 1 - float(np.mean((guess - y) ** 2) / max(np.var(y), 1e-300))


def _guess(
    feature: Feature, places: np.ndarray, y: np.ndarray, is_classification: bool, units: np.ndarray | None
) -> np.ndarray:
    """The target from this feature alone, out of fold."""
    kind = StratifiedKFold if is_classification else KFold
    splitter = kind(_FOLDS, shuffle=True, random_state=0) if units is None else GroupKFold(_FOLDS)
    column = (feature.values if feature.is_number else feature.codes)[places].reshape(-1, 1)
    if not feature.is_number:
        tree = _OfWords(is_classification)
    elif is_classification:
        depth = 8 if len(np.unique(y)) <= _CLASSES else None  # a leaf for each class at least
        tree = DecisionTreeClassifier(max_depth=depth, min_samples_leaf=2, random_state=0, class_weight="balanced")
    else:
        tree = DecisionTreeRegressor(max_depth=8, min_samples_leaf=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(cross_val_predict(tree, column, y, cv=splitter, groups=units))


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
