"""The checks of what a training function of the user's own reports, returns and saves."""

import math
from collections.abc import Iterable
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch.metrics import METRICS

_RIGHT_CALL = "trial.report(value=0.93, step=3)"
LEFT_OUT: Any = object()  # a keyword that a call does not name
_LARGEST_STEP = 2**53
_REL, _ABS = 1e-4, 1e-5  # float rounding, which float32 sums of many rows include
_LEAST_CLIP = 1e-7  # the largest floor of probabilities that libraries use in their log loss


class TrialFailedError(Exception):
    """A report, a returned value or saved predictions are no result; the message is the reason."""


def refuse_old_call(positional: tuple[Any, ...], given: dict[str, Any]) -> None:
    """Refuse a call of `report` that is not by the keywords value and step.

    Raises:
        TrialFailedError: with the call as it was made and the right one.
    """
    named = {name: value for name, value in given.items() if value is not LEFT_OUT}
    if not positional and named.keys() == {"value", "step"}:
        return
    call = ", ".join([*map(_shown, positional), *(f"{name}={_shown(value)}" for name, value in named.items())])
    raise TrialFailedError(
        f"report takes value and step, both by keyword: {_RIGHT_CALL}; got trial.report({call})"
    )


def metric_value(given: Any, metric: str, what: str) -> float:
    """Give a reported value as a float within the metric's bounds; `what` begins the messages.

    A value that float rounding has brought outside its bounds is moved to the bound.

    Raises:
        TrialFailedError: it is no finite number, or the metric cannot have this value.
    """
    value = _number(given, f"{what}: {metric} must be a number")
    if not math.isfinite(value):
        raise TrialFailedError(f"{metric} became {value} in {what}")
    low, high = METRICS[metric].bounds
    if low - _ABS <= value <= high + _ABS:
        return min(max(value, low), high)
    raise TrialFailedError(f"{what}: {metric} lies {_between(low, high)}, got {value:g}{_guess(value, low, high)}")


def step_number(given: Any, value: Any) -> int:
    """Give a reported step as a whole number from 0; `value` is what was reported with it.

    Raises:
        TrialFailedError: it is none.
    """
    step = _number(given, "step must be a whole number")
    if not math.isfinite(step) or step != int(step) or not 0 <= step <= _LARGEST_STEP:
        swapped = isinstance(value, int) and 0 < step < 1
        hint = f". Are value and step swapped? {_RIGHT_CALL}" if swapped else ""
        raise TrialFailedError(f"step must be a whole number from 0, got {step:g}{hint}")
    return int(step)


def refuse_earlier(step: int, last: int) -> None:
    """Refuse a step that does not come after the last one of the same call of the function.

    Raises:
        TrialFailedError: with both.
    """
    if step <= last:
        does = "repeats" if step == last else "goes back behind"
        raise TrialFailedError(f"step {step} {does} step {last}: report each step once, in rising order")


def refuse_contradiction(returned: float, reported: Iterable[float], metric: str) -> None:
    """Refuse a returned value that was never reported.

    Raises:
        TrialFailedError: with the value and the last one that was reported.
    """
    values = list(reported)
    if not any(math.isclose(returned, value, rel_tol=_REL, abs_tol=1e-12) for value in values):
        raise TrialFailedError(
            f"it returned {returned:g}, which it never reported as {metric}; the last one was {values[-1]:g}. "
            "Return nothing, or one of the reported values"
        )


def plain_array(given: Any, what: str) -> np.ndarray:
    """Give predictions as a float64 array of their own memory.

    Raises:
        TrialFailedError: they are no array of real numbers, or some are masked.
    """
    if isinstance(given, Tensor):
        given = given.detach().cpu().double().numpy()
    if np.ma.is_masked(given):
        raise TrialFailedError(f"save_predictions: {what} has masked values; predict every row")
    try:
        found = np.asarray(given)
    except ValueError:  # rows of several lengths
        found = np.empty(0, dtype=object)
    if found.dtype.kind not in "fiu":
        raise TrialFailedError(f"save_predictions: {what} must be an array of numbers, got {_kind(given, found)}")
    return np.array(found, dtype=np.float64)


