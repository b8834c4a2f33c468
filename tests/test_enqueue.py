"""Known-good parameters run first, and nobody takes them for draws."""

from typing import Any

import pytest

from hpsearch.errors import UserError
from hpsearch.space import Space, draw, drawn_and_fixed
from hpsearch.study import parse_study
from hpsearch.validate import check_names

PARAMS = {
    "lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "width": [16, 32],
    "optimizer": ["adam", "sgd"],
    "momentum": {"low": 0.5, "high": 0.9},
}


def space(*enqueue: dict[str, Any], trials: int = 8) -> Space:
    raw = {
        "name": "s", "data": {"source": "x.csv"}, "params": PARAMS,
        "search": {"trials": trials, "block": 4, "enqueue": list(enqueue)},
    }  # fmt: skip
    return check_names(parse_study(raw, "s.yaml"), "s.yaml")


def test_the_first_trials_are_those_and_the_others_are_drawn_as_ever() -> None:
    known = [{"lr": 0.5, "width": 64, "optimizer": "sgd", "momentum": 0.99}, {"lr": 0.003}]
    plain, with_them = space(), space(*known)
    first, second, *rest = [draw(with_them, number) for number in range(8)]
    assert known[0].items() <= first.items()  # outside of the ranges too
    assert second["lr"] == 0.003
    assert {k: v for k, v in second.items() if k != "lr"} == {k: v for k, v in draw(plain, 1).items() if k != "lr"}
    assert rest == [draw(plain, number) for number in range(2, 8)]


def test_their_values_are_given_and_none_is_drawn() -> None:
    with_them = space({"lr": 0.003})
    ranges, fixed = drawn_and_fixed(with_them, draw(with_them, 0), 0)
    assert ranges == {}
    assert fixed.keys() >= {"lr", "width", "optimizer"}
    ranges, fixed = drawn_and_fixed(with_them, draw(with_them, 1), 1)
    assert ranges.keys() >= {"lr", "width", "optimizer"}
    assert fixed == {}


@pytest.mark.parametrize(
    ("enqueue", "said"),
    [
        ([{"depth": 2}], "search.enqueue.0.depth: the study has no parameter 'depth'; choose from lr, momentum"),
        ([{}, {"lr": -1}], "search.enqueue.1.lr: must be above 0"),
        ([{"optimizer": "adam", "momentum": 0.5}], "search.enqueue.0.momentum: does not act beside the others"),
        ([{}] * 9, "search.enqueue: has 9 trials, and the study 8"),
    ],
)
def test_one_that_cannot_be_is_refused(enqueue: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(UserError) as caught:
        space(*enqueue)
    assert said in str(caught.value)
