"""Training on a teacher's predictions, beside rows that have none."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hpsearch.data.dataset import Pool
from hpsearch.pack.examples import Examples
from hpsearch.pack.loss import Losses


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


@pytest.fixture
def pooled(taught):
    """The same with examples of which only the teacher has something to say."""

    def make(task):
        arrays, rng = taught(task, sure=False), np.random.default_rng(3)
        x = rng.normal(size=(40, *arrays.input_shape)).astype(np.float32)
        said = rng.normal(size=(40, arrays.target.outputs)).astype(np.float32)
        return replace(arrays, pool=Pool(x, said))

    return make


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_examples_without_a_label_train_the_same_both_ways(task, pooled, make_params, train, furthest):
    rows = [make_params(distill=a, mixup=m) for a, m in ((0.0, 0.0), (0.5, 0.2), (1.0, 0.0))]
    loop, packed = (train(pooled(task), rows, forward=way, dtype=torch.float64) for way in ("loop", "vmap"))
    assert furthest(loop, packed) < 1e-8


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_examples_without_a_label_are_for_rows_with_a_teacher(task, pooled, taught, make_params, train):
    rows = [make_params(), make_params(distill=0.7)]
    alone, student = train(pooled(task), rows)
    alone_before, student_before = train(taught(task, sure=False), rows)
    assert torch.equal(alone.tensors["theta"], alone_before.tensors["theta"])
    assert not torch.equal(student.tensors["theta"], student_before.tensors["theta"])


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_an_example_without_a_label_is_the_teachers_alone(task, pooled, make_params):
    arrays = pooled(task)
    examples = Examples(arrays, torch.device("cpu"), torch.float64)
    assert len(examples) == len(arrays.train.y)
    keys = np.array([1, 2], dtype=np.uint64)
    order = examples.order(keys, np.array([False, True]), [None, None])
    assert order.shape == (2, len(examples))
    assert order[0].max() < len(examples)
    alone = order[1] >= len(examples)
    assert alone.sum() == min(40, len(examples) // 2)
    assert len(np.unique(order[1])) == len(examples)
    assert 0 < alone[: len(examples) // 2].mean() < 1  # mixed
    places = np.arange(len(examples), len(examples) + 40)[None]
    batch = examples.batch(places)
    outputs = torch.randn(1, 40, arrays.target.outputs, generator=torch.Generator().manual_seed(0)).double()
    losses = [Losses([make_params(distill=a)], arrays, outputs) for a in (0.2, 1.0)]
    partly, wholly = (loss(outputs, slice(0, 1), batch=batch) for loss in losses)
    assert torch.equal(partly, wholly)
