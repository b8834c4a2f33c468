"""What a net is built for, and what builds one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # an export's preprocessing is read where there is no torch
    from torch import nn

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Layout:
    """What the columns of a table's x are, [D]: the feature that one belongs to, and whether it is a number."""

    feature: np.ndarray
    number: np.ndarray

    def categories(self) -> list[list[int]]:
        """The columns of each category. A number's marker of missing values is none."""
        found = [np.flatnonzero(self.feature == feature) for feature in np.unique(self.feature)]
        return [columns.tolist() for columns in found if not self.number[columns].any()]


@dataclass(frozen=True)
class Shape:
    """The shape of one input, and the number of outputs; of a table, what its columns are."""

    inputs: tuple[int, ...]
    outputs: int
    layout: Layout | None = None


Factory = Callable[[Params, Shape], "nn.Module"]
