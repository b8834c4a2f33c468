"""Distils the ensemble into one net: a small random search in which the ensemble is the teacher.

The student has the best trial's structure. Half of the trials learn from the teacher, their twins with the
same draws do not: what the teacher is worth is the difference.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from optuna.distributions import FloatDistribution

from hpsearch.data.dataset import Arrays
from hpsearch.errors import RunError
from hpsearch.folder import Folder
from hpsearch.keyed import key
from hpsearch.prepared import Prepared
from hpsearch.search.progress import Reporter
from hpsearch.space import Parameter, Space, draw
from hpsearch.squeeze import further
from hpsearch.squeeze.candidates import Candidate, candidates

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
    return Space(key(space.seed, "student") % 2**31, space.block, (*kept, *_TEACHING))


def student_draws(space: Space, best: Mapping[str, Any], trials: int) -> list[dict[str, Any]]:
    """Params of the students, then of their twins without a teacher, in the same order.

    The first student trains with the best trial's own params.
    """
    first = {**best, **{name: draw(space, 0)[name] for name in ("distill", "temperature")}}
    students = [first, *(draw(space, number) for number in range(1, trials))]
    return [*students, *({**params, "distill": 0.0, "temperature": 1.0} for params in students)]


def taught(arrays: Arrays, teacher: np.ndarray) -> Arrays:
    """The arrays with the teacher's predictions on the training part (log-probabilities, or values)."""
    target = arrays.target
    if target.task == "regression":
        teacher = ((teacher - target.mean) / target.std)[:, None]
    return replace(arrays, teacher=np.ascontiguousarray(teacher, dtype=np.float32))


def distil(
    folder: Folder,
    prepared: Prepared,
    best: int,
    teacher: np.ndarray,
    of: Mapping[str, Any],
    workers: int,
    report: Reporter,
) -> tuple[Candidate, Candidate]:
    """Trains students and their twins without a teacher; gives the best of each on validation.

    `best` is the trial whose structure they have; `teacher` predicts the training part, as an ensemble of these
    members, weights and temperature does (`of`).

    Raises:
        RunError: none of them finished.
    """
    student = prepared.study.squeeze.student
    assert student is not None
    params, count = prepared.params(best), student.trials
    space = student_space(prepared.space, params)
    draws = [space.complete(one) for one in student_draws(space, params, count)]
    report.note(f"distil: {count} students of the ensemble, and {count} of the same nets without a teacher")
    arrays = taught(prepared.arrays, teacher)
    rows = further.train(folder.student, prepared, "student", draws, arrays, workers, report, of)
    found = []
    for what, numbers in {"student": range(count), "student without a teacher": range(count, 2 * count)}.items():
        ranked = candidates(folder.student, [row for row in rows if row["number"] in numbers], arrays)
        if not ranked:
            raise RunError(f"no {what} finished; see {folder.student.root}/logs")
        found.append(ranked[0])
    return found[0], found[1]
