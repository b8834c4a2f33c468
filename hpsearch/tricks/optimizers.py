"""Optimizers as arithmetic on θ [K, P] with one column a hyperparameter.

Each equals the torch optimizer of its name, row by row. The state is two matrices like θ: the first moment
(SGD's momentum buffer) and the second. Everything is written in place, so a slice of rows is enough.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

BETA_1, BETA_2, EPS = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Slab:
    """Some rows of the matrices in training: views, written in place. Columns are [K, 1]."""

    theta: Tensor
    grad: Tensor
    first: Tensor
    second: Tensor
    work: Tensor
    weight_decay: Tensor
    momentum: Tensor
    by_row: bool  # row after row through torch's fused kernels, which is faster on a CPU

    @cached_property
    def decays(self) -> bool:
        """Whether any row has weight decay."""
        return bool((self.weight_decay > 0).any())

    @cached_property
    def rows(self) -> list[tuple[list[Tensor], ...]]:
        """Each row's part of θ, gradient and moments, as torch's kernels take them."""
        matrices = (self.theta, self.grad, self.first, self.second)
        return [tuple([row] for row in parts) for parts in zip(*(m.unbind() for m in matrices), strict=True)]

    @cached_property
    def decay_of_rows(self) -> list[float]:
        return self.weight_decay[:, 0].tolist()


@dataclass(frozen=True)
class Now:
    """What a step brings, in columns [K, 1]: `step` is t of each row, from 1; `unbias_i` is 1 - βᵢ^t."""

    lr: Tensor
    step: Tensor
    unbias_1: Tensor
    unbias_2: Tensor

    def of(self, rows: slice) -> "Now":
        return Now(self.lr[rows], self.step[rows], self.unbias_1[rows], self.unbias_2[rows])


def adamw(slab: Slab, now: Now) -> None:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101): θ ← θ (1 - lr·wd) first."""
    if slab.by_row:
        _adam_by_row(slab, now, torch._fused_adamw_)
        return
    if slab.decays:
        slab.theta.mul_(1 - now.lr * slab.weight_decay)
    _adam_update(slab, now)


def adam(slab: Slab, now: Now) -> None:
    """Adam (Kingma & Ba 2015), weight decay added to the gradient as L2; at 3e-4 a safe first choice."""
    if slab.by_row:
        _adam_by_row(slab, now, torch._fused_adam_)
        return
    _add_l2(slab)
    _adam_update(slab, now)


def sgd(slab: Slab, now: Now) -> None:
    """SGD with heavy-ball momentum, weight decay added to the gradient as L2 (torch.optim.SGD's form)."""
    _add_l2(slab)
    slab.first.mul_(slab.momentum).add_(slab.grad)
    slab.theta.sub_(torch.mul(slab.first, now.lr, out=slab.work))


def nesterov(slab: Slab, now: Now) -> None:
    """SGD with Nesterov's momentum, weight decay as L2 (torch.optim.SGD's form; Sutskever et al. 2013).

    It looks ahead: the step is g + μ m with the momentum m that has taken g in.
    """
    _add_l2(slab)
    slab.first.mul_(slab.momentum).add_(slab.grad)
    torch.mul(slab.first, slab.momentum, out=slab.work).add_(slab.grad)
    slab.theta.sub_(slab.work.mul_(now.lr))


def _add_l2(slab: Slab) -> None:
    if slab.decays:
        slab.grad.add_(torch.mul(slab.theta, slab.weight_decay, out=slab.work))


def _adam_update(slab: Slab, now: Now) -> None:
    """θ ← θ - lr·m̂ / (√v̂ + ε), the bias corrections folded into two columns."""
    slab.first.lerp_(slab.grad, 1 - BETA_1)
    slab.second.mul_(BETA_2).addcmul_(slab.grad, slab.grad, value=1 - BETA_2)
    root = now.unbias_2.sqrt()
    torch.sqrt(slab.second, out=slab.work).add_(EPS * root)
    torch.div(slab.first, slab.work, out=slab.work).mul_(now.lr * root / now.unbias_1)
    slab.theta.sub_(slab.work)


def _adam_by_row(slab: Slab, now: Now, kernel: Callable[..., None]) -> None:
    """One pass over a row in torch's own kernel: on a CPU a third of the time of eight passes over all rows."""
    hyper = zip(now.lr[:, 0].tolist(), slab.decay_of_rows, now.step[:, 0].unbind(), strict=True)
    for row, (lr, decay, step) in zip(slab.rows, hyper, strict=True):
        kernel(
            *row, [], [step], lr=lr, beta1=BETA_1, beta2=BETA_2, weight_decay=decay, eps=EPS,
            amsgrad=False, maximize=False,
        )  # fmt: skip


def unbias(step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1 - β₁^t and 1 - β₂^t in float64; t counts from 1. In float32 the second would lose four digits."""
    return 1 - BETA_1**step, 1 - BETA_2**step


OPTIMIZERS: dict[str, Callable[[Slab, Now], None]] = {
    "adam": adam, "adamw": adamw, "sgd": sgd, "nesterov": nesterov,
}  # fmt: skip


def clip_(grad_KP: Tensor, limit_K: Tensor) -> None:
    """Scales each row's gradient to a Euclidean norm of at most its limit, as torch's `clip_grad_norm_` does.

    A row with limit 0 stays as it is.
    """
    norm_K = torch.linalg.vector_norm(grad_KP, dim=1)
    scale_K = (limit_K / (norm_K + 1e-6)).clamp(max=1)
    grad_KP.mul_(torch.where(limit_K > 0, scale_K, 1.0).unsqueeze(1))
