"""D2.labels: rows whose label is probably wrong."""

from dataclasses import replace

import numpy as np
from scipy import stats
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

from hpsearch.data.dataset import Arrays
from hpsearch.data.folds import cross_validated
from hpsearch.recipe.bench import Bench
from hpsearch.recipe.verdict import Finding, judged, percent, skipped

_FOLDS, _FOLDS_OF_LARGE = 5, 3  # of a net whose runs are cut
_RUN = {"lr": 1e-3, "schedule": "one_cycle"}  # in which most nets get far in few steps, and few too far
_FEWEST = 5  # rows of a class
_MANY = 0.01
_SURE = 0.1  # a label less probable than this is doubted
_LIKELY = 0.7  # and another one must be as probable as this
_STARTS = ((0.0, -5.0), (0.0, -2.0), (-0.7, -2.0))  # logarithm of the temperature, logit of the share
_ABLE = 0.8  # of the rows right: less may be wrong labels, or answers that chance decides
# Where the net errs on more rows than this for each suspect one, without being sure, classes overlap.
_PLAIN_ERRORS = 2.0


def labels(bench: Bench) -> Finding:
    """D2.labels: confident learning (Northcutt, Jiang & Chuang 2021, arXiv 1911.00068) with the study's own net.

    Folds of the training and validation rows are predicted by the baseline trained on the others. A row is
    suspect where another class has a probability as high as that class has, on average, on its own rows, and its
    own label is thought improbable. Where the net errs on many more rows without being sure, the check is skipped:
    classes that overlap give errors near their border, and wrong labels lie anywhere. The test part is left alone.
    """
    if not bench.is_classification:
        return skipped("for classes")
    arrays = _judged(bench.arrays, _FOLDS if bench.is_full else _FOLDS_OF_LARGE)
    if arrays is None:
        return skipped("fewer than two classes have enough rows for cross-validation")
    found = _out_of_fold(bench, arrays)
    if isinstance(found, str):
        return skipped(f"the net cannot be trained on parts of the data: {found}")
    probability, y = calibrated(found, arrays.train.y), arrays.train.y
    wrong = probability.argmax(1) != y
    suspect = suspects(probability, y)
    suspect = suspect[probability[suspect].max(1) >= _LIKELY]
    suspect = suspect[np.argsort(probability[suspect, y[suspect]])]
    plain = int(wrong.sum()) - len(suspect)
    right = f"out of fold the net has {percent(1 - float(wrong.mean()))} right"
    low = float(stats.binomtest(len(suspect), len(y)).proportion_ci().low)
    if wrong.mean() > 1 - _ABLE:
        return skipped(f"the net is not good enough to judge labels: {right}, which has to be {percent(_ABLE)}")
    if low > _MANY and plain > _PLAIN_ERRORS * len(suspect):
        return skipped(
            f"the net is not good enough to judge labels: {right}, and errs on {plain} rows without being sure"
        )
    return judged(
        False,
        low > _MANY,
        f"{len(suspect)} of {len(y)} rows ({percent(len(suspect) / len(y))}) look mislabelled; {right}{bench.of}",
        f"at most {percent(_MANY)}, beyond chance",
        "look at these rows, the first are the surest; where the labels are right, chance decides some of them, "
        "and more or better features would tell them apart",
        arrays.train.index[suspect],
    )


def suspects(probability_NC: np.ndarray, y_N: np.ndarray) -> np.ndarray:
    """Places whose label is probably another one."""
    classes = probability_NC.shape[1]
    own_N = probability_NC[np.arange(len(y_N)), y_N]
    usual_C = np.array([own_N[y_N == c].mean() if (y_N == c).any() else np.inf for c in range(classes)])
    sure_NC = probability_NC >= usual_C
    likeliest_N = np.where(sure_NC, probability_NC, -1).argmax(1)
    return np.flatnonzero(sure_NC.any(1) & (likeliest_N != y_N) & (own_N < _SURE))


def calibrated(log_probability_NC: np.ndarray, y_N: np.ndarray) -> np.ndarray:
    """Probabilities [N, C] of the classes, apart from a share of labels that are any class.

    Temperature (Guo et al. 2017, arXiv 1706.04599) and share are those under which these labels are likeliest. A
    temperature alone would take wrong labels for doubts of the net about every row.
    """
    rows, classes = np.arange(len(y_N)), log_probability_NC.shape[1]

    def loss(log_temperature_and_share: np.ndarray) -> float:
        log_temperature, share = log_temperature_and_share[0], expit(log_temperature_and_share[1])
        own_N = np.exp(log_softmax(log_probability_NC / np.exp(log_temperature), axis=1)[rows, y_N])
        return float(-np.log((1 - share) * own_N + share / classes).mean())

    runs = [minimize(loss, start, method="Nelder-Mead") for start in _STARTS]
    best = min(runs, key=lambda run: float(run.fun)).x
    return np.asarray(np.exp(log_softmax(log_probability_NC / np.exp(best[0]), axis=1)))


def _judged(arrays: Arrays, folds: int) -> Arrays | None:
    """The training and validation rows in folds, without classes of few rows; None where too few are left."""
    if len(arrays.train.y) + len(arrays.validation.y) < 2 * _FOLDS:
        return None
    count = np.bincount(np.concatenate([arrays.train.y, arrays.validation.y]))
    train, held = (part.at(np.flatnonzero(count[part.y] >= _FEWEST)) for part in (arrays.train, arrays.validation))
    if (count >= _FEWEST).sum() < 2:
        return None
    return cross_validated(replace(arrays, train=train, validation=held), folds, 0)


def _out_of_fold(bench: Bench, arrays: Arrays) -> np.ndarray | str:
    """Log-probabilities [N, C] of each row by the net that did not train on it, or why there are none."""
    states = bench.trained_folds(_RUN, arrays)
    failure = next((state.record.failure for state in states if state.record.failure), None)
    if failure is not None:
        return failure
    assert arrays.folds is not None
    found = np.full((len(arrays.train.y), bench.target.outputs), np.nan)
    for state in states:
        predicted = state.tensors["best.prediction"].double().numpy()
        found[arrays.folds == state.record.fold] = predicted
    return found if np.isfinite(found).all() else "a prediction is not finite"
