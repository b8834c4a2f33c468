"""Cross-validation: the training and the validation part as one, each row held out once."""

import warnings
from dataclasses import replace

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from hpsearch.data.dataset import Arrays, Part


def cross_validated(arrays: Arrays, folds: int, seed: int, group_N: np.ndarray | None = None) -> Arrays:
    """The arrays with both parts in one, and the fold in which each of their rows is held out.

    `folds` are stratified by class; rows of one group [N, training part first] stay together. Extra training data
    are of no fold, -1: nobody is judged on them. Scales are those of the training part.

    Raises:
        ValueError: there are too few rows or groups.
    """
    whole, count = joined(arrays), len(arrays.train.own_y) + len(arrays.validation.y)
    judged = Part(whole.x[:count], whole.y[:count], whole.index[:count])
    fold_N = np.full(len(whole.y), -1)
    splitter: GroupKFold | KFold | StratifiedKFold
    if group_N is not None:
        splitter = GroupKFold(folds, shuffle=True, random_state=seed)
    elif arrays.target.task == "classification":
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    else:
        splitter = KFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a class with fewer rows than folds
        for number, (_, held_out) in enumerate(splitter.split(judged.x, judged.y, group_N)):
            fold_N[held_out] = number
    return replace(arrays, train=whole, validation=judged, folds=fold_N)


def joined(arrays: Arrays) -> Part:
    """Both parts as one, extra training data last; where examples have weights, validation's count as one."""
    train, validation = arrays.train, arrays.validation
    own, count = train.own_places, len(train.own_y) + len(validation.y)
    extra = np.setdiff1d(np.arange(len(train.y)), own)

    def of(name: str) -> np.ndarray:
        found = getattr(train, name)
        return np.concatenate([found[own], getattr(validation, name), found[extra]])

    ones = np.ones(len(validation.y), dtype=np.float32)
    weight = None if train.weight is None else np.concatenate([train.weight[own], ones, train.weight[extra]])
    whole = Part(of("x"), of("y"), of("index"), weight)
    return replace(whole, extra=np.arange(len(whole.y)) >= count) if len(extra) else whole
