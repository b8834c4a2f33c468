"""Losses on rows against torch's own, values and gradients."""

import pytest
import torch
from torch.nn import functional

from hpsearch.tricks.losses import DISTILLED, LOSSES

K, N, C = 4, 9, 5
COLUMNS = {
    "label_smoothing": torch.tensor([0.0, 0.1, 0.5, 0.9], dtype=torch.float64),
    "distill": torch.tensor([0.0, 0.3, 0.7, 1.0], dtype=torch.float64),
    "temperature": torch.tensor([1.0, 2.0, 4.0, 0.5], dtype=torch.float64),
}


def plain_cross_entropy(logits, target, k):
    return functional.cross_entropy(
        logits, target, reduction="none", label_smoothing=float(COLUMNS["label_smoothing"][k])
    )


def plain_squared(values, target, k):
    return functional.mse_loss(values.squeeze(-1), target, reduction="none")


def plain_distilled_cross_entropy(logits, target, teacher, k):
    share, t = float(COLUMNS["distill"][k]), float(COLUMNS["temperature"][k])
    soft = torch.exp(teacher) ** (1 / t)
    soft = soft / soft.sum(-1, keepdim=True)
    student = torch.exp(logits / t) / torch.exp(logits / t).sum(-1, keepdim=True)
    return (1 - share) * plain_cross_entropy(logits, target, k) - share * t**2 * (soft * student.log()).sum(-1)


def plain_distilled_squared(values, target, teacher, k):
    share = float(COLUMNS["distill"][k])
    return (1 - share) * plain_squared(values, target, k) + share * (values - teacher).squeeze(-1) ** 2


PLAIN = {"classification": plain_cross_entropy, "regression": plain_squared}
PLAIN_DISTILLED = {"classification": plain_distilled_cross_entropy, "regression": plain_distilled_squared}


@pytest.fixture
def example():
    """Outputs, targets and a teacher for a task."""

    def make(task):
        generator = torch.Generator().manual_seed(2)

        def normal(*size):
            return torch.randn(*size, generator=generator, dtype=torch.float64)

        if task == "regression":
            return 2 * normal(K, N, 1), normal(K, N), normal(K, N, 1)
        target = torch.randint(0, C, (K, N), generator=generator)
        return 3 * normal(K, N, C), target, normal(K, N, C).log_softmax(-1)

    return make


def test_every_loss_has_a_plain_one_here():
    assert PLAIN.keys() == LOSSES.keys()
    assert PLAIN_DISTILLED.keys() == DISTILLED.keys()


@pytest.mark.parametrize("task", LOSSES)
def test_a_loss_and_its_gradient_are_torchs_row_by_row(task, example):
    outputs, target, _ = example(task)
    outputs.requires_grad_()
    found = LOSSES[task](outputs, target, COLUMNS)
    expected = torch.stack([PLAIN[task](outputs[k], target[k], k) for k in range(K)])
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    assert torch.allclose(*_gradients(found, expected, outputs), rtol=0, atol=1e-12)


@pytest.mark.parametrize("task", DISTILLED)
def test_distillation_is_the_plain_formula_row_by_row(task, example):
    outputs, target, teacher = example(task)
    outputs.requires_grad_()
    hard = LOSSES[task](outputs, target, COLUMNS)
    found = DISTILLED[task](hard, outputs, teacher, COLUMNS)
    expected = torch.stack([PLAIN_DISTILLED[task](outputs[k], target[k], teacher[k], k) for k in range(K)])
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    assert torch.allclose(*_gradients(found, expected, outputs), rtol=0, atol=1e-12)


@pytest.mark.parametrize("task", DISTILLED)
def test_a_row_that_distills_nothing_keeps_its_hard_loss(task, example):
    outputs, target, teacher = example(task)
    hard = LOSSES[task](outputs, target, COLUMNS)
    assert torch.equal(DISTILLED[task](hard, outputs, teacher, COLUMNS)[0], hard[0])


def test_a_row_without_smoothing_has_the_loss_it_has_alone(example):
    outputs, target, _ = example("classification")
    none = {**COLUMNS, "label_smoothing": torch.zeros(K, dtype=torch.float64)}
    mixed, alone = (LOSSES["classification"](outputs, target, columns) for columns in (COLUMNS, none))
    assert torch.equal(mixed[0], alone[0])
    assert not torch.equal(mixed[1], alone[1])


def test_a_student_like_its_teacher_has_no_gradient_from_it(example):
    _, target, teacher = example("classification")
    columns = {**COLUMNS, "distill": torch.ones(K, dtype=torch.float64)}
    student = teacher.clone().requires_grad_()
    hard = LOSSES["classification"](student, target, columns)
    DISTILLED["classification"](hard, student, teacher, columns).sum().backward()
    assert student.grad.abs().max() < 1e-12


@pytest.mark.parametrize("task", LOSSES)
def test_the_loss_of_a_row_is_its_own(task, example):
    outputs, target, teacher = example(task)
    before = DISTILLED[task](LOSSES[task](outputs, target, COLUMNS), outputs, teacher, COLUMNS)
    outputs[2] = torch.nan
    after = DISTILLED[task](LOSSES[task](outputs, target, COLUMNS), outputs, teacher, COLUMNS)
    assert torch.equal(before[[0, 1, 3]], after[[0, 1, 3]])
    assert after[2].isnan().all()


def test_a_mean_prediction_on_standardised_values_has_loss_one():
    values = torch.randn(1, 1000, dtype=torch.float64)
    values = (values - values.mean()) / values.std(correction=0)
    assert float(LOSSES["regression"](torch.zeros(1, 1000, 1), values, {}).mean()) == pytest.approx(1)


def _gradients(found, expected, outputs):
    return [torch.autograd.grad(loss.sum(), outputs, retain_graph=True)[0] for loss in (found, expected)]
