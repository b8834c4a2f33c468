"""Training on a teacher's predictions, beside rows that have none."""

from dataclasses import replace

import numpy as np
import pytest
import torch


@pytest.fixture
def taught(make_arrays):
    """Data with a teacher who is sure of the labels, or is not sure of anything."""

    def make(task, sure):
        arrays = make_arrays(task)
        y = arrays.target.scaled(arrays.train.y)
        if task == "regression":
            return replace(arrays, teacher=(y if sure else 0 * y)[:, None])
        teacher = np.log(np.eye(3)[y] + 1e-30) if sure else np.random.default_rng(1).normal(size=(len(y), 3))
        return replace(arrays, teacher=teacher.astype(np.float32))

    return make


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_pack_with_a_teacher_trains_the_same_both_ways(task, taught, make_params, train, furthest):
    rows = [make_params(distill=a, temperature=t, dropout=0.2) for a, t in ((0.0, 1.0), (0.5, 2.0), (1.0, 4.0))]
    loop, packed = (
        train(taught(task, sure=False), rows, forward=way, dtype=torch.float64) for way in ("loop", "vmap")
    )
    assert furthest(loop, packed) < 1e-8


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_teacher_who_is_sure_of_the_labels_teaches_what_they_teach(
    task, taught, make_arrays, make_params, train
):
    (student,) = train(taught(task, sure=True), [make_params(distill=1.0)], dtype=torch.float64)
    (pupil,) = train(make_arrays(task), [make_params()], dtype=torch.float64)
    assert torch.allclose(student.tensors["theta"], pupil.tensors["theta"], rtol=0, atol=1e-8)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_row_that_distills_nothing_trains_as_without_a_teacher(task, taught, make_arrays, make_params, train):
    rows = [make_params(), make_params(distill=0.7, temperature=3.0)]
    beside, taught_row = train(taught(task, sure=False), rows)
    alone, pupil = train(make_arrays(task), rows)
    assert torch.allclose(beside.tensors["theta"], alone.tensors["theta"], rtol=0, atol=1e-6)
    assert not torch.equal(taught_row.tensors["theta"], pupil.tensors["theta"])
