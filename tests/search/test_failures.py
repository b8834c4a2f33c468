"""Errors of legs: by what they are known again, and how often a leg that fails is tried."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hpsearch.folder import Folder
from hpsearch.search.failures import line_of, signature
from hpsearch.search.messages import Failure
from hpsearch.search.packing import Leg, Plan
from hpsearch.search.recover import Found


def caught(function: Callable[[], Any]) -> BaseException:
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("it raises nothing")


def raises(error: Exception) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


class ShyError(Exception):
    def __str__(self) -> str:
        raise ValueError("not today")


def test_an_error_that_recurs_is_known_again() -> None:
    def fails(word: str, kind: type[Exception] = ValueError) -> str | None:
        return signature(caught(lambda: (lambda: raises(kind(word)))()()))

    assert fails("at 0x7f01, in step 3") == fails("at 0xab3c, in step 12")
    assert fails("a") != fails("b")
    assert fails("a") != fails("a", KeyError)
    assert fails("a") != signature(caught(raises(ValueError("a"))))  # another traceback
    assert fails("CUDA error: an ECC error", RuntimeError) is None  # the machine may be at fault


def test_an_error_is_a_line_that_names_its_place() -> None:
    line = line_of(caught(raises(ValueError("in two\nlines"))))
    assert line.startswith("ValueError: in two lines (")
    assert "test_failures.py:" in line
    assert "ShyError: its message cannot be shown (" in line_of(caught(raises(ShyError())))
    assert signature(caught(raises(ShyError()))) == signature(caught(raises(ShyError())))


def search(
    folder: Path, legs: tuple[Leg, ...], fails: Callable[[int, int], Failure | None]
) -> tuple[Counter[int], set[int], list[str]]:
    """Drives a searcher without Ray; `fails` gives the failure of a trial's nth try. Tries, given up, messages."""
    from hpsearch.search.searcher import Legs

    plan, tries, failed, told = Plan(legs), Counter[int](), set[int](), list[str]()

    def ledger(method: str, *arguments: Any) -> None:
        if method == "fail":
            failed.update(arguments[1])

    job: Any = SimpleNamespace(
        folder=Folder(folder), params=[{} for _ in plan.trials], objective=None, structural=(), workers=1, cpus=1,
        hang_s=None, timeout_s=None,
    )  # fmt: skip
    searcher = Legs(job, Found(plan, 99, set(plan.trials), 0), ledger, lambda: 1, 1, told.append)
    for name in map(str, range(200)):
        config = searcher.suggest(name)
        if not isinstance(config, dict):
            break
        trials = config["leg"].trials
        tries.update(trials)
        failures = [found for trial in trials if (found := fails(trial, tries[trial]))]
        searcher.on_trial_complete(name, {"failure": failures[0]} if failures else {})
    assert searcher.error is None
    return tries, failed, told


def leg(*trials: int) -> Leg:
    return Leg(0, trials, "loop", 1, 1.0, "why")


def same(trial: int, attempt: int) -> Failure:
    return Failure("error", "ValueError: as before", "one")


@pytest.mark.parametrize(
    ("failure", "tries"),
    [
        (same, 2),
        (lambda trial, attempt: Failure("error", "words", f"number {attempt}"), 3),
        (lambda trial, attempt: Failure("error", "words", None), 3),
        (lambda trial, attempt: Failure("death", "the worker died"), 3),
        (lambda trial, attempt: Failure("error", "words", "one" if attempt % 2 else "two"), 3),
    ],
)
def test_the_same_error_is_not_tried_a_third_time(
    failure: Callable[[int, int], Failure], tries: int, tmp_path: Path
) -> None:
    found, failed, told = search(tmp_path, (leg(0),), failure)
    assert (found[0], failed) == (tries, {0})
    assert told[-1].endswith("its trial 0 is given up")
    assert ("(2 of 3, the same error again)" in told[-1]) == (tries == 2)


def test_an_error_that_goes_away_costs_nothing(tmp_path: Path) -> None:
    found, failed, _ = search(tmp_path, (leg(0),), lambda trial, attempt: same(0, 1) if attempt == 1 else None)
    assert (found[0], failed) == (2, set())


def test_the_trial_at_fault_is_found_in_its_pack(tmp_path: Path) -> None:
    found, failed, told = search(
        tmp_path, (leg(*range(8)),), lambda trial, attempt: same(trial, attempt) if trial == 5 else None
    )
    assert failed == {5}
    assert found[5] == 2 + 3  # twice with all, then once in each half that it is in
    assert sum("failed" in line for line in told) == 5
    assert max(found[trial] for trial in range(4)) == 3
