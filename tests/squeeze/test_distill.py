"""What students are given: the best trial's structure, and twins that differ in the teacher alone."""

import numpy as np
import pytest

from hpsearch.data.dataset import Arrays, Part, Target
from hpsearch.space import draw
from hpsearch.squeeze.distill import student_draws, student_space, taught
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
    part = Part(np.zeros((4, 2), np.float32), np.array([1.0, 2.0, 3.0, 4.0]), np.arange(4))
    arrays = Arrays(part, part, Target("regression", (), mean=2.5, std=2.0), "rmse")
    teacher = taught(arrays, np.array([2.5, 4.5, 0.5, 2.5])).teacher
    assert teacher is not None
    assert teacher.shape == (4, 1)
    assert teacher[:, 0] == pytest.approx([0, 1, -1, 0])
