"""Losses on rows: each takes the outputs of K nets and their columns, and gives one number an example.

Shapes: K rows (trials), N examples, C classes.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

Columns = Mapping[str, Tensor]
Loss = Callable[[Tensor, Tensor, Columns], Tensor]


def cross_entropy(logits_KNC: Tensor, target_KN: Tensor, columns: Columns) -> Tensor:
    """Softmax cross-entropy with label smoothing a row, [K, N].

    The target is (1 - s) on the class and s / C on every class (Szegedy et al. 2016, "Rethinking the
    Inception Architecture"). Smoothing helps calibration and hurts a net that others are distilled from;
    its range is 0 to 0.2.
    """
    logp_KCN = log_softmax(logits_KNC.mT.contiguous(), dim=-2)  # over a short last axis torch is thrice as slow
    hard_KN = -logp_KCN.gather(-2, target_KN.unsqueeze(-2)).squeeze(-2)
    smoothing_K = columns["label_smoothing"]
    if not bool((smoothing_K > 0).any()):
        return hard_KN
    return torch.lerp(hard_KN, -logp_KCN.mean(-2), smoothing_K.unsqueeze(1))


def squared(values_KN1: Tensor, target_KN: Tensor, columns: Columns) -> Tensor:
    """Squared error, [K, N]; on standardised targets a net that predicts the mean has loss 1."""
    return (values_KN1.squeeze(-1) - target_KN).square()


LOSSES: dict[str, Loss] = {"classification": cross_entropy, "regression": squared}


def distilled_cross_entropy(hard_KN: Tensor, logits_KNC: Tensor, teacher_KNC: Tensor, columns: Columns) -> Tensor:
    """Mixes in the teacher's probabilities at a temperature, [K, N].

    (1 - a) hard + a T² CE(teacher at T, student at T) (Hinton, Vinyals & Dean 2015, "Distilling the Knowledge
    in a Neural Network"); T² keeps the gradient's size. `teacher_KNC` holds log-probabilities. A row with
    a = 0 is trained without a teacher.
    """
    t_K11 = columns["temperature"].view(-1, 1, 1)
    soft_KNC = torch.softmax(teacher_KNC / t_K11, dim=-1)
    soft_KN = -(soft_KNC * log_softmax(logits_KNC / t_K11, dim=-1)).sum(-1) * t_K11.squeeze(-1).square()
    return torch.lerp(hard_KN, soft_KN, columns["distill"].unsqueeze(1))


def distilled_squared(hard_KN: Tensor, values_KN1: Tensor, teacher_KN1: Tensor, columns: Columns) -> Tensor:
    """Mixes in the squared distance to the teacher's value, [K, N]."""
    soft_KN = (values_KN1 - teacher_KN1).squeeze(-1).square()
    return torch.lerp(hard_KN, soft_KN, columns["distill"].unsqueeze(1))


DISTILLED: dict[str, Callable[[Tensor, Tensor, Tensor, Columns], Tensor]] = {
    "classification": distilled_cross_entropy,
    "regression": distilled_squared,
}
