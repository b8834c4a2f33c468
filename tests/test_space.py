"""Drawing: which values, how often, under which conditions, and always the same."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from scipy import stats

from hpsearch.space import Parameter, Space, draw, exists, ordered
from hpsearch.study import parse_study
from hpsearch.validate import check_names

MANY = 1500


def values(distribution: BaseDistribution, seed: int = 3) -> list[Any]:
    space = Space(seed, 1, (Parameter("p", distribution),))
    return [draw(space, number)["p"] for number in range(MANY)]


def study_space(params: dict[str, Any], seed: int = 0, **search: Any) -> Space:
    raw = {"name": "a", "seed": seed, "data": {"source": "sklearn:digits"}, "params": params, "search": search}
    return check_names(parse_study(raw, "s.yaml"), "s.yaml")


@pytest.mark.parametrize(
    ("distribution", "scale"),
    [
        (FloatDistribution(2, 5), lambda v: (v - 2) / 3),
        (FloatDistribution(1e-5, 1e-1, log=True), lambda v: np.log(v / 1e-5) / np.log(1e4)),
    ],
)
def test_a_range_is_uniform_on_its_scale(distribution: BaseDistribution, scale: Callable[[Any], Any]) -> None:
    assert stats.kstest(scale(np.array(values(distribution))), "uniform").pvalue > 1e-3


def log_share(value: int) -> float:
    return math.log((value + 0.5) / (value - 0.5)) / math.log(12.5 / 0.5)


@pytest.mark.parametrize(
    ("distribution", "shares"),
    [
        (IntDistribution(1, 6), dict.fromkeys(range(1, 7), 1 / 6)),
        (IntDistribution(10, 30, step=10), dict.fromkeys((10, 20, 30), 1 / 3)),
        (IntDistribution(1, 12, log=True), {value: log_share(value) for value in range(1, 13)}),
        (FloatDistribution(0, 1, step=0.25), dict.fromkeys((0, 0.25, 0.5, 0.75, 1), 1 / 5)),
        (CategoricalDistribution(["a", "b", "c"]), dict.fromkeys("abc", 1 / 3)),
    ],
)
def test_each_value_comes_as_often_as_it_should(distribution: BaseDistribution, shares: dict[Any, float]) -> None:
    drawn = values(distribution)
    assert set(drawn) <= set(shares)
    assert stats.chisquare([drawn.count(v) for v in shares], [s * MANY for s in shares.values()]).pvalue > 1e-3


@settings(deadline=None, max_examples=100)
@given(st.floats(1e-6, 1e3), st.floats(1e-6, 1e3), st.booleans(), st.integers(1, 500), st.integers(1, 500))
def test_a_draw_lies_within_its_range(a: float, b: float, log: bool, c: int, d: int) -> None:
    lr, epochs = ({"low": low, "high": low + more, "log": log} for low, more in ((a, b), (c, d)))
    space = study_space({"lr": lr, "epochs": epochs, "depth": epochs})
    for params in (draw(space, number) for number in range(4)):
        assert lr["low"] <= params["lr"] <= lr["high"]
        assert epochs["low"] <= params["epochs"] <= epochs["high"]
        assert epochs["low"] <= params["depth"] <= epochs["high"]
        assert (type(params["lr"]), type(params["epochs"]), type(params["depth"])) == (float, int, int)


def test_parameters_and_trials_and_seeds_are_drawn_independently() -> None:
    dropouts = {"dropout": {"low": 0, "high": 0.9}, "weight_decay": {"low": 0, "high": 0.9}}
    a, b = (study_space(dropouts, seed) for seed in (0, 1))
    rows = [draw(a, number) for number in range(MANY)]
    first = [row["dropout"] for row in rows]
    for other in (
        [row["weight_decay"] for row in rows], first[1:] + first[:1], [draw(b, n)["dropout"] for n in range(MANY)]
    ):  # fmt: skip
        assert stats.spearmanr(first, other).pvalue > 1e-3


LETTERS = "abcde"


@st.composite
def conditional(draw_from: st.DrawFn) -> list[Parameter]:
    """Five choices of three; each may depend on those before it; in any order."""
    made = []
    for place, name in enumerate(LETTERS):
        others = draw_from(st.lists(st.sampled_from(LETTERS[:place]), unique=True, max_size=2)) if place else []
        accepted = st.lists(st.integers(0, 2), min_size=1, unique=True).map(tuple)
        when = tuple((other, draw_from(accepted)) for other in others)
        made.append(Parameter(name, CategoricalDistribution([0, 1, 2]), structural=name == "a", when=when))
    return draw_from(st.permutations(made))


@settings(deadline=None, max_examples=60)
@given(conditional(), st.integers(0, 99))
def test_a_parameter_exists_exactly_when_all_its_conditions_hold(made: list[Parameter], seed: int) -> None:
    space = Space(seed, 4, ordered(made))
    for number in range(6):
        params = draw(space, number)
        for p in made:
            assert (p.name in params) == all(params.get(other) in accepted for other, accepted in p.when)
            assert (p.name in params) == exists(p, params)
        assert space.distributions(params).keys() == params.keys()


@settings(deadline=None, max_examples=30)
@given(conditional(), st.sampled_from(LETTERS))
def test_a_parameter_that_is_removed_leaves_the_other_draws_as_they_were(made: list[Parameter], gone: str) -> None:
    free = [Parameter(p.name, p.distribution, structural=p.structural) for p in made]
    whole, less = Space(7, 4, tuple(free)), Space(7, 4, tuple(p for p in free if p.name != gone))
    for number in range(6):
        before = draw(whole, number)
        before.pop(gone)
        assert draw(less, number) == before


PARAMS: dict[str, Any] = {
    "width": [16, 32, 64], "depth": {"low": 1, "high": 8}, "norm": ["none", "batch"],
    "lr": {"low": 1e-4, "high": 1, "log": True}, "optimizer": ["adam", "sgd"],
    "momentum": {"low": 0, "high": 0.9, "when": {"optimizer": "sgd"}},
}  # fmt: skip


def test_a_longer_study_begins_with_the_same_draws() -> None:
    short, long = (study_space(PARAMS, trials=trials) for trials in (10, 1000))
    shuffled = study_space(dict(reversed(PARAMS.items())))
    for number in range(10):
        assert draw(short, number) == draw(long, number) == draw(shuffled, number)


@pytest.mark.parametrize("block", [1, 4])
def test_structure_is_drawn_once_a_block_and_each_run_of_blocks_has_each_choice_once(block: int) -> None:
    space = study_space(PARAMS, block=block)
    rows = [draw(space, number) for number in range(24 * block)]
    for name, strata in {"width": 3, "norm": 2, "depth": 4}.items():
        column = [row[name] if name != "depth" else (row[name] - 1) // 2 for row in rows]
        blocks = [set(column[at : at + block]) for at in range(0, len(column), block)]
        assert all(len(part) == 1 for part in blocks)
        runs = [set().union(*blocks[at : at + strata]) for at in range(0, 24, strata)]
        assert all(len(run) == strata for run in runs)
    assert len({row["lr"] for row in rows}) == len(rows)
