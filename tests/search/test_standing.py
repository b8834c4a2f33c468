"""Which trials' rows are kept: brought up to date trial by trial, it is what a look at all of them gives."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.search import standing
from hpsearch.search.standing import Standing, kept, ranked

TRIALS = st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3]), st.integers(0, 40)), max_size=30)


def rows(trials: list[tuple[float, int]]) -> list[dict[str, Any]]:
    return [
        {
            "number": n, "state": "complete", "value": value,
            "outcome": {"scores": {"log_loss": size / 40}, "bytes": size},
        }
        for n, (value, size) in enumerate(trials)
    ]  # fmt: skip


@given(TRIALS, st.sampled_from(["minimize", "maximize"]), st.integers(0, 200), st.integers(0, 30))
def test_as_of_all_trials(trials: list[tuple[float, int]], direction: str, budget: int, known: int) -> None:
    every = rows(trials)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standing, "MOST", 7)
        found = Standing(every[:known], direction, budget)
        for row in every[known:]:
            assert found.kept([row]) == kept(every[: row["number"] + 1], direction, budget)
            found.add(row)
        assert found.kept() == kept(every, direction, budget)
    best = ranked(every, direction)
    assert found.best == (best[0]["value"] if best else None)
