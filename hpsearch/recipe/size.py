"""How large the checks' short runs may be: a net that costs much per example has fewer and smaller ones."""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

_ROW_STEPS = 27_000  # of all checks together, at their full size
_AFFORDED = 4e12  # floating-point operations of all training, a minute or so of one core
_OF_CONVOLUTION = 4  # a narrow one does so many times less in a second than a product does
_OF_CALL = 5e5  # what calling an operation takes, however little it does, in operations of a product
_FEWEST_IN_BATCH, _MOST_CUT = 16, 16
_WIDE = 2e7  # floating-point operations of one that is called, about a millisecond of one core
_FULL, _LEAST = {"train": 4000, "validation": 2000}, {"train": 1000, "validation": 500}


@dataclass(frozen=True)
class Size:
    """`cut`: a run sees one in so many of the examples that a full one sees. `rows`: of each part at most.

    `batch`: examples a step; `per_step`: how many of the steps of a full run stand for one. `wide`: whether the
    operations of a step are large enough for several threads.
    """

    cut: int = 1
    batch: int | None = None
    per_step: float = 1.0
    wide: bool = False

    @property
    def rows(self) -> dict[str, int]:
        return {name: max(most // self.cut, _LEAST[name]) for name, most in _FULL.items()}

    def steps(self, full: int) -> int:
        return max(round(full / self.per_step), 1)

    @property
    def told(self) -> str:
        return f"with one example in {self.cut} of a full run, since the net is large" if self.cut > 1 else ""


class _Calls(TorchDispatchMode):
    """Counts the operations that are called."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def afforded(net: nn.Module, x: Tensor, batch: int) -> Size:
    """The size for a net of so many operations an example, at this batch size; counted, so that it is repeatable.

    x: a few inputs [N, …]. A step counts as three times the way forward.
    """
    counter, calls = FlopCounterMode(display=False), _Calls()
    with calls, counter:
        net.train()(x)  # in evaluation some layers have a fast way that is not counted
    recurrent = any(isinstance(module, nn.RNNBase) for module in net.modules())  # not counted either
    least = 2 * sum(p.numel() for p in net.parameters()) * (x.shape[1] if recurrent else 1)
    counted = counter.get_flop_counts().get("Global", {})
    convolutions = sum(count for operation, count in counted.items() if "convolution" in str(operation))
    forward = counter.get_total_flops() + (_OF_CONVOLUTION - 1) * convolutions
    needed = 3 * (max(forward / len(x), least) * batch + _OF_CALL * calls.count) * _ROW_STEPS
    cut = min(2 ** max(math.ceil(math.log2(max(needed / _AFFORDED, 1))), 0), _MOST_CUT)
    smaller = max(min(batch, _FEWEST_IN_BATCH), batch // cut)
    wide = max(forward / len(x), least) * smaller / max(calls.count, 1) > _WIDE
    return Size(wide=wide) if cut == 1 else Size(cut, smaller, cut * smaller / batch, wide)
