"""Temperature scaling: one number makes probabilities as sure as they are right.

Guo et al. 2017, "On Calibration of Modern Neural Networks". Classes keep their order, so hits stay hits.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from hpsearch.squeeze.library import combine

_FARTHEST = np.log(10.0)  # of a temperature from 1, either way
_PRIOR = 0.25  # spread of its logarithm: with few rows it stays near 1


def temperature(logp_NC: np.ndarray, y_N: np.ndarray) -> float:
    """The temperature that makes these log-probabilities most probable, under a normal prior of its logarithm.

    As in Platt's scaling (1999) the rows are not taken for all that there is: one more is counted, of any class.
    Where none of them is wrong, nothing else would hold probabilities back from 1.
    """
    logp = logp_NC.astype(np.float64)
    rows = np.arange(len(y_N))

    def loss(log_t: float) -> float:
        scaled = log_softmax(logp / np.exp(log_t), axis=-1)
        any_class = scaled.mean()
        return float(-scaled[rows, y_N].sum() - any_class + 0.5 * (log_t / _PRIOR) ** 2)

    found = minimize_scalar(loss, bounds=(-_FARTHEST, _FARTHEST), method="bounded")
    return float(np.exp(found.x))


def scaled(logp_NC: np.ndarray, temperature: float) -> np.ndarray:
    """Log-probabilities [N, C] float32 at this temperature: above 1 less sure, below 1 surer."""
    return np.asarray(log_softmax(logp_NC.astype(np.float64) / temperature, axis=-1), dtype=np.float32)


def together(
    predictions: Sequence[np.ndarray], weights: Sequence[float], temperature: float, task: str
) -> np.ndarray:
    """What members predict together: calibrated log-probabilities [N, C], or values [N], which need none."""
    mean = combine(predictions, weights, task)
    return mean if temperature == 1 or task == "regression" else scaled(mean, temperature)
