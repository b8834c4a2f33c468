"""Distils the ensemble into one net: a small random search in which the ensemble is the teacher.

The student has the best trial's structure at a smaller width. Half of the trials learn from the teacher, on the
training part and on inputs without a label; their twins without a teacher have the same draws: what the teacher is
worth is the difference. A teacher is all the regularization that a student needs, and takes long to be learnt from
(Beyer et al. 2022, "Knowledge distillation: A good teacher is patient and consistent", arXiv 2106.05237).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from optuna.distributions import FloatDistribution

from hpsearch.data.dataset import Arrays, Pool
from hpsearch.folder import Folder
from hpsearch.keyed import key
from hpsearch.knobs import KNOBS
from hpsearch.nets.build import NETS, build
from hpsearch.nets.shape import Factory
from hpsearch.pack.front import front_of
from hpsearch.prepared import Prepared
from hpsearch.search.progress import Reporter
from hpsearch.space import Parameter, Space, draw
from hpsearch.squeeze import further, pool
from hpsearch.squeeze.candidates import Candidate, candidates
from hpsearch.squeeze.further import NoneFinishedError

_NARROWEST = 4
_STEPS, _LONGER = 8000, (2, 4)  # of a student's training, within so many times a trial's epochs
_NOT_BESIDE_A_TEACHER = (
    "dropout", "spatial_dropout", "noise", "swap_noise", "mixup", "cutmix", "label_smoothing", "flood",
)  # fmt: skip
Teach = Callable[[np.ndarray], np.ndarray]  # inputs to log-probabilities [N, C], or values [N]

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

    The first has the best trial's own params. A twin has every regularizer of its draw, a student none of those
    that blur inputs, units or targets.
    """
    first = {**best, **{name: draw(space, 0)[name] for name in ("distill", "temperature")}}
    draws = [first, *(draw(space, number) for number in range(1, trials))]
    students = [{**params, **_plain(params)} for params in draws]
    return [*students, *({**params, "distill": 0.0, "temperature": 1.0} for params in draws)]


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    off = {name: KNOBS[name].off for name in _NOT_BESIDE_A_TEACHER if name in params}
    return off | ({"loss": "cross_entropy"} if params.get("loss") == "focal" else {})


def taught(arrays: Arrays, teach: Teach, seed: int, unlabelled: np.ndarray | None = None) -> Arrays:
    """The arrays with what the teacher says of the training part, and of a pool of inputs without a label.

    The pool has the study's own, where it names some, and such as are made of training inputs.
    """

    def said(x: np.ndarray) -> np.ndarray:
        values = teach(x)
        if arrays.target.task == "regression":
            values = ((values - arrays.target.mean) / arrays.target.std)[:, None]
        return np.ascontiguousarray(values, dtype=np.float32)

    x = pool.mixed(arrays, seed)
    x = x if unlabelled is None else np.concatenate([unlabelled, x])
    return replace(arrays, teacher=said(arrays.train.x), pool=Pool(x, said(x)))


def smaller(params: Mapping[str, Any], factory: Factory, arrays: Arrays, share: float) -> dict[str, Any]:
    """The params with the largest width at which a net of ours has at most this share of its parameters.

    It stops at a width of four, larger than asked for or not: where embeddings or pixels make most of a net, no
    width would do, and a net of one unit learns nothing. Params without a width stay as they are.
    """
    params, shape = dict(params), front_of(params, arrays)[1]

    def size(width: int) -> int:
        net = build(factory, {**params, "width": width}, shape, 0)
        return sum(parameter.numel() for parameter in net.parameters())

    if "width" not in params:
        return params
    low, high = min(_NARROWEST, int(params["width"])), int(params["width"])
    goal = share * size(high)
    while low < high:  # the largest width that is small enough
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(middle) <= goal else (low, middle - 1)
    return {**params, "width": low}


def _longer(params: Mapping[str, Any], rows: int) -> float:
    """How many times its epochs a student needs."""
    steps = params["epochs"] * rows / params["batch_size"]
    return float(np.clip(_STEPS / steps, *_LONGER))


def distil(
    folder: Folder,
    prepared: Prepared,
    best: int,
    teach: Teach,
    of: Mapping[str, Any],
    workers: int,
    report: Reporter,
) -> tuple[Candidate, Candidate]:
    """Trains students and their twins; gives the student nearest to the teacher, and the twin best on validation.

    `best` is the trial whose structure they have; `teach` predicts inputs, as an ensemble of the members, weights
    and temperature in `of` does.

    Raises:
        NoneFinishedError: none of them finished.
    """
    student = prepared.study.squeeze.student
    assert student is not None
    params, count = prepared.params(best), student.trials
    ours = prepared.net.name in NETS
    if ours:
        params = smaller(params, prepared.net.factory(), prepared.arrays, student.size)
    elif student.size < 1:
        report.note(
            "distil: the student has the best trial's size, since nobody knows how to narrow a net of your own"
        )
    space = student_space(prepared.space, params)
    longer = student.longer or _longer(params, len(prepared.arrays.train.y))
    draws = [
        space.complete({**one, "epochs": round(longer * one["epochs"])})
        for one in student_draws(space, params, count)
    ]
    report.note(
        f"distil: {count} students of the ensemble, and {count} of the same nets without a teacher, "
        f"for {longer:.2g} times a trial's epochs"
    )
    arrays = taught(prepared.arrays, teach, space.seed, prepared.dataset.unlabelled)
    rows = further.train(folder.student, prepared, "student", draws, arrays, workers, report, of)
    found = []
    for what, numbers in {"student": range(count), "student without a teacher": range(count, 2 * count)}.items():
        ranked = candidates(folder.student, [row for row in rows if row["number"] in numbers], arrays)
        if not ranked:
            raise NoneFinishedError(f"no {what} finished; see {folder.student.root}/logs")
        found.append(ranked)
    students, twins = found
    return nearest(students, teach(prepared.arrays.validation.x), prepared.arrays.target.task), twins[0]


def nearest(students: Sequence[Candidate], taught: np.ndarray, task: str) -> Candidate:
    """The student that is nearest to its teacher on the validation inputs: by cross-entropy, or squared distance.

    What a teacher says of all classes tells students apart by fewer rows than labels do.
    """

    def distance(student: Candidate) -> float:
        if task == "regression":
            return float(np.square(student.prediction - taught).mean())
        return float(-(np.exp(taught.astype(np.float64)) * student.prediction).sum(-1).mean())

    return min(students, key=distance)
