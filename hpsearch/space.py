"""draw(space, n): trial n's params are a function of (seed, n) alone.

Every parameter has its own random stream, keyed by (seed, trial or block, name) and drawn through Optuna's
RandomSampler. So any number of workers, any number of resumes and a longer study give the same list, and a
parameter that is added or removed leaves the draws of the others as they were.

Structural parameters are drawn once a block of trials (a split-plot design: structure is the whole-plot
factor and the block its unit), stratified: each run of as many blocks as there are choices has each choice
once, in a seeded order.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from hpsearch.keyed import key, permutations, uniforms

_STRATA = 4  # of a structural range

Params = dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    """One hyperparameter. `when` holds (other parameter, accepted values); all must hold for this to exist.

    `listed`: the study names it, so it is a column of `trials.csv`. A parameter with no distribution has the one
    value `fixed`. Where it does not exist, training reads `default`.
    """

    name: str
    distribution: BaseDistribution | None
    fixed: Any = None
    structural: bool = False
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    listed: bool = True
    default: Any = None

    @property
    def bounds(self) -> tuple[Any, Any]:
        """The smallest and the largest value of a parameter of numbers."""
        if isinstance(self.distribution, CategoricalDistribution):
            values = [value for value in self.distribution.choices if isinstance(value, int | float)]
            return min(values), max(values)
        if isinstance(self.distribution, IntDistribution | FloatDistribution):
            return self.distribution.low, self.distribution.high
        return self.fixed, self.fixed


@dataclass(frozen=True)
class Space:
    """Parameters in an order in which each follows those that its condition names."""

    seed: int
    block: int
    parameters: tuple[Parameter, ...]
    enqueued: tuple[Params, ...] = ()  # values of the first trials, in place of their draws

    def listed(self) -> list[str]:
        return [p.name for p in self.parameters if p.listed]

    def structural(self) -> tuple[str, ...]:
        """The parameters whose values decide a trial's shape."""
        return tuple(p.name for p in self.parameters if p.structural)

    def complete(self, params: Params) -> Params:
        """Params with the defaults of those whose conditions do not hold: what training reads."""
        return {p.name: params.get(p.name, p.default) for p in self.parameters}

    def __getitem__(self, name: str) -> Parameter:
        return next(p for p in self.parameters if p.name == name)

    def choices(self, name: str) -> list[Any]:
        """The values of a parameter of words, in their order."""
        parameter = self[name]
        fixed = parameter.default if parameter.fixed is None else parameter.fixed
        return list(getattr(parameter.distribution, "choices", [fixed]))

    def highest(self, name: str) -> Any:
        """The largest value that any trial may have, enqueued ones among them."""
        return max(self._values(name, 1), default=None)

    def lowest(self, name: str) -> Any:
        return min(self._values(name, 0), default=None)

    def _values(self, name: str, end: int) -> list[Any]:
        found = [self[name].bounds[end], *(given.get(name) for given in self.enqueued)]
        return [value for value in found if value is not None]

    def distributions(self, params: Mapping[str, Any]) -> dict[str, BaseDistribution]:
        """Of the parameters that were drawn, not fixed, in these params."""
        return {
            p.name: p.distribution for p in self.parameters if p.distribution is not None and exists(p, params)
        }


def draw(space: Space, number: int) -> Params:
    """Trial `number`'s params: those whose conditions hold, in the space's order.

    Of an enqueued trial, what it does not name is drawn.
    """
    params: Params = {}
    given = space.enqueued[number] if number < len(space.enqueued) else {}
    for parameter in space.parameters:
        if not exists(parameter, params):
            continue
        if parameter.name in given:
            params[parameter.name] = given[parameter.name]
        elif parameter.distribution is None:
            params[parameter.name] = parameter.fixed
        elif parameter.structural:
            params[parameter.name] = _stratified(space.seed, number // space.block, parameter)
        else:
            params[parameter.name] = _sample(
                parameter.distribution, key(space.seed, number, "param", parameter.name)
            )
    return params


def drawn_and_fixed(
    space: Space, params: Mapping[str, Any], number: int
) -> tuple[dict[str, BaseDistribution], dict[str, Any]]:
    """The distributions of trial `number`'s params that were drawn, and the values of those that were given.

    Given are the values that the study fixes, and every one of an enqueued trial: nobody drew it, so it says
    nothing about the space.
    """
    ranges = {} if number < len(space.enqueued) else space.distributions(params)
    return ranges, {name: params[name] for name in space.listed() if name in params and name not in ranges}


def exists(parameter: Parameter, params: Mapping[str, Any]) -> bool:
    return all(name in params and params[name] in accepted for name, accepted in parameter.when)


def _sample(distribution: BaseDistribution, seed: int) -> Any:
    """As `RandomSampler(seed=seed)` draws it; to seed the generator of one that is there takes a thirtieth of the
    time that to make one takes.
    """
    sampler, study, trial = _optuna()
    sampler._rng.rng.seed(seed % 2**32)
    return sampler.sample_independent(study, trial, "x", distribution)


@cache
def _optuna() -> tuple[optuna.samplers.RandomSampler, optuna.Study, optuna.trial.FrozenTrial]:
    """A sampler, and the study and trial that it asks for; random sampling looks at neither."""
    optuna.logging.set_verbosity(logging.WARNING)
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    return sampler, study, optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)


def _stratified(seed: int, block: int, parameter: Parameter) -> Any:
    distribution = parameter.distribution
    assert distribution is not None
    strata = len(distribution.choices) if isinstance(distribution, CategoricalDistribution) else _STRATA
    cycle, place = divmod(block, strata)
    order_key = np.array([key(seed, cycle, "strata", parameter.name)], dtype=np.uint64)
    stratum = int(permutations(order_key, strata)[0, place])
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[stratum]
    within_key = np.array([key(seed, block, "within", parameter.name)], dtype=np.uint64)
    return quantile(distribution, (stratum + float(uniforms(within_key, 1)[0, 0])) / strata)


def quantile(distribution: BaseDistribution, q: float) -> int | float:
    """The value below which a share q in [0, 1) of a range's draws lie."""
    if isinstance(distribution, IntDistribution):
        low, high, step = distribution.low, distribution.high, distribution.step
        if distribution.log:
            a, b = math.log(low - 0.5), math.log(high + 0.5)
            return min(max(round(math.exp(a + q * (b - a))), low), high)
        return low + step * min(int(q * ((high - low) // step + 1)), (high - low) // step)
    assert isinstance(distribution, FloatDistribution)
    low_f, high_f = distribution.low, distribution.high
    if distribution.step is not None:
        count = round((high_f - low_f) / distribution.step) + 1
        return min(low_f + distribution.step * min(int(q * count), count - 1), high_f)
    if distribution.log:
        return min(max(math.exp(math.log(low_f) + q * (math.log(high_f) - math.log(low_f))), low_f), high_f)
    return min(low_f + q * (high_f - low_f), high_f)


def ordered(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """The parameters, each behind those that its condition names.

    Raises:
        ValueError: conditions go round in a circle; the message names the parameters.
    """
    placed: list[Parameter] = []
    names: set[str] = set()
    waiting = list(parameters)
    while waiting:
        ready = [p for p in waiting if all(name in names for name, _ in p.when)]
        if not ready:
            raise ValueError(", ".join(p.name for p in waiting))
        placed += ready
        names |= {p.name for p in ready}
        waiting = [p for p in waiting if p.name not in names]
    return tuple(placed)
