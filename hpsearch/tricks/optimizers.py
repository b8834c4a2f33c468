"""Optimizers as arithmetic on θ [K, P] with one column a hyperparameter.

Each equals the torch optimizer of its name, row by row. The state is two matrices like θ: the first moment
(SGD's momentum buffer) and the second. Everything is written in place, so a slice of rows is enough.
"""

from collections.abc import Callable
from dataclasses import dataclass

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
    lr: Tensor
    weight_decay: Tensor
    momentum: Tensor
    step: Tensor  # t of each row, from 1
    unbias_1: Tensor  # 1 - β₁^t and 1 - β₂^t
    unbias_2: Tensor
    decays: bool  # whether any row has weight decay
    by_row: bool  # row after row through torch's fused kernels, which is faster on a CPU


def adamw(slab: Slab) -> None:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101): θ ← θ (1 - lr·wd) first."""
    if slab.by_row:
        _adam_by_row(slab, torch._fused_adamw_)
        return
    if slab.decays:
        slab.theta.mul_(1 - slab.lr * slab.weight_decay)
    _adam_update(slab)


def adam(slab: Slab) -> None:
    """Adam (Kingma & Ba 2015), weight decay added to the gradient as L2; at 3e-4 a safe first choice."""
    if slab.by_row:
        _adam_by_row(slab, torch._fused_adam_)
        return
    _add_l2(slab)
    _adam_update(slab)


def sgd(slab: Slab) -> None:
    """SGD with heavy-ball momentum, weight decay added to the gradient as L2 (torch.optim.SGD's form)."""
    _add_l2(slab)
    slab.first.mul_(slab.momentum).add_(slab.grad)
    slab.theta.sub_(torch.mul(slab.first, slab.lr, out=slab.work))


def _add_l2(slab: Slab) -> None:
    if slab.decays:
        slab.grad.add_(torch.mul(slab.theta, slab.weight_decay, out=slab.work))


def _adam_update(slab: Slab) -> None:
    """θ ← θ - lr·m̂ / (√v̂ + ε), the bias corrections folded into two columns."""
    slab.first.lerp_(slab.grad, 1 - BETA_1)
    slab.second.mul_(BETA_2).addcmul_(slab.grad, slab.grad, value=1 - BETA_2)
    root = slab.unbias_2.sqrt()
    torch.sqrt(slab.second, out=slab.work).add_(EPS * root)
    torch.div(slab.first, slab.work, out=slab.work).mul_(slab.lr * root / slab.unbias_1)
    slab.theta.sub_(slab.work)


def _adam_by_row(slab: Slab, kernel: Callable[..., None]) -> None:
    """One pass over a row in torch's own kernel: on a CPU a third of the time of eight passes over all rows."""
    hyper = zip(slab.lr[:, 0].tolist(), slab.weight_decay[:, 0].tolist(), strict=True)
    for k, (lr, decay) in enumerate(hyper):
        row = [[m[k]] for m in (slab.theta, slab.grad, slab.first, slab.second)]
        kernel(
            *row, [], [slab.step[k, 0]], lr=lr, beta1=BETA_1, beta2=BETA_2, weight_decay=decay, eps=EPS,
            amsgrad=False, maximize=False,
        )  # fmt: skip


def unbias(step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1 - β₁^t and 1 - β₂^t in float64; t counts from 1. In float32 the second would lose four digits."""
    return 1 - BETA_1**step, 1 - BETA_2**step


OPTIMIZERS: dict[str, Callable[[Slab], None]] = {"adam": adam, "adamw": adamw, "sgd": sgd}


def clip_(grad_KP: Tensor, limit_K: Tensor) -> None:
    """Scales each row's gradient to a Euclidean norm of at most its limit, as torch's `clip_grad_norm_` does.

    A row with limit 0 stays as it is.
    """
    norm_K = torch.linalg.vector_norm(grad_KP, dim=1)
    scale_K = (limit_K / (norm_K + 1e-6)).clamp(max=1)
    grad_KP.mul_(torch.where(limit_K > 0, scale_K, 1.0).unsqueeze(1))
