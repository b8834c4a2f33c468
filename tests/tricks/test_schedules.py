"""Learning rates against closed formulas, as fractions of each row's own run."""

import math
import warnings

import numpy as np
import pytest
import torch

from hpsearch.tricks.schedules import SCHEDULES, rates


def one_cycle(progress, cycles):
    if progress < 0.3:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * progress / 0.3)) / 2
    return (1 + math.cos(math.pi * (progress - 0.3) / 0.7)) / 2


FORMULAS = {
    "constant": lambda progress, cycles: 1.0,
    "one_cycle": one_cycle,
    "step": lambda progress, cycles: 0.1 ** (progress >= 1 / 3) * 0.1 ** (progress >= 2 / 3),
    "cosine": lambda progress, cycles: (1 + math.cos(math.pi * progress)) / 2,
    "cyclic": lambda progress, cycles: (1 + math.cos(math.pi * (progress * cycles % 1))) / 2,
}


def of(kind, total, steps=None, **changes):
    """One row's rates, at all its steps when not told."""
    columns = {
        "lr": 0.1,
        "lr_min": 0.0,
        "begins": 0.0,
        "warmup": 0.0,
        "cycles": 1,
        "lr_drops": 2,
        "lr_decay": 0.1,
        **changes,
    }
    step = np.arange(total) if steps is None else np.array(steps)
    one = {name: np.array([[float(value)]]) for name, value in columns.items()}
    return rates([kind], one, step[None], np.array([[total]]))[0]


def test_every_schedule_has_its_formula_here():
    assert FORMULAS.keys() == SCHEDULES.keys()


@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize(
    ("warmup", "cycles", "low"), [(0.0, 1, 0.0), (0.1, 3, 0.01), (0.33, 2, 0.02), (0.9, 5, 0.0)]
)
def test_a_schedule_follows_its_closed_formula(kind, warmup, cycles, low):
    total = 60
    warm = round(warmup * total)
    expected = [
        (low + (0.1 - low) * FORMULAS[kind](0, cycles)) * (step + 1) / warm
        if step < warm
        else low + (0.1 - low) * FORMULAS[kind]((step - warm) / (total - warm), cycles)
        for step in range(total)
    ]
    found = of(kind, total, warmup=warmup, cycles=cycles, lr_min=low)
    assert np.allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", SCHEDULES)
def test_a_schedule_that_begins_late_is_the_whole_one_over_what_is_left(kind):
    late = of(kind, 90, steps=range(60, 90), begins=60 / 90, cycles=2)
    assert np.allclose(late, of(kind, 30, cycles=2), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize("warmup", [0.0, 0.25, 0.999])
@pytest.mark.parametrize("total", [1, 2, 7, 500])
def test_rates_are_positive_and_never_above_lr(kind, warmup, total):
    found = of(kind, total, warmup=warmup, cycles=3)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert found.max() <= 0.1 * (1 + 1e-12)


@pytest.mark.parametrize("kind", [kind for kind in SCHEDULES if kind != "one_cycle"])
def test_without_warm_up_a_run_starts_at_lr(kind):
    assert of(kind, 50, [0], lr_min=0.03)[0] == pytest.approx(0.1)


@pytest.mark.parametrize("kind", SCHEDULES)
def test_the_warm_up_rises_in_a_line_to_lr(kind):
    found, first = of(kind, 50, warmup=0.2), 0.1 * FORMULAS[kind](0, 1)
    assert np.allclose(found[:10], first * np.arange(1, 11) / 10)
    assert found[10] == pytest.approx(first)


@pytest.mark.parametrize("kind", ["cosine", "cyclic"])
def test_the_end_of_the_run_comes_down_to_lr_min(kind):
    end = of(kind, 1000, lr_min=0.01, cycles=2, warmup=0.1)[-1]
    assert 0.01 < end < 0.01 + 1e-4


@pytest.mark.parametrize("cycles", range(1, 12))
@pytest.mark.parametrize("length", [1, 3, 7, 10, 49])
def test_each_cycle_restarts_at_lr(cycles, length):
    total = cycles * length
    found = of("cyclic", total, cycles=cycles)
    assert np.allclose(found[::length], 0.1)
    assert np.allclose(found.reshape(cycles, length), found[:length])


def test_one_cycle_is_a_cosine():
    assert np.allclose(of("cyclic", 40, cycles=1), of("cosine", 40))


@pytest.mark.parametrize("kind", SCHEDULES)
def test_a_schedule_is_a_fraction_of_the_rows_own_run(kind):
    short, long = of(kind, 30, cycles=3), of(kind, 90, cycles=3)
    assert np.allclose(short, long[::3])


@pytest.mark.parametrize("kind", SCHEDULES)
def test_an_lr_min_above_lr_leaves_lr(kind):
    assert np.allclose(of(kind, 20, lr_min=0.5), 0.1)


def test_rows_of_different_kinds_and_lengths_do_not_mix():
    kinds = [*SCHEDULES, *SCHEDULES]
    n = len(kinds)
    columns = {
        "lr": np.linspace(0.1, 0.6, n)[:, None], "lr_min": np.linspace(0, 0.05, n)[:, None],
        "begins": np.zeros((n, 1)),
        "warmup": np.linspace(0, 0.2, n)[:, None], "cycles": np.arange(1.0, n + 1)[:, None],
        "lr_drops": np.arange(1.0, n + 1)[:, None], "lr_decay": np.linspace(0.1, 0.9, n)[:, None],
    }  # fmt: skip
    total, step = np.arange(20, 20 + 10 * n, 10)[:, None], np.arange(20)[None] + np.arange(n)[:, None]
    together = rates(kinds, columns, step, total)
    for k, kind in enumerate(kinds):
        own = {name: column[k : k + 1] for name, column in columns.items()}
        assert np.array_equal(together[k], rates([kind], own, step[k : k + 1], total[k : k + 1])[0])


def test_one_cycle_is_torchs():
    """torch's turns are a step early, so it is held against a long run."""
    total = 100_000
    optimizer = torch.optim.SGD([torch.zeros(1)], 0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=total, cycle_momentum=False)
    found = of("one_cycle", total, lr_min=0.0)
    for step in range(0, total, 997):
        theirs.last_epoch = step
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert found[step] == pytest.approx(theirs.get_lr()[0], abs=1e-5)


def test_a_step_schedule_is_torchs():
    total = 60
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], 0.1)
    theirs = torch.optim.lr_scheduler.StepLR(optimizer, total // 4, gamma=0.5)
    rates = []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert np.allclose(of("step", total, lr_drops=3, lr_decay=0.5), rates)
