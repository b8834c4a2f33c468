"""Losses on rows against torch's own, or the paper's formula on one example at a time: values and gradients."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from hpsearch.tricks.losses import (
    DISTILLED,
    LOSSES,
    PLAIN,
    Targets,
    at_zero,
    class_weight,
    flooded,
    log_probabilities,
)

K, N, C = 4, 9, 5
COUNT = torch.tensor([40.0, 25.0, 20.0, 10.0, 5.0], dtype=torch.float64)


def column(*values):
    return torch.tensor(values, dtype=torch.float64)


COLUMNS = {
    "label_smoothing": column(0.0, 0.1, 0.5, 0.9),
    "focal_gamma": column(0.0, 0.5, 2.0, 5.0),
    "huber_delta": column(0.1, 0.5, 1.0, 3.0),
    "class_weight": class_weight(column(0.0, 0.3, 1.0, 1.5), COUNT),
    "distill": column(0.0, 0.3, 0.7, 1.0),
    "temperature": column(1.0, 2.0, 4.0, 0.5),
}
TASK = {kind: task for task, losses in LOSSES.items() for kind in losses}
SETS = {
    "plain": ["focal_gamma", "huber_delta"],
    "smoothed": ["focal_gamma", "huber_delta", "label_smoothing"],
    "weighted": ["focal_gamma", "huber_delta", "class_weight"],
    "all": ["focal_gamma", "huber_delta", "class_weight", "label_smoothing"],
}


def soft(classes, k, columns):
    """An example's target as probabilities."""
    target = torch.zeros(C, dtype=torch.float64)
    for c, share in classes:
        target[c] += share
    s = float(columns["label_smoothing"][k]) if "label_smoothing" in columns else 0.0
    return (1 - s) * target + s / C


def weight(k, columns):
    return columns["class_weight"][k] if "class_weight" in columns else torch.ones(C, dtype=torch.float64)


def plain_cross_entropy(logits, classes, k, columns):
    """torch's, with soft targets; its weights multiply each class's term."""
    target = soft(classes, k, columns)
    return functional.cross_entropy(logits.unsqueeze(0), target.unsqueeze(0), weight(k, columns), reduction="sum")


def plain_focal(logits, classes, k, columns):
    p = torch.softmax(logits, -1)
    terms = -((1 - p) ** columns["focal_gamma"][k]) * torch.log(p)
    return (soft(classes, k, columns) * weight(k, columns) * terms).sum()


def plain_binary(logits, classes, k, columns):
    """Of each class that the target may be, weighted as that class is."""
    ones = torch.eye(C, dtype=torch.float64)
    of_class = torch.stack([functional.binary_cross_entropy_with_logits(logits, one) for one in ones])
    return (soft(classes, k, columns) * weight(k, columns) * of_class).sum()


def plain_squared(value, classes, k, columns):
    return functional.mse_loss(value.squeeze(), sum(v * share for v, share in classes))


def plain_huber(value, classes, k, columns):
    target = sum(v * share for v, share in classes)
    return functional.huber_loss(value.squeeze(), target, delta=float(columns["huber_delta"][k]))


ONE = {
    "cross_entropy": plain_cross_entropy, "focal": plain_focal, "binary": plain_binary, "squared": plain_squared,
    "huber": plain_huber,
}  # fmt: skip


def normal(*size, seed=2):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def example(task, mixed):
    """Outputs and targets for a task."""
    generator = torch.Generator().manual_seed(3)
    outputs = 2 * normal(K, N, C if task == "classification" else 1)
    first, second = (
        torch.randint(0, C, (K, N), generator=generator) if task == "classification" else normal(K, N, seed=seed)
        for seed in (4, 5)
    )
    share = torch.rand(K, N, generator=generator, dtype=torch.float64)
    return outputs, Targets(first, second, share) if mixed else Targets(first)


def parts(targets, k, n):
    if targets.second is None:
        return [(targets.first[k, n], 1.0)]
    share = targets.share[k, n]
    return [(targets.first[k, n], share), (targets.second[k, n], 1 - share)]


def gradients(outputs, *losses):
    return [torch.autograd.grad(loss.sum(), outputs, retain_graph=True)[0] for loss in losses]


def test_every_loss_has_a_plain_one_here():
    assert ONE.keys() == TASK.keys()
    assert PLAIN.keys() == LOSSES.keys() == DISTILLED.keys()


