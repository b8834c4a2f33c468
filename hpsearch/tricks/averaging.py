"""Averages of a row's weights over its run, as rates at which an average moves to the weights of a step.

avg ← avg + rate (θ - avg) after each step; a rate of 1 is no average. All is in fractions of a trial's own run.
"""

from collections.abc import Callable, Mapping

import numpy as np

Rate = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def none(step_KS: np.ndarray, total_K1: np.ndarray, span_K1: np.ndarray) -> np.ndarray:
    """The weights as they are."""
    return np.ones_like(step_KS, dtype=np.float64)


def ema(step_KS: np.ndarray, total_K1: np.ndarray, span_K1: np.ndarray) -> np.ndarray:
    """Exponential moving average (Polyak & Juditsky 1992): weights of the last `average_span` of the run lead.

    The decay of a step is 1 - 1 / (span T); before so many steps are done it is the plain mean of all. Sensible
    spans are 0.02 to 0.3. Costs a tenth of a step and a second evaluation. Acts like a falling learning rate, so
    it pays most beside a constant one.
    """
    return np.asarray(np.maximum(1 / (step_KS + 1), np.minimum(1 / (span_K1 * total_K1), 1)))


def swa(step_KS: np.ndarray, total_K1: np.ndarray, span_K1: np.ndarray) -> np.ndarray:
    """Stochastic weight averaging: the plain mean over the last `average_span` of the run's steps.

    Finds flatter minima with a learning rate that stays high or cycles (Izmailov et al. 2018, arXiv 1803.05407);
    sensible spans are 0.1 to 0.5. Until then it is the weights as they are.
    """
    first_K1 = np.floor((1 - span_K1) * total_K1)
    return np.where(step_KS < first_K1, 1.0, 1 / (np.maximum(step_KS - first_K1, 0) + 1))


AVERAGES: dict[str, Rate] = {"none": none, "ema": ema, "swa": swa}


def average_rates(
    kinds: list[str], columns: Mapping[str, np.ndarray], step_KS: np.ndarray, total_K1: np.ndarray
) -> np.ndarray:
    """The rates of K rows after S steps, float64 [K, S]; `step` counts from 0, `average_span` is [K, 1]."""
    out_KS = np.empty(step_KS.shape)
    for kind in set(kinds):
        rows = [k for k, name in enumerate(kinds) if name == kind]
        out_KS[rows] = AVERAGES[kind](step_KS[rows], total_K1[rows], columns["average_span"][rows])
    return out_KS
