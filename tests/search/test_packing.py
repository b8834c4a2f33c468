"""The plan: which trials form packs."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.errors import UserError
from hpsearch.pack.probe import Probe
from hpsearch.search.packing import Leg, Plan, by_shape, pack, read


def probe(rows: int, row_ms: float = 1.0) -> Probe:
    return Probe("vmap", rows, row_ms, "vmap is the faster", {})


@given(
    sizes=st.lists(st.integers(1, 70), min_size=1, max_size=8),
    rows=st.integers(1, 64),
    workers=st.integers(1, 8),
    cpus=st.integers(1, 16),
)
def test_every_trial_is_in_exactly_one_pack_of_its_shape(
    sizes: list[int], rows: int, workers: int, cpus: int
) -> None:
    groups: dict[str, list[int]] = {}
    start = 0
    for shape, size in enumerate(sizes):
        groups[str(shape)] = list(range(start, start + size))
        start += size
    legs = pack(groups, {shape: probe(rows, 1.0 + i) for i, shape in enumerate(groups)}, workers, cpus)
    packed = [trial for leg in legs for trial in leg.trials]
    assert sorted(packed) == list(range(start))
    for leg in legs:
        assert 0 < len(leg.trials) <= rows
        assert any(set(leg.trials) <= set(trials) for trials in groups.values())
    assert [leg.leg for leg in legs] == list(range(len(legs)))
    assert all(leg.threads >= 1 for leg in legs)


def test_one_large_pack_is_cut_so_that_both_workers_have_work() -> None:
    legs = pack({"a": range(64)}, {"a": probe(64)}, workers=2, cpus=2)
    assert len(legs) >= 2
    assert max(len(leg.trials) for leg in legs) <= 32


def test_a_single_net_gets_all_threads() -> None:
    (leg,) = pack({"a": [0]}, {"a": probe(1)}, workers=4, cpus=4)
    assert leg.threads == 4


def test_trials_of_one_shape_differ_only_in_columns() -> None:
    params = {0: {"width": 8, "lr": 0.1}, 1: {"width": 8, "lr": 0.2}, 2: {"width": 16, "lr": 0.1}}
    assert by_shape(params, ["width"]) == {"width 8": [0, 1], "width 16": [2]}


def test_a_plan_comes_back_from_its_file(tmp_path: Path) -> None:
    plan = Plan((Leg(0, (0, 1, 2), "vmap", 1, 0.5, "why"), Leg(1, (3,), "loop", 2, 1.5, "one row")))
    plan.write(tmp_path / "plan.json")
    assert read(tmp_path / "plan.json") == plan


def test_a_split_leg_is_replaced_by_its_halves() -> None:
    leg = Leg(0, (4, 5, 6), "vmap", 1, 0.5, "why")
    plan = Plan((leg, Leg(1, (7,), "vmap", 1, 0.5, "why")))
    halves = plan.halves(leg, "why")
    assert [half.trials for half in halves] == [(4, 5), (6,)]
    assert [found.leg for found in plan.extended(halves).latest()] == [1, 2, 3]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"version": 1}', '{"version": 9, "legs": []}', '{"version": 2, "legs": [{"leg": 0}]}']
)
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(UserError, match=r"plan\.json: is "):
        read(tmp_path / "plan.json")


def test_with_a_timeout_packs_are_as_small_as_it_needs_and_come_in_the_trials_order() -> None:
    groups = {"large": range(1, 64, 2), "small": range(0, 64, 2)}
    probes = {"large": probe(64), "small": probe(64)}
    legs = pack(groups, probes, workers=2, cpus=2, most={"large": 4, "small": 16})
    sizes = {len(leg.trials) for leg in legs if leg.trials[0] % 2 == 1}
    assert max(sizes) <= 4
    assert max(len(leg.trials) for leg in legs) <= 16
    assert [leg.trials[0] for leg in legs] == sorted(leg.trials[0] for leg in legs)
    assert sorted(trial for leg in legs for trial in leg.trials) == list(range(64))