@pytest.mark.parametrize("mixed", [False, True], ids=["", "mixed"])
@pytest.mark.parametrize("names", SETS.values(), ids=SETS)
@pytest.mark.parametrize("kind", TASK)
def test_a_loss_and_its_gradient_are_the_references_row_by_row(kind, names, mixed):
    columns = {name: COLUMNS[name] for name in names}
    outputs, targets = example(TASK[kind], mixed)
    outputs.requires_grad_()
    found = LOSSES[TASK[kind]][kind](outputs, targets, columns)
    one = [ONE[kind](outputs[k, n], parts(targets, k, n), k, columns) for k in range(K) for n in range(N)]
    expected = torch.stack(one).view(K, N)
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    ours, theirs = gradients(outputs, found, expected)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-5 if kind == "focal" else 1e-12)


@pytest.mark.parametrize("kind", TASK)
def test_the_loss_of_a_row_is_its_own(kind):
    outputs, targets = example(TASK[kind], mixed=False)
    before = LOSSES[TASK[kind]][kind](outputs, targets, COLUMNS)
    outputs[2] = torch.nan
    after = LOSSES[TASK[kind]][kind](outputs, targets, COLUMNS)
    assert torch.equal(before[[0, 1, 3]], after[[0, 1, 3]])
    assert after[2].isnan().all()


@pytest.mark.parametrize("kind", TASK)
def test_a_row_whose_tricks_are_off_has_the_bits_it_has_without_them(kind):
    outputs, targets = example(TASK[kind], mixed=False)
    outputs.requires_grad_()
    with_them = LOSSES[TASK[kind]][kind](outputs, targets, COLUMNS)
    without = LOSSES[TASK[kind]][kind](outputs, targets, {name: COLUMNS[name] for name in SETS["plain"]})
    assert torch.equal(with_them[0], without[0])
    assert torch.equal(*(gradient[0] for gradient in gradients(outputs, with_them, without)))
    if TASK[kind] == "classification":
        assert not torch.equal(with_them[1], without[1])


def test_a_focal_loss_without_gamma_is_cross_entropy():
    outputs, targets = example("classification", mixed=False)
    losses = LOSSES["classification"]
    found, expected = (
        losses["focal"](outputs, targets, COLUMNS),
        losses["cross_entropy"](outputs, targets, COLUMNS),
    )
    assert torch.equal(found[0], expected[0])


def test_focal_loss_moves_weight_to_the_hard_examples():
    """The hardest of four examples has a larger share of the loss with each larger γ."""
    logits = column(4, 2, 0, -2).view(1, 4, 1) * column(1, 0).view(1, 1, 2)
    shares = []
    for gamma in (0.0, 1.0, 2.0, 5.0):
        targets = Targets(torch.zeros(1, 4, dtype=torch.long))
        loss = LOSSES["classification"]["focal"](logits, targets, {"focal_gamma": column(gamma)})[0]
        shares.append(float(loss[3] / loss.sum()))
    assert shares == sorted(shares)
    assert shares[0] < 0.75
    assert shares[-1] > 0.98


def test_focal_loss_of_a_sure_and_right_net_has_a_gradient():
    logits = torch.tensor([[[80.0, 0.0]]], requires_grad=True)
    targets = Targets(torch.zeros(1, 1, dtype=torch.long))
    LOSSES["classification"]["focal"](logits, targets, {"focal_gamma": torch.tensor([0.5])}).sum().backward()
    assert torch.isfinite(logits.grad).all()


# --- class weights, flooding, zero outputs ----------------------------------------------------------------------


def test_class_weights_are_inverse_frequencies_to_a_power_with_mean_one():
    from sklearn.utils.class_weight import compute_class_weight

    y = np.repeat(np.arange(C), COUNT.int().numpy())
    balanced = compute_class_weight("balanced", classes=np.arange(C), y=y)
    found = class_weight(column(0.0, 0.5, 1.0), COUNT).numpy()
    np.testing.assert_allclose(found[0], 1)
    np.testing.assert_allclose(found[2], balanced / balanced[y].mean())
    np.testing.assert_allclose(found[1] / found[1, 0], np.sqrt(balanced / balanced[0]))
    np.testing.assert_allclose([row[y].mean() for row in found], 1)


def test_balanced_weights_give_every_class_the_same_say():
    y = torch.repeat_interleave(torch.arange(C), COUNT.int())
    columns = {"class_weight": class_weight(column(1.0), COUNT)}
    loss = LOSSES["classification"]["cross_entropy"](torch.zeros(1, len(y), C), Targets(y.unsqueeze(0)), columns)[
        0
    ]
    totals = [float(loss[y == c].sum()) for c in range(C)]
    assert totals == pytest.approx([totals[0]] * C)


