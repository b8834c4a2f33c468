"""The quantiles of ranges, by which structure is stratified."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from hpsearch.space import quantile

SHARES = st.floats(0, 1, exclude_max=True)
LAST = math.nextafter(1, 0)


@st.composite
def ranges(draw: st.DrawFn) -> BaseDistribution:
    log = draw(st.booleans())
    if draw(st.booleans()):
        low = draw(st.integers(1 if log else -(10**6), 10**6))
        step = 1 if log else draw(st.integers(1, 50))
        return IntDistribution(low, low + step * draw(st.integers(1, 1000)), log=log, step=step)
    low_f = draw(st.floats(1e-9, 1e6)) if log else draw(st.floats(-1e6, 1e6))
    high_f = draw(st.floats(low_f, 1e7, exclude_min=True))
    return FloatDistribution(low_f, high_f, log=log)


@settings(deadline=None, max_examples=300)
@given(ranges(), SHARES, SHARES)
@example(FloatDistribution(3e-3, 1e-1, log=True), 0.0, LAST)
@example(FloatDistribution(0.1, 0.3, step=0.1), 0.0, LAST)
def test_a_quantile_lies_within_the_bounds_and_rises_with_its_share(
    distribution: IntDistribution | FloatDistribution, p: float, q: float
) -> None:
    a, b = quantile(distribution, min(p, q)), quantile(distribution, max(p, q))
    assert distribution.low <= a <= b <= distribution.high


@settings(deadline=None)
@given(st.integers(-100, 100), st.integers(1, 9), st.integers(2, 40))
def test_the_values_of_an_integer_range_have_equal_shares(low: int, step: int, count: int) -> None:
    distribution = IntDistribution(low, low + step * (count - 1), step=step)
    assert [quantile(distribution, (i + 0.5) / count) for i in range(count)] == [
        low + step * i for i in range(count)
    ]


def test_the_values_of_a_range_with_a_step_have_equal_shares() -> None:
    distribution = FloatDistribution(0, 0.5, step=0.1)
    assert [quantile(distribution, (i + 0.5) / 6) for i in range(6)] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])


@settings(deadline=None)
@given(st.integers(1, 50), st.integers(1, 200))
def test_a_logarithmic_integer_has_the_share_of_its_rounding_interval(low: int, more: int) -> None:
    distribution = IntDistribution(low, low + more, log=True)

    def below(value: int) -> float:
        return math.log((value + 0.5) / (low - 0.5)) / math.log((low + more + 0.5) / (low - 0.5))

    for value in range(low, low + more):
        assert quantile(distribution, below(value) - 1e-9) == value
        assert quantile(distribution, below(value) + 1e-9) == value + 1


@settings(deadline=None)
@given(st.floats(1e-6, 1e3), st.floats(1.5, 1e6), SHARES)
def test_a_quantile_of_a_float_range_lies_at_its_share_of_the_scale(low: float, factor: float, q: float) -> None:
    high = low * factor
    assert quantile(FloatDistribution(low, high), q) == pytest.approx(low + q * (high - low))
    assert quantile(FloatDistribution(low, high, log=True), q) == pytest.approx(low * factor**q)
