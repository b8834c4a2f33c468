"""Losses on rows: from the outputs of K nets, what they are held against, and columns, one number an example.

A column that is not there is off for every row; one that is off for a row (0) leaves that row's bits as they are.

Shapes: K rows (trials), N examples, C classes.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid, softplus

Columns = Mapping[str, Tensor]
_TINY = 1e-6  # keeps the slope of x^γ finite at 0


@dataclass(frozen=True)
class Targets:
    """Class indices, or standardised values, [K, N].

    Where inputs were mixed, an example is to the part `share` [K, N] its `first`, and else its `second`.
    """

    first: Tensor
    second: Tensor | None = None
    share: Tensor | None = None

    def rows(self, which: slice | Tensor) -> "Targets":
        parts = (self.first, self.second, self.share)
        return Targets(*(None if part is None else part[which] for part in parts))  # type: ignore[arg-type]

    def blend(self, first: Tensor, second: Callable[[Tensor], Tensor]) -> Tensor:
        """What holds of mixed examples: `first`, mixed with what `second` gives for the second targets."""
        if self.second is None or self.share is None:
            return first
        return torch.lerp(second(self.second), first, self.share)


Loss = Callable[[Tensor, Targets, Columns], Tensor]


def cross_entropy(logits_KNC: Tensor, targets: Targets, columns: Columns) -> Tensor:
    """Softmax cross-entropy, in nats: the plain loss of classification.

    With `label_smoothing` s the target is (1 - s) on the class and s / C on every class (Szegedy et al. 2016,
    "Rethinking the Inception Architecture"). With zero outputs it is log C.
    """
    return _expected(_surprise(logits_KNC), targets, columns)


def focal(logits_KNC: Tensor, targets: Targets, columns: Columns) -> Tensor:
    """Focal loss: an example counts (1 - p)^γ, so that the hard ones lead (Lin et al. 2017, arXiv 1708.02002).

    `focal_gamma` is γ, sensibly 0.5 to 5; 0 is cross-entropy. Costs a power of every probability. It makes a net
    less sure of itself, as label smoothing does: both together rarely pay. With zero outputs it is
    (1 - 1/C)^γ log C.
    """
    surprise_KCN = _surprise(logits_KNC)
    doubt_KCN = (-torch.expm1(-surprise_KCN)).clamp_min(_TINY)
    return _expected(surprise_KCN * doubt_KCN ** columns["focal_gamma"].view(-1, 1, 1), targets, columns)


def binary(logits_KNC: Tensor, targets: Targets, columns: Columns) -> Tensor:
    """Sigmoid cross-entropy of each class against the rest, mean over classes.

    A net then says of every class by itself whether it is there (Wightman et al. 2021, arXiv 2110.00476); its
    probabilities are the sigmoids over their sum. `label_smoothing` moves the targets as in cross-entropy. Goes
    well with mixing. With zero outputs it is log 2.
    """
    logits_KCN = logits_KNC.mT
    costs_KCN = softplus(logits_KCN).mean(-2, keepdim=True) - logits_KCN / logits_KNC.shape[-1]
    return _expected(costs_KCN, targets, columns)


def squared(values_KN1: Tensor, targets: Targets, columns: Columns) -> Tensor:
    """Squared error: the plain loss of regression. On standardised targets the mean's loss is 1."""
    return (values_KN1.squeeze(-1) - _value(targets)).square()


def huber(values_KN1: Tensor, targets: Targets, columns: Columns) -> Tensor:
    """Huber's loss: half the squared error up to δ, beyond it straight, so that outliers pull less (Huber 1964).

    `huber_delta` is δ in standard deviations of the target, sensibly 0.1 to 3.
    """
    delta_K1 = columns["huber_delta"].unsqueeze(1)
    off_KN = (values_KN1.squeeze(-1) - _value(targets)).abs()
    return torch.where(off_KN <= delta_K1, 0.5 * off_KN.square(), delta_K1 * (off_KN - 0.5 * delta_K1))


LOSSES: dict[str, dict[str, Loss]] = {
    "classification": {"cross_entropy": cross_entropy, "focal": focal, "binary": binary},
    "regression": {"squared": squared, "huber": huber},
}
PLAIN = {"classification": "cross_entropy", "regression": "squared"}  # where a study names none


def log_probabilities(outputs_KNC: Tensor, is_binary_K: Tensor | None = None) -> Tensor:
    """Of each class: softmax, or for rows of the binary loss the sigmoids over their sum."""
    if is_binary_K is not None:
        outputs_KNC = torch.where(is_binary_K.view(-1, 1, 1), logsigmoid(outputs_KNC), outputs_KNC)
    return log_softmax(outputs_KNC, dim=-1)


def _surprise(logits_KNC: Tensor) -> Tensor:
    """-log p of every class, [K, C, N]: over a short last axis torch is thrice as slow."""
    return -log_softmax(logits_KNC.mT.contiguous(), dim=-2)


def _chosen(costs_KCN: Tensor, targets: Targets) -> Tensor:
    """The cost of each example's class or, mixed, classes."""

    def of(target_KN: Tensor) -> Tensor:
        return costs_KCN.gather(-2, target_KN.unsqueeze(-2)).squeeze(-2)

    return targets.blend(of(targets.first), of)


