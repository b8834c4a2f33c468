"""What is done to an input before it enters the net, fixed by the data: chosen features, another scale or size.

These are modules without parameters. A pack passes its examples through them once; an exported net has them in it.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from hpsearch import keyed

_QUANTILES, _MOST_ROWS = 128, 20_000


class Select(nn.Module):
    """The share `features` of a table's features: those that tell most of the target, each by itself.

    By their mutual information with it in the training part (Kraskov et al. 2004, as in scikit-learn). A category
    is kept as a whole. Fewer inputs overfit less; what tells only together with others is lost.
    """

    columns: Tensor

    def __init__(self, columns: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("columns", torch.from_numpy(columns))

    def forward(self, x: Tensor) -> Tensor:
        return x.index_select(1, self.columns)


class Quantile(nn.Module):
    """Numbers by their rank in the training part, as standard normal scores: `scaling: quantile`.

    Outliers and skew no longer matter, distances within a tail are lost.
    In straight pieces between 128 quantiles (scikit-learn's QuantileTransformer with normal outputs).
    """

    numbers: Tensor
    knots: Tensor
    scores: Tensor

    def __init__(self, x_ND: np.ndarray, number_D: np.ndarray) -> None:
        super().__init__()
        columns = np.flatnonzero(number_D)
        some = x_ND[keyed.sample(len(x_ND), _MOST_ROWS)]
        pieces = [_pieces(some[:, d].astype(np.float64)) for d in columns]
        most = max((len(knots) for knots, _ in pieces), default=1)
        padded = [[np.pad(part, (0, most - len(part)), mode="edge") for part in piece] for piece in pieces]
        stacked = np.array(padded, dtype=np.float32).reshape(len(columns), 2, most)
        self.register_buffer("numbers", torch.from_numpy(columns))
        self.register_buffer("knots", torch.from_numpy(stacked[:, 0].copy()))
        self.register_buffer("scores", torch.from_numpy(stacked[:, 1].copy()))

    def forward(self, x: Tensor) -> Tensor:
        given = x.index_select(1, self.numbers)
        last = self.knots.shape[1] - 1
        place = ((given.unsqueeze(-1) >= self.knots).sum(-1) - 1).clamp(0, max(last - 1, 0))
        next_ = (place + 1).clamp(max=last)
        columns = torch.arange(len(self.numbers), device=x.device)
        knots, scores = self.knots.to(x.dtype), self.scores.to(x.dtype)
        left, right = knots[columns, place], knots[columns, next_]
        share = ((given - left) / (right - left).clamp(min=1e-12)).clamp(0, 1)
        return x.index_copy(1, self.numbers, torch.lerp(scores[columns, place], scores[columns, next_], share))


def _pieces(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct quantiles of a column, and the normal scores of their ranks; equal ones share their mean rank."""
    q = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    knots, place = np.unique(np.quantile(values, q).astype(np.float32), return_inverse=True)
    rank = np.bincount(place, q) / np.bincount(place)
    return knots.astype(np.float64), (torch.erfinv(torch.from_numpy(2 * rank - 1)) * 2**0.5).numpy()


class Pieces(nn.Module):
    """Beside each number, how far along it is in each piece of its range: 0 before the piece, 1 behind it.

    `pieces` is the most that a number's range is cut into, where a decision tree on that number alone cuts it to
    predict the target, balanced by class (Gorishniy, Rubachev & Babenko 2022, arXiv 2203.05556: piecewise linear
    encoding, with bins that see the target). A net then bends where the target does, as trees do; 8 to 32. Costs
    wider inputs; on few rows it overfits. A number that the tree leaves whole gets no pieces. Noise comes first: a
    noisy number has the pieces of what it is then.
    """

    numbers: Tensor
    left: Tensor
    width: Tensor

    def __init__(self, ends: Mapping[int, np.ndarray]) -> None:
        """`ends`: of a column, where its pieces begin and end, in order, float32."""
        super().__init__()
        columns = [np.full(len(points) - 1, column) for column, points in ends.items()]
        self.register_buffer("numbers", torch.from_numpy(np.concatenate(columns)))
        self.register_buffer("left", torch.from_numpy(np.concatenate([points[:-1] for points in ends.values()])))
        self.register_buffer("width", torch.from_numpy(np.concatenate([np.diff(p) for p in ends.values()])))

    def forward(self, x: Tensor) -> Tensor:
        """x: [..., D], to [..., D and a column for each piece]."""
        given = x.index_select(-1, self.numbers)
        return torch.cat([x, ((given - self.left.to(x.dtype)) / self.width.to(x.dtype)).clamp(0, 1)], -1)


class Resize(nn.Module):
    """Images [N, C, H, W] scaled to `image_size` pixels a side, with antialiasing.

    Smaller images cost less, in the square of their size, and hide what is fine. A linear map: one matrix an axis.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, height: int, width: int, size: int) -> None:
        super().__init__()
        self.register_buffer("rows", resampling(height, size))
        self.register_buffer("columns", resampling(width, size))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.rows.to(x.dtype) @ x @ self.columns.to(x.dtype).T
        return out


def resampling(before: int, after: int) -> Tensor:
    """The matrix [after, before] of bilinear resampling with antialiasing (Pillow's)."""
    unit = torch.eye(before)[None, None]
    return interpolate(unit, (after, before), mode="bilinear", antialias=True)[0, 0].contiguous()
