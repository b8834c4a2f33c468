"""Examples mixed with others of their batch, inputs and targets alike.

Shapes: K rows, N examples; images [K, N, C, H, W].
"""

import numpy as np
import torch
from scipy.special import betaincinv
from torch import Tensor

from hpsearch.tricks.augment import box

_STEPS = 1024  # quantiles of a Beta distribution that are kept


def mixup(x_KN: Tensor, other_KN: Tensor, share_KN: Tensor) -> Tensor:
    """mixup: an input is λ of itself and 1 - λ of another, and so is its target (Zhang et al. 2018, 1710.09412).

    `mixup` is α of λ ~ Beta(α, α), each example its own; usual are 0.1 to 1, small ones for tables. Costs a pass
    over the inputs. Wants longer training; with label smoothing or a large focal γ it can be too much.
    """
    return torch.lerp(other_KN, x_KN, share_KN.view(*share_KN.shape, *(1,) * (x_KN.dim() - 2)))


def cutmix(x_KNCHW: Tensor, other_KNCHW: Tensor, share_KN: Tensor, u_KN2: Tensor) -> tuple[Tensor, Tensor]:
    """cutmix: a rectangle of another image is pasted in; targets by area (Yun et al. 2019, arXiv 1905.04899).

    `cutmix` is α of λ ~ Beta(α, α), the share of the image that stays; 1 is usual. The rectangle's middle may lie
    anywhere, and what juts out is cut off: gives the images, and the shares as they then are. For photographs more
    than for digits.
    """
    height, width = x_KNCHW.shape[-2:]
    side_KN = torch.sqrt(1 - share_KN)
    tops, sizes = [], []
    for u_KN, size in ((u_KN2[..., 0], height), (u_KN2[..., 1], width)):
        middle_KN, half_KN = torch.floor(u_KN * size), torch.floor(side_KN * size) / 2
        first = torch.floor(middle_KN - half_KN).clamp(0, size)
        tops.append(first)
        sizes.append(torch.floor(middle_KN + half_KN).clamp(0, size) - first)
    pasted_KNHW = box((height, width), tops[0], tops[1], sizes[0], sizes[1])
    stays_KN = 1 - sizes[0] * sizes[1] / (height * width)
    return torch.where(pasted_KNHW.unsqueeze(2), other_KNCHW, x_KNCHW), stays_KN


def beta_table(alpha_K: np.ndarray) -> np.ndarray:
    """Quantiles [K, 1024] of Beta(α, α), from 0 to 1; 1 throughout where α is 0."""
    q = (np.arange(_STEPS) + 0.5) / _STEPS
    safe = np.where(alpha_K > 0, alpha_K, 1.0)[:, None]
    return np.where(alpha_K[:, None] > 0, betaincinv(safe, safe, q), 1.0)


def beta(table_KQ: Tensor, u_KN: Tensor) -> Tensor:
    """Draws [K, N] of the rows' Beta distributions from uniform numbers."""
    return table_KQ.gather(1, (u_KN * table_KQ.shape[1]).long())