def _expected(costs_KCN: Tensor, targets: Targets, columns: Columns) -> Tensor:
    """The cost under the smoothed and weighted target, [K, N]: every loss here is linear in the target."""
    weight_KC, smoothing_K = columns.get("class_weight"), columns.get("label_smoothing")
    if weight_KC is not None:
        costs_KCN = costs_KCN * weight_KC.unsqueeze(-1)
    hard_KN = _chosen(costs_KCN, targets)
    return hard_KN if smoothing_K is None else torch.lerp(hard_KN, costs_KCN.mean(-2), smoothing_K.unsqueeze(1))


def _value(targets: Targets) -> Tensor:
    return targets.blend(targets.first, lambda second: second)


# --- what goes around a loss ------------------------------------------------------------------------------------


def class_weight(power_K: Tensor, count_C: Tensor) -> Tensor:
    """Weights [K, C] that make rare classes count more: (N / (C n_c)) to a power, then a mean of 1 over the data.

    `class_weights`: the power to which a class's rarity counts. 0 is none, 1 is balanced: each class has the same
    say (King & Zeng 2001). Examples count by their `data.weight`. It helps balanced accuracy and F1, and hurts
    accuracy and log loss where the classes come as often as in the data.
    """
    share_C = (count_C / count_C.sum()).clamp_min(1e-9)  # a class that counts nothing
    raw_KC = (1 / (len(count_C) * share_C)) ** power_K.unsqueeze(1)
    return torch.where(power_K.unsqueeze(1) == 0, 1.0, raw_KC / (raw_KC * share_C).sum(1, keepdim=True))


def prior(kind: str, mass_C: Tensor) -> Tensor:
    """The outputs [C] that predict the classes' shares of this mass, whatever the input."""
    share_C = (mass_C / mass_C.sum()).clamp(1e-9, 1 - 1e-9)
    return torch.logit(share_C) if kind == "binary" else share_C.log()


def of_extra(extra_KN: Tensor, weight_K: Tensor, share: float) -> Tensor:
    """How much examples count, [K, N]; `share` of all are extra.

    `extra_weight`: how much an example of `data.extra` (synthetic or half-fake) counts. At 1 they are taken for
    real, at 0 they fill batches and teach nothing. The mean over all examples is 1, so that the loss keeps its
    size. They train, and nothing is validated or tested on them.
    """
    mean_K1 = 1 + share * (weight_K - 1).unsqueeze(1)
    return torch.where(extra_KN, weight_K.unsqueeze(1), 1.0) / mean_K1


def flooded(loss_K: Tensor, level_K: Tensor) -> Tensor:
    """Flooding: |loss - b| + b, so that a batch whose loss is below b climbs (Ishida et al. 2020, 2002.08709).

    `flood` is b, sensibly 0.01 to 0.2 for cross-entropy; it has to be above the loss that label smoothing leaves.
    A level of 0 is none.
    """
    return (loss_K - level_K).abs() + level_K


def at_zero(kind: str, columns: Columns, targets: Tensor, classes: int) -> Tensor:
    """The loss [K] over all of these training targets [N] of a net whose outputs are zero, in closed form."""
    if kind == "squared":
        return targets.square().mean().expand(1)
    if kind == "huber":
        return huber(targets.new_zeros(1, len(targets), 1), Targets(targets.unsqueeze(0)), columns).mean(1)
    share_C = torch.bincount(targets, minlength=classes).double() / len(targets)
    smoothing_K1 = columns.get("label_smoothing", share_C.new_zeros(1)).double().unsqueeze(1)
    told_KC = share_C * (1 - smoothing_K1) + smoothing_K1 / classes
    weight_K = (told_KC * columns.get("class_weight", told_KC.new_ones(1, classes))).sum(1)
    if kind == "binary":
        return weight_K * math.log(2)
    gamma_K = columns["focal_gamma"] if kind == "focal" else told_KC.new_zeros(1)
    return weight_K * (1 - 1 / classes) ** gamma_K * math.log(classes)


# --- a teacher --------------------------------------------------------------------------------------------------


def distilled_cross_entropy(hard_KN: Tensor, logits_KNC: Tensor, teacher_KNC: Tensor, columns: Columns) -> Tensor:
    """Mixes in the teacher's probabilities at a temperature, [K, N].

    (1 - a) hard + a T² CE(teacher at T, student at T) (Hinton, Vinyals & Dean 2015, "Distilling the Knowledge
    in a Neural Network"); T² keeps the gradient's size. `teacher_KNC` holds log-probabilities, `distill` is a,
    [K, 1] or [K, N]. A row with a = 0 is trained without a teacher.
    """
    t_K11 = columns["temperature"].view(-1, 1, 1)
    soft_KNC = torch.softmax(teacher_KNC / t_K11, dim=-1)
    soft_KN = -(soft_KNC * log_softmax(logits_KNC / t_K11, dim=-1)).sum(-1) * t_K11.squeeze(-1).square()
    return torch.lerp(hard_KN, soft_KN, columns["distill"])


def distilled_squared(hard_KN: Tensor, values_KN1: Tensor, teacher_KN1: Tensor, columns: Columns) -> Tensor:
    """Mixes in the squared distance to the teacher's value, [K, N]."""
    soft_KN = (values_KN1 - teacher_KN1).squeeze(-1).square()
    return torch.lerp(hard_KN, soft_KN, columns["distill"])


DISTILLED: dict[str, Callable[[Tensor, Tensor, Tensor, Columns], Tensor]] = {
    "classification": distilled_cross_entropy,
    "regression": distilled_squared,
}
