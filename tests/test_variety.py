"""Trials that repeat the settings of others are told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.space import Space, draw
from hpsearch.study import parse_study
from hpsearch.validate import check_names
from hpsearch.variety import repeats


def space(params: dict[str, Any], **search: Any) -> Space:
    raw = {"name": "a", "data": {"source": "sklearn:digits"}, "params": params, "search": search}
    return check_names(parse_study(raw, "s.yaml"), "s.yaml")


@pytest.mark.parametrize(
    ("params", "search", "told"),
    [
        ({"lr": [0.1, 0.2]}, {}, "params: 12 trials are 2 distinct settings; the others repeat them with other"),
        ({"lr": 0.1}, {}, "12 trials are 1 distinct setting;"),
        ({}, {}, "12 trials are 1 distinct setting;"),
        ({"width": {"low": 8, "high": 9999}}, {"block": 6}, "12 trials are 2 distinct settings"),  # once a block
        ({"dropout": {"low": 0, "high": 0.2, "step": 0.1}}, {}, "12 trials are 3 distinct settings"),
        (
            {"optimizer": ["adam", "sgd"], "momentum": {"value": 0.9, "when": {"optimizer": "sgd"}}}, {},
            "12 trials are 2 distinct settings",
        ),
        (
            {"lr": {"low": 0.1, "high": 0.2}}, {"enqueue": [{"lr": 0.1}, {"lr": 0.1}]},
            "12 trials are 11 distinct settings",
        ),
    ],
)  # fmt: skip
def test_trials_that_repeat_others_are_counted(params: dict[str, Any], search: dict[str, Any], told: str) -> None:
    assert told in str(repeats(space(params, **search), 12))


@pytest.mark.parametrize(
    "params",
    [{"lr": {"low": 1e-3, "high": 1e-2}}, {"lr": {"low": 1e-3, "high": 1e-2, "log": True}, "width": [8, 16]}],
)
def test_ranges_of_endlessly_many_values_repeat_nothing(params: dict[str, Any]) -> None:
    assert repeats(space(params), 12) is None
    assert repeats(space(params), 10**9) is None  # without drawing them all


@given(st.integers(1, 40), st.integers(1, 30))
def test_it_is_told_exactly_where_a_setting_comes_twice(trials: int, values: int) -> None:
    given = space({"epochs": {"low": 1, "high": values + 1}})
    drawn = [draw(given, number)["epochs"] for number in range(trials)]
    told = repeats(given, trials)
    assert (told is None) == (len(set(drawn)) == trials)
    assert told is None or f" {len(set(drawn))} distinct setting" in told
