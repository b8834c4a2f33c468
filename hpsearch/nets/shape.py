"""What a net is built for, and what builds one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Shape:
    """The shape of one input, and the number of outputs."""

    inputs: tuple[int, ...]
    outputs: int


Factory = Callable[[Params, Shape], nn.Module]
