"""How large the checks' short runs may be: a net that costs much per example has fewer and smaller ones."""

import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

_ROW_STEPS = 27_000  # of all checks together, at their full size
_AFFORDED = 4e12  # floating-point operations of all training, a minute or so of one core
_FEWEST_IN_BATCH, _MOST_CUT = 16, 16
_FULL, _LEAST = {"train": 4000, "validation": 2000}, {"train": 1000, "validation": 500}


@dataclass(frozen=True)
class Size:
    """`cut`: a run sees one in so many of the examples that a full one sees. `rows`: of each part at most.

    `batch`: examples a step; `per_step`: how many of the steps of a full run stand for one.
    """

    cut: int = 1
    batch: int | None = None
    per_step: float = 1.0

    @property
    def rows(self) -> dict[str, int]:
        return {name: max(most // self.cut, _LEAST[name]) for name, most in _FULL.items()}

    def steps(self, full: int) -> int:
        return max(round(full / self.per_step), 1)

    @property
    def told(self) -> str:
        return f"with one example in {self.cut} of a full run, since the net is large" if self.cut > 1 else ""


def afforded(net: nn.Module, x: Tensor, batch: int) -> Size:
    """The size for a net of so many operations an example, at this batch size; counted, so that it is repeatable.

    x: a few inputs [N, …]. A step counts as three times the way forward.
    """
    counter = FlopCounterMode(display=False)
    with counter:
        net.train()(x)  # in evaluation some layers have a fast way that is not counted
    recurrent = any(isinstance(module, nn.RNNBase) for module in net.modules())  # not counted either
    least = 2 * sum(p.numel() for p in net.parameters()) * (x.shape[1] if recurrent else 1)
    needed = 3 * max(counter.get_total_flops() / len(x), least) * batch * _ROW_STEPS
    cut = min(2 ** max(math.ceil(math.log2(max(needed / _AFFORDED, 1))), 0), _MOST_CUT)
    if cut == 1:
        return Size()
    smaller = max(min(batch, _FEWEST_IN_BATCH), batch // cut)
    return Size(cut, smaller, cut * smaller / batch)
