"""Reports of a training function of the user's own: what counts, what is refused, and with which words."""

import contextlib
import itertools
import logging
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.data.dataset import Arrays, Part, Target
from hpsearch.errors import DiskFullError
from hpsearch.folder import Folder
from hpsearch.metrics import METRICS, Metric, Own
from hpsearch.pack import checkpoint
from hpsearch.pack.checkpoint import Record, RowState
from hpsearch.search.objective import TrialFailedError, run_objective

Y = np.array([0, 1, 1, 0, 1])
VALUES = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
RIGHT = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4], [0.4, 0.6]])  # all five are right
FOUR = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6], [0.4, 0.6]])  # four of five


class Function:
    """A training function as the search finds it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def load(self, where: str) -> Callable[..., Any]:
        return self.function


def arrays(metric: str) -> Arrays:
    task = "any" if metric not in METRICS else METRICS[metric].task
    values = task == "regression"
    target = Target("regression", (), 6.2, 5.5) if values else Target("classification", ("no", "yes"))
    part = Part(np.zeros((5, 1), np.float32), VALUES if values else Y, np.arange(5))
    return Arrays(part, part, target, metric)


def run(
    folder: Path,
    function: Callable[..., Any],
    metric: str = "accuracy",
    before: RowState | None = None,
    going_on: Callable[[RowState], bool] = lambda state: True,
) -> RowState:
    """One call of a training function; its test part is the validation part."""
    found, before = arrays(metric), before or RowState(Record(0, {}, own=True), {})
    log, reference = logging.getLogger("test.objective"), Function(function)
    return run_objective(
        reference,
        before,
        Folder(folder),
        found,
        found.validation.y,
        going_on,
        log,  # type: ignore[arg-type]
    )


def failure(folder: Path, function: Callable[..., Any], metric: str = "accuracy") -> str:
    state = run(folder, function, metric)
    assert state.record.ended
    assert state.record.failure is not None
    return state.record.failure


def reports(*pairs: tuple[Any, Any]) -> Callable[..., Any]:
    def function(params: Any, trial: Any) -> None:
        for step, value in pairs:
            trial.report(value=value, step=step)

    return function


@pytest.mark.parametrize(
    ("arguments", "keywords", "call"),
    [
        ((3, 0.9), {}, "trial.report(3, 0.9)"),
        ((0.9,), {"step": 3}, "trial.report(0.9, step=3)"),
        ((), {"epoch": 3, "value": 0.9}, "trial.report(value=0.9, epoch=3)"),
        ((), {"value": 0.9}, "trial.report(value=0.9)"),
        ((), {"step": 3}, "trial.report(step=3)"),
        ((), {}, "trial.report()"),
        ((), {"value": 0.9, "step": 3, "loss": 0.1}, "trial.report(value=0.9, step=3, loss=0.1)"),
    ],
)
def test_report_is_by_keyword_alone(
    arguments: tuple[Any, ...], keywords: dict[str, Any], call: str, tmp_path: Path
) -> None:
    said = failure(tmp_path, lambda params, trial: trial.report(*arguments, **keywords))
    assert "report takes value and step, both by keyword: trial.report(value=0.93, step=3)" in said
    assert f"got {call}" in said
    assert " of test_objective.py)" in said  # the user's own line


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [
        ("accuracy", 1.2, "step 1: accuracy lies between 0 and 1, got 1.2"),
        ("accuracy", 83, "got 83. If it is a percentage, report the share: 0.83"),
        ("accuracy", -0.1, "accuracy lies between 0 and 1"),
        ("auroc", 97.5, "report the share: 0.975"),
        ("log_loss", -1, "log_loss lies at or above 0, got -1. If it is the negative of the loss"),
        ("rmse", -0.5, "rmse lies at or above 0"),
        ("r2", 1.5, "r2 lies at or below 1"),
        ("accuracy", float("nan"), "accuracy became nan in step 1"),
        ("accuracy", np.float32("inf"), "accuracy became inf in step 1"),
        ("accuracy", "0.9", "step 1: accuracy must be a number, got '0.9' (str)"),
        ("accuracy", None, "must be a number, got None (NoneType)"),
        ("accuracy", True, "must be a number, got True (bool)"),
        ("accuracy", np.bool_(True), "must be a number"),
        ("accuracy", torch.tensor(True), "must be a number"),
        ("accuracy", 1j, "must be a number, got 1j (complex)"),
        ("accuracy", torch.tensor(1j), "must be a number"),
        ("accuracy", np.ma.masked, "got a masked value"),
        ("accuracy", torch.tensor([0.1, 0.2]), "got 2 values in one Tensor; report a single number"),
        ("accuracy", np.zeros((2, 2)), "got 4 values in one ndarray"),
        ("accuracy", np.zeros(0), "got 0 values in one ndarray"),
        ("accuracy", [0.9], "must be a number, got [0.9] (list)"),
        ("accuracy", np.timedelta64(0, "ns"), "must be a number"),
        ("rmse", 10**400, "rmse became inf in step 1"),
    ],
)
def test_a_value_that_is_none_is_refused(metric: str, value: Any, said: str, tmp_path: Path) -> None:
    assert said in failure(tmp_path, reports((1, value)), metric)


@pytest.mark.parametrize(
    "value",
    [
        0.5, np.float16(0.5), np.longdouble(0.5), np.array(0.5), np.array([0.5]), torch.tensor(0.5),
        torch.tensor([0.5], requires_grad=True), torch.tensor(0.5, dtype=torch.bfloat16), Fraction(1, 2),
        Decimal("0.5"),
    ],
    ids=lambda value: f"{type(value).__name__} {value}",
)  # fmt: skip
def test_every_single_number_is_a_value(value: Any, tmp_path: Path) -> None:
    assert run(tmp_path, reports((0, value))).record.best == {"accuracy": 0.5}


def test_rounding_beyond_a_bound_is_no_fault(tmp_path: Path) -> None:
    assert run(tmp_path, reports((1, np.float32(1.0000001)))).record.best == {"accuracy": 1.0}
    assert run(tmp_path, reports((1, -1e-9)), "log_loss").record.best == {"log_loss": 0.0}


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (((3, 0.5), (2, 0.6)), "step 2 goes back behind step 3: report each step once, in rising order"),
        (((3, 0.5), (3, 0.6)), "step 3 repeats step 3"),
        (((0, 0.5), (0, 0.6)), "step 0 repeats step 0"),
        (((-1, 0.5),), "step must be a whole number from 0, got -1"),
        (((1.5, 0.5),), "step must be a whole number from 0, got 1.5"),
        (((0.93, 3),), "got 0.93. Are value and step swapped? trial.report(value=0.93, step=3)"),
        ((("one", 0.5),), "step must be a whole number, got 'one' (str)"),
        (((True, 0.5),), "step must be a whole number, got True (bool)"),
        (((float("nan"), 0.5),), "step must be a whole number from 0, got nan"),
        (((10**30, 0.5),), "step must be a whole number from 0, got 1e+30"),
        (((torch.arange(2), 0.5),), "got 2 values in one Tensor"),
    ],
)
def test_a_step_that_is_none_or_goes_back_is_refused(pairs: Any, said: str, tmp_path: Path) -> None:
    assert said in failure(tmp_path, reports(*pairs))


@given(st.lists(st.integers(0, 20), min_size=1, max_size=8))
def test_steps_that_rise_are_taken_and_no_others(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int]
) -> None:
    state = run(tmp_path_factory.getbasetemp(), reports(*((step, 0.5) for step in steps)))
    rises = all(a < b for a, b in itertools.pairwise(steps))
    assert (state.record.failure is None) == rises
    assert not rises or [entry[0] for entry in state.record.curve] == steps


def test_a_refusal_that_is_swallowed_fails_the_trial(tmp_path: Path) -> None:
    heard = []

    def swallows(params: Any, trial: Any) -> float:
        for step, value in ((1, 0.5), (2, 7.0), (3, 0.9)):
            try:
                trial.report(value=value, step=step)
            except Exception as error:
                heard.append(str(error))
            if trial.should_stop():
                break
        return 0.9

    state = run(tmp_path, swallows)
    assert state.record.ended
    assert "step 2: accuracy lies between 0 and 1, got 7" in str(state.record.failure)
    assert len(heard) == 1  # should_stop ends the loop
    assert [entry[0] for entry in state.record.curve] == [1]


def test_after_a_swallowed_refusal_an_own_error_changes_nothing(tmp_path: Path) -> None:
    def swallows(params: Any, trial: Any) -> None:
        try:
            trial.save_predictions(RIGHT[:2], RIGHT)
        except Exception:
            raise KeyError("of its own") from None

    assert "validation must be [5, 2], got [2, 2]" in failure(tmp_path, swallows)


def test_a_full_disk_is_heard_through_a_catch_all(tmp_path: Path) -> None:
    def full(state: RowState) -> bool:
        raise DiskFullError("no room")

    def swallows(params: Any, trial: Any) -> None:
        with contextlib.suppress(Exception):
            trial.report(value=0.5, step=1)

    with pytest.raises(DiskFullError):
        run(tmp_path, swallows, going_on=full)


@pytest.mark.parametrize(
    ("pairs", "returned", "said"),
    [
        (
            ((1, 0.5), (2, 0.9)),
            0.95,
            "it returned 0.95, which it never reported as accuracy; the last one was 0.9",
        ),
        (((1, 0.5),), 83, "the returned value: accuracy lies between 0 and 1, got 83. If it is a percentage"),
        ((), 1.5, "the returned value: accuracy lies between 0 and 1"),
        ((), "good", "the returned value: accuracy must be a number, got 'good' (str)"),
        ((), {"accuracy": 0.9}, "the returned value: accuracy must be a number"),
        ((), float("nan"), "accuracy became nan in the returned value"),
        ((), None, "it reported no value and returned none"),
    ],
)
def test_a_returned_value_that_contradicts_is_refused(
    pairs: Any, returned: Any, said: str, tmp_path: Path
) -> None:
    def function(params: Any, trial: Any) -> Any:
        reports(*pairs)(params, trial)
        return returned

    assert said in failure(tmp_path, function)


@pytest.mark.parametrize(
    ("returned", "pairs"),
    [(0.9, [(1, 0.9), (2, 0.5)]), (np.float32(0.5), [(1, 0.9), (2, 0.5)]), (0.7, [])],
)
def test_a_returned_value_may_repeat_a_report(returned: Any, pairs: Any, tmp_path: Path) -> None:
    def function(params: Any, trial: Any) -> Any:
        reports(*pairs)(params, trial)
        return returned

    assert run(tmp_path, function).record.best == {"accuracy": 0.9 if pairs else 0.7}


def saves(value: float, prediction: Any, at: int = 1, last: int = 1, other: float = 0.0) -> Callable[..., Any]:
    """Reports `value` at step 1 and `other` after it; saves after step `at`."""

    def function(params: Any, trial: Any) -> None:
        for step in range(1, last + 1):
            trial.report(value=value if step == 1 else other, step=step)
            if step == at:
                trial.save_predictions(prediction, prediction)

    return function


def test_the_saved_predictions_score_the_best_value(tmp_path: Path) -> None:
    state = run(tmp_path, saves(1.0, RIGHT))
    assert state.record.failure is None
    assert state.record.best["log_loss"] == pytest.approx(-np.log(RIGHT[np.arange(5), Y]).mean())
    said = failure(tmp_path, saves(1.0, FOUR))
    assert "the best accuracy reported is 1 (step 1), but the predictions saved last score 0.8" in said
    assert "in the same order" in said


def test_predictions_of_another_step_than_the_best(tmp_path: Path) -> None:
    said = failure(tmp_path, saves(1.0, FOUR, at=3, last=3, other=0.8))
    assert "the best accuracy reported is 1 (step 1)" in said
    assert "saved last, after step 3, score 0.8" in said
    assert "call save_predictions whenever a step is the best so far" in said
    assert run(tmp_path, saves(1.0, RIGHT, at=3, last=3, other=0.8)).record.failure is None


@pytest.mark.parametrize(
    ("metric", "value", "prediction"),
    [
        ("rmse", 2.0, VALUES + 2), ("mae", 2.0, VALUES + 2), ("r2", 1.0, VALUES), ("auroc", 1.0, RIGHT),
        ("f1", 1.0, RIGHT), ("rmse", np.float32(2.0000002), VALUES.astype(np.float32) + 2),
        ("log_loss", 0.4151, RIGHT), ("accuracy", 1.0, torch.tensor(RIGHT, requires_grad=True)),
    ],
)  # fmt: skip
def test_each_metric_is_taken_again(metric: str, value: float, prediction: Any, tmp_path: Path) -> None:
    if metric == "log_loss":
        value = float(-np.log(RIGHT[np.arange(5), Y]).mean())
    assert run(tmp_path, saves(value, prediction), metric).record.failure is None
    wrong = float(value) * 0.99 + (0.01 if METRICS[metric].direction == "minimize" else 0)
    assert f"the best {metric} reported is" in failure(tmp_path, saves(wrong, prediction), metric)


def test_a_log_loss_of_impossible_classes_has_many_values(tmp_path: Path) -> None:
    from sklearn.metrics import log_loss

    sure = np.array([[1.0, 0.0], [0.0, 1.0], [0.3, 0.7], [0.0, 1.0], [0.4, 0.6]])  # the fourth is wrong and sure
    for floor in (1e-7, 1e-15, 1e-38):
        clipped = -np.log(np.maximum(sure[np.arange(5), Y], floor)).mean()
        assert run(tmp_path, saves(clipped, sure), "log_loss").record.failure is None
    assert run(tmp_path, saves(log_loss(Y, sure), sure), "log_loss").record.failure is None
    assert "but the predictions saved last score" in failure(tmp_path, saves(0.5, sure), "log_loss")


def test_a_word_of_the_functions_own_cannot_be_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METRICS, "profit", Metric(None, "any", "maximize"))
    assert run(tmp_path, saves(-70.0, RIGHT), "profit").record.best["profit"] == -70


def test_a_metric_of_the_users_own_is_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken_again.py").write_text(
        "def hits(prediction, target):\n    return int((prediction.argmax(1) == target).sum())\n"
        "def fails(prediction, target):\n    raise ValueError('as it was told')\n"
    )
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    for name in ("hits", "fails"):
        monkeypatch.setitem(METRICS, f"taken_again:{name}", METRICS["accuracy"])
        Own(f"taken_again:{name}", tmp_path, "maximize").register()
    assert run(tmp_path, saves(4.0, FOUR), "taken_again:hits").record.failure is None
    assert "reported is 5 (step 1)" in failure(tmp_path, saves(5.0, FOUR), "taken_again:hits")
    assert "cannot be computed from the saved predictions: ValueError: as it was told" in failure(
        tmp_path, saves(4.0, FOUR), "taken_again:fails"
    )


def resumed(folder: Path, first: Callable[..., Any], second: Callable[..., Any]) -> RowState:
    """A function that was stopped in its first call, whose row went over the disk, and was called again."""

    def stops(params: Any, trial: Any) -> None:
        first(params, trial)
        assert trial.should_stop()

    before = run(folder, stops, going_on=lambda state: False)
    assert not before.record.ended
    checkpoint.store(folder / "row.safetensors", [before], {})
    return run(folder, second, before=checkpoint.load(folder / "row.safetensors")[0])


def test_predictions_of_the_earlier_call_still_count(tmp_path: Path) -> None:
    state = resumed(tmp_path, saves(1.0, RIGHT, last=2, other=0.8), reports((3, 0.8)))
    assert state.record.failure is None
    assert (state.record.best["accuracy"], state.record.best_epoch) == (1.0, 1)
    assert set(state.tensors) == {"best.prediction", "test.prediction"}
    wrong = resumed(tmp_path, saves(1.0, FOUR, last=2, other=0.8), reports((3, 0.8)))
    assert "reported is 1 (step 1)" in str(wrong.record.failure)


def test_predictions_of_steps_trained_again_count_no_longer(tmp_path: Path) -> None:
    state = resumed(tmp_path, saves(1.0, RIGHT, last=2, other=0.8), reports((1, 0.6), (2, 0.7)))
    assert state.record.failure is None
    assert (state.record.best["accuracy"], state.tensors) == (0.7, {})


def test_a_resumed_function_may_go_back_once(tmp_path: Path) -> None:
    first = reports((1, 0.5), (2, 0.6), (3, 0.7))
    assert resumed(tmp_path, first, reports((2, 0.9), (3, 0.8))).record.best_epoch == 2
    again = resumed(tmp_path, first, reports((2, 0.9), (1, 0.8)))
    assert "step 1 goes back behind step 2" in str(again.record.failure)


def test_the_refusal_is_raised_in_the_users_line(tmp_path: Path) -> None:
    def function(params: Any, trial: Any) -> None:
        with pytest.raises(TrialFailedError, match="by keyword"):
            trial.report(1, 0.5)
        trial.report(value=0.5, step=1)  # raises the same again

    assert "by keyword" in failure(tmp_path, function)
