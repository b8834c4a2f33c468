"""Layers that hold a per-row hyperparameter as a 0-dim buffer, so that stacked buffers carry one value a row.

The same module serves one row or many: nothing here knows of packs.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Dropout: in training each unit is 0 with this probability, the others grow (Srivastava et al. 2014).

    Usual are 0.1 to 0.5. Costs a mask a layer, and slows learning; beside batch norm it is flagged.
    """

    # A mask is a buffer in the shape of the input (0 or 1 / (1 - p)); who trains the net fills it before each
    # step. Until then it is a 0-dim one: nothing is dropped. A layer that a net calls several times in one pass
    # has a mask for each call: `count_calls` before a pass, then `expect` with what was counted.
    p: Tensor
    mask: Tensor

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("p", torch.tensor(float(p)), persistent=False)
        self.register_buffer("mask", torch.tensor(1.0), persistent=False)
        self._calls, self._turn = 1, 0

    @staticmethod
    def mask_name(call: int) -> str:
        return f"mask_{call}" if call else "mask"

    def mask_shape(self, inputs: torch.Size) -> torch.Size:
        """Of one mask, for an input of this shape."""
        return inputs

    def count_calls(self) -> None:
        """Lets the next pass through as it is, while its calls are counted."""
        self._calls = 0

    def expect(self, calls: int) -> None:
        """From now on, call i of a pass has the mask `mask_name(i)`."""
        self._calls, self._turn = max(calls, 1), 0

    def restart(self) -> None:
        """Begins a pass with its first call, wherever the last pass broke off."""
        self._turn = 0

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self._calls == 0:
            return x
        mask: Tensor = getattr(self, self.mask_name(self._turn))
        self._turn = (self._turn + 1) % self._calls
        return x * mask.view(mask.shape + (1,) * (x.dim() - mask.dim() if mask.dim() else 0))


class SpatialDropout(Dropout):
    """Drops whole channels of images [N, C, ...] (Tompson et al. 2015): neighbouring pixels say the same."""

    def mask_shape(self, inputs: torch.Size) -> torch.Size:
        return inputs[:2]


class Skip(nn.Module):
    """Adds `gate` times an earlier activation: gate 1 is a skip connection (He et al. 2016), gate 0 is none."""

    gate: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("gate", torch.tensor(0.0))

    def forward(self, x: Tensor, earlier: Tensor) -> Tensor:
        return x + self.gate * earlier


def batch_norm(width: int) -> nn.Module:
    """Batch norm: each unit standardised over the batch (Ioffe & Szegedy 2015, arXiv 1502.03167).

    Trains faster and deeper; wants batches of 16 or more. Beside dropout its statistics differ between training
    and evaluation (Li et al. 2019, arXiv 1801.05134): a launch says so.
    """
    return nn.BatchNorm1d(width)


def layer_norm(width: int) -> nn.Module:
    """Layer norm: an example's units standardised over themselves (Ba et al. 2016, arXiv 1607.06450).

    Does not depend on the batch.
    """
    return nn.LayerNorm(width)


def group_norm(width: int) -> nn.Module:
    """Group norm: an example's channels standardised in groups (Wu & He 2018, arXiv 1803.08494).

    Does not depend on the batch, so it stands small ones. At most 8 groups of equal size, of 4 channels at least:
    a single number has no spread.
    """
    groups = next(g for g in (8, 4, 2, 1) if width % g == 0 and (width // g >= 4 or g == 1))
    return nn.GroupNorm(groups, width)


NORMS: dict[str, Callable[[int], nn.Module]] = {  # of [N, W]
    "none": nn.Identity,
    "batch": batch_norm,
    "group": group_norm,
    "layer": layer_norm,
}
IMAGE_NORMS: dict[str, Callable[[int], nn.Module]] = {  # of [N, C, H, W]
    "none": lambda width: nn.Identity(),
    "batch": nn.BatchNorm2d,
    "group": group_norm,
    "layer": lambda width: nn.GroupNorm(1, width),
}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "leaky": nn.LeakyReLU,
}  # fmt: skip
HEADS = ("pooled", "dense")
