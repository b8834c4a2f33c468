"""Distils the ensemble into one net: a small random search in which the ensemble is the teacher.

The student has the best trial's structure. Half of the trials learn from the teacher, their twins with the
same draws do not: what the teacher is worth is the difference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from optuna.distributions import FloatDistribution

from hpsearch.data.dataset import Arrays
from hpsearch.keyed import key
from hpsearch.search.messages import Entry
from hpsearch.space import Parameter, Space, draw

_TEACHING = (
    Parameter("distill", FloatDistribution(0.5, 1.0)),
    Parameter("temperature", FloatDistribution(1.0, 4.0, log=True)),
)


def student_space(space: Space, best: Mapping[str, Any]) -> Space:
    """The study's space with the best trial's structure, and with the teacher's two parameters."""
    kept = []
    for parameter in space.parameters:
        if parameter.name in {taught.name for taught in _TEACHING}:
            continue
        if parameter.structural:
            parameter = replace(parameter, distribution=None, fixed=best[parameter.name], when=())
        kept.append(parameter)
    return Space(student_seed(space.seed), space.block, (*kept, *_TEACHING))


def student_seed(seed: int) -> int:
    return key(seed, "student") % 2**31


def student_draws(space: Space, best: Mapping[str, Any], trials: int) -> list[dict[str, Any]]:
    """Params of the students, then of their twins without a teacher, in the same order.

    The first student trains with the best trial's own params.
    """
    first = {**best, **{name: draw(space, 0)[name] for name in ("distill", "temperature")}}
    students = [first, *(draw(space, number) for number in range(1, trials))]
    return [*students, *({**params, "distill": 0.0, "temperature": 1.0} for params in students)]


def entries(draws: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """Students as the ledger records them: their params stand as fixed, since twins are not draws."""
    return [Entry({}, {}, dict(params)) for params in draws]


def taught(arrays: Arrays, teacher: np.ndarray) -> Arrays:
    """The arrays with the teacher's predictions on the training part (log-probabilities, or values)."""
    target = arrays.target
    if target.task == "regression":
        teacher = ((teacher - target.mean) / target.std)[:, None]
    return replace(arrays, teacher=np.ascontiguousarray(teacher, dtype=np.float32))
