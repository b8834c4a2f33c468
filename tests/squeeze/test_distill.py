"""What students are given: the best trial's structure, and twins that differ in the teacher alone."""

import numpy as np
import pytest
from scipy.special import log_softmax

from hpsearch.data.dataset import Arrays, Part, Target
from hpsearch.nets.build import NETS, build
from hpsearch.nets.shape import Shape
from hpsearch.space import draw
from hpsearch.squeeze.candidates import Candidate
from hpsearch.squeeze.distill import nearest, smaller, student_draws, student_space, taught
from hpsearch.study import parse_study
from hpsearch.validate import check_names

STUDY = {
    "name": "s",
    "data": {"source": "sklearn:digits"},
    "params": {
        "width": [8, 16, 32],
        "norm": ["none", "batch"],
        "lr": {"low": 1e-4, "high": 1e-1, "log": True},
        "optimizer": ["adam", "sgd"],
        "momentum": {"low": 0.1, "high": 0.9, "when": {"optimizer": "sgd"}},
    },
}
SPACE = check_names(parse_study(STUDY, "s.yaml"), "s.yaml")
BEST = SPACE.complete(draw(SPACE, 5))
TARGET = Target("classification", ("a", "b", "c"))


def test_students_have_the_best_trials_structure_and_the_first_its_params() -> None:
    draws = student_draws(student_space(SPACE, BEST), BEST, 6)
    structure = SPACE.structural()
    assert all(params[name] == BEST[name] for params in draws for name in structure)
    taught_by = ("distill", "temperature")
    assert {k: v for k, v in draws[0].items() if k not in taught_by} == {
        k: v for k, v in BEST.items() if k not in taught_by
    }


def test_a_twin_differs_in_the_teacher_alone() -> None:
    draws = student_draws(student_space(SPACE, BEST), BEST, 6)
    for student, twin in zip(draws[:6], draws[6:], strict=True):
        assert student["distill"] >= 0.5
        assert twin == {**student, "distill": 0.0, "temperature": 1.0}


def test_a_regression_teacher_is_standardised_like_the_target() -> None:
    part = Part(np.arange(8, dtype=np.float32).reshape(4, 2), np.array([1.0, 2.0, 3.0, 4.0]), np.arange(4))
    arrays = Arrays(part, part, Target("regression", (), mean=2.5, std=2.0), "rmse")
    found = taught(arrays, lambda x: x[:, 0].astype(np.float64), seed=0)
    assert found.teacher is not None
    assert found.pool is not None
    assert found.teacher.shape == (4, 1)
    assert found.teacher[:, 0] == pytest.approx([-1.25, -0.25, 0.75, 1.75])
    np.testing.assert_allclose(found.pool.teacher[:, 0], (found.pool.x[:, 0] - 2.5) / 2, rtol=1e-5)


@pytest.mark.parametrize("share", [1.0, 0.25, 0.01])
def test_a_student_is_as_wide_as_its_share_of_the_parameters_allows(share: float) -> None:
    x = np.zeros((4, 20), np.float32)
    arrays = Arrays(
        Part(x, np.zeros(4, int), np.arange(4)), Part(x, np.zeros(4, int), np.arange(4)), TARGET, "log_loss"
    )
    params = {**BEST, "width": 64, "depth": 2}

    def size(width: int) -> int:
        net = build(NETS["mlp"], {**params, "width": width}, Shape((20,), 3), 0)
        return sum(parameter.numel() for parameter in net.parameters())

    width = smaller(params, NETS["mlp"], arrays, share)["width"]
    assert size(width) <= share * size(64) or width == 4
    assert width == 64 or size(width + 1) > share * size(64)
    assert smaller(params, NETS["mlp"], arrays, 0.001)["width"] == 4
    assert smaller({**params, "width": 1}, NETS["mlp"], arrays, 0.1)["width"] == 1


def test_students_have_no_regularizer_beside_their_teacher_and_twins_have_all() -> None:
    raw = {
        **STUDY,
        "params": {
            "width": 8,
            "dropout": 0.3,
            "mixup": 0.2,
            "loss": "focal",
            "focal_gamma": 2.0,
            "weight_decay": 0.1,
        },
    }
    space = check_names(parse_study(raw, "s.yaml"), "s.yaml")
    best = space.complete(draw(space, 0))
    student, twin = student_draws(student_space(space, best), best, 1)
    assert (student["dropout"], student["mixup"], student["loss"]) == (0.0, 0.0, "cross_entropy")
    assert (twin["dropout"], twin["mixup"], twin["loss"]) == (0.3, 0.2, "focal")
    assert student["weight_decay"] == twin["weight_decay"] == 0.1
    assert student["distill"] >= 0.5 > twin["distill"] == 0.0


def test_the_student_nearest_to_the_teacher_is_the_one() -> None:
    rng = np.random.default_rng(0)
    teacher = log_softmax(rng.normal(size=(50, 3)), axis=-1)
    near, far = (log_softmax(teacher + by * rng.normal(size=(50, 3)), axis=-1) for by in (0.1, 1.0))
    students = [Candidate(n, 1, (), p.astype(np.float32), {}) for n, p in enumerate((far, near))]
    assert nearest(students, teacher.astype(np.float32), "classification").trial == 1
    values = rng.normal(size=50)
    students = [Candidate(n, 1, (), values + by, {}) for n, by in enumerate((0.5, 0.1, 0.3))]
    assert nearest(students, values, "regression").trial == 1