def test_flooding_is_the_papers_formula_and_turns_the_gradient_below_the_level():
    loss = column(0.5, 0.2, 0.05, 0.0).requires_grad_()
    found = flooded(loss, column(0.1, 0.2, 0.1, 0.0))
    assert found.tolist() == pytest.approx([0.5, 0.2, 0.15, 0.0])
    assert torch.autograd.grad(found.sum(), loss)[0].tolist()[:3] == [1, 0, -1]


@pytest.mark.parametrize("names", SETS.values(), ids=SETS)
@pytest.mark.parametrize("kind", TASK)
def test_the_loss_of_zero_outputs_is_known_in_closed_form(kind, names):
    columns = {name: COLUMNS[name] for name in names}
    y = torch.repeat_interleave(torch.arange(C), COUNT.int())
    if TASK[kind] == "regression":
        y = normal(100)
        y = (y - y.mean()) / y.std(correction=0)
    outputs = torch.zeros(K, len(y), C if TASK[kind] == "classification" else 1, dtype=torch.float64)
    found = LOSSES[TASK[kind]][kind](outputs, Targets(y.expand(K, -1)), columns).mean(1)
    assert torch.allclose(at_zero(kind, columns, y, C).expand(K), found, atol=1e-12)


def test_the_loss_of_zero_outputs_of_the_plain_losses():
    y = torch.arange(C).repeat(4)
    assert float(at_zero("cross_entropy", {}, y, C)) == pytest.approx(math.log(C))
    assert float(at_zero("binary", {}, y, C)) == pytest.approx(math.log(2))
    gamma = {"focal_gamma": column(2.0)}
    assert float(at_zero("focal", gamma, y, C)) == pytest.approx((1 - 1 / C) ** 2 * math.log(C))
    assert float(at_zero("squared", {}, column(-1, 1), 1)) == 1


def test_rows_of_the_binary_loss_predict_their_sigmoids_over_their_sum():
    outputs = 3 * normal(2, N, C)
    found = log_probabilities(outputs, torch.tensor([True, False])).exp()
    expected = torch.sigmoid(outputs[0]) / torch.sigmoid(outputs[0]).sum(-1, keepdim=True)
    assert torch.allclose(found[0], expected)
    assert torch.allclose(found[1], torch.softmax(outputs[1], -1))


# --- a teacher --------------------------------------------------------------------------------------------------


def taught_cross_entropy(hard, logits, teacher, k):
    share, t = float(COLUMNS["distill"][k]), float(COLUMNS["temperature"][k])
    soft = torch.exp(teacher) ** (1 / t)
    soft = soft / soft.sum(-1, keepdim=True)
    student = torch.exp(logits / t) / torch.exp(logits / t).sum(-1, keepdim=True)
    return (1 - share) * hard - share * t**2 * (soft * student.log()).sum(-1)


def taught_squared(hard, values, teacher, k):
    share = float(COLUMNS["distill"][k])
    return (1 - share) * hard + share * (values - teacher).squeeze(-1) ** 2


TAUGHT = {"classification": taught_cross_entropy, "regression": taught_squared}


def teacher(task):
    values = normal(K, N, C if task == "classification" else 1, seed=7)
    return values.log_softmax(-1) if task == "classification" else values


@pytest.mark.parametrize("task", DISTILLED)
def test_distillation_is_the_plain_formula_row_by_row(task):
    outputs, targets = example(task, mixed=False)
    outputs.requires_grad_()
    hard = LOSSES[task][PLAIN[task]](outputs, targets, COLUMNS)
    columns = {**COLUMNS, "distill": COLUMNS["distill"].unsqueeze(1)}
    found = DISTILLED[task](hard, outputs, teacher(task), columns)
    expected = torch.stack([TAUGHT[task](hard[k], outputs[k], teacher(task)[k], k) for k in range(K)])
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    assert torch.allclose(*gradients(outputs, found, expected), rtol=0, atol=1e-12)
    assert torch.equal(found[0], hard[0])


def test_a_student_like_its_teacher_has_no_gradient_from_it():
    _, targets = example("classification", mixed=False)
    columns = {**COLUMNS, "distill": torch.ones(K, 1, dtype=torch.float64)}
    student = teacher("classification").requires_grad_()
    hard = LOSSES["classification"]["cross_entropy"](student, targets, columns)
    DISTILLED["classification"](hard, student, teacher("classification"), columns).sum().backward()
    assert student.grad.abs().max() < 1e-12