def refuse_other_score(
    best: tuple[float, int], metric: str, prediction: Tensor, y: np.ndarray, saved_at: int | None, spread: float
) -> None:
    """Refuse a best value that the saved validation predictions do not score.

    `best` is the value and its step. `prediction` is log-probabilities [N, C] or values [N]; `saved_at` is the
    last step that was reported when they were saved. `spread` is the targets' standard deviation.

    Raises:
        TrialFailedError: with both numbers.
    """
    value, step = best
    truth = torch.tensor(y)
    try:
        scored = float(METRICS[metric].score(prediction.unsqueeze(0), truth)[0])
    except Exception as error:  # a metric of the user's own
        raise TrialFailedError(
            f"{metric} cannot be computed from the saved predictions: {type(error).__name__}: {error}"
        ) from error
    scale = spread if metric in ("rmse", "mae") else 1.0
    if math.isclose(value, scored, rel_tol=_REL, abs_tol=_ABS * scale):
        return
    if metric == "log_loss" and value >= _least_log_loss(prediction, truth) * (1 - _REL):
        return
    raise TrialFailedError(_mismatch(metric, value, step, scored, saved_at))


def _least_log_loss(prediction_NC: Tensor, truth_N: Tensor) -> float:
    """The least log loss of predictions that give a right class the probability 0; infinite for others.

    Libraries clip a probability of 0 at floors of their own, so the reported loss has no single right value.
    """
    right_N = prediction_NC.gather(-1, truth_N.unsqueeze(-1)).double()
    if float(right_N.min()) > math.log(np.finfo(np.float64).eps):
        return math.inf
    return -float(right_N.clamp(min=math.log(_LEAST_CLIP)).mean())


def _mismatch(metric: str, value: float, step: int, scored: float, saved_at: int | None) -> str:
    said = f"the best {metric} reported is {value:.6g} (step {step}), but the predictions saved last"
    if saved_at is not None and saved_at != step:
        return (
            f"{said}, after step {saved_at}, score {scored:.6g} on the study's validation part. Save those of the "
            "best step: call save_predictions whenever a step is the best so far"
        )
    return (
        f"{said} score {scored:.6g} on the study's validation part. Report {metric} of that whole part, as the "
        "study defines it, and save the predictions of the same rows in the same order"
    )


def _number(given: Any, rule: str) -> float:
    """A real number as a float; arrays and tensors of one element are numbers."""
    if np.ma.is_masked(given):
        raise TrialFailedError(f"{rule}, got a masked value")
    value, size = given, _size(given)
    if size is not None and size != 1:
        raise TrialFailedError(f"{rule}, got {size} values in one {type(given).__name__}; report a single number")
    if size == 1:
        value = given.item()
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real | Decimal) or _is_time(given):
        raise TrialFailedError(f"{rule}, got {_shown(given)} ({type(given).__name__})")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _size(given: Any) -> int | None:
    """The number of elements of an array, tensor or numpy scalar; None for anything else."""
    if isinstance(given, Tensor):
        return given.numel()
    size = getattr(given, "size", None)
    return int(size) if isinstance(size, Integral) and callable(getattr(given, "item", None)) else None


def _is_time(given: Any) -> bool:
    return getattr(getattr(given, "dtype", None), "kind", "") in ("m", "M")


def _between(low: float, high: float) -> str:
    if math.isinf(high):
        return f"at or above {low:g}"
    return f"at or below {high:g}" if math.isinf(low) else f"between {low:g} and {high:g}"


def _guess(value: float, low: float, high: float) -> str:
    """What a value outside its bounds probably is."""
    if high == 1 and 2 < value <= 100:
        return f". If it is a percentage, report the share: {value / 100:g}"
    if low == 0 and math.isinf(high) and value < 0:
        return ". If it is the negative of the loss, report the loss itself"
    return ""


def _kind(given: Any, found: np.ndarray) -> str:
    return str(found.dtype) if found.dtype != object else type(given).__name__


def _shown(value: Any) -> str:
    """A value in a message, on one line and short."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        return type(value).__name__
    return text if len(text) <= 60 else f"{text[:59]}…"
