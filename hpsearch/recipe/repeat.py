"""R1: the same seed gives the same numbers."""

import torch

from hpsearch.recipe.bench import Bench
from hpsearch.recipe.verdict import Finding, judged


def same_seed(bench: Bench) -> Finding:
    """R1: two short runs from one seed end in the same weights and predictions, to the bit."""
    one, two = (bench.run([{}], 30) for _ in range(2))
    fresh = [
        [p.detach() for p in bench.net().parameters()] + [b.detach() for b in bench.net().buffers()]
        for _ in range(2)
    ]
    start = max((_apart(a, b) for a, b in zip(*fresh, strict=True)), default=0.0)
    pairs = zip(one.nets[0].parameters(), two.nets[0].parameters(), strict=True)
    end = max(_apart(a.detach(), b.detach()) for a, b in pairs)
    predictions = _apart(one.predicted, two.predicted)
    return judged(
        max(start, end, predictions) > 0, False,
        f"largest difference {start:.2g} in the first weights, {end:.2g} in the last, {predictions:.2g} in "
        "predictions",
        "0",
        "something draws random numbers without the seed: in the net's code use torch's generator alone, and no "
        "NumPy or Python randomness",
    )  # fmt: skip


def _apart(a: torch.Tensor, b: torch.Tensor) -> float:
    if a.shape != b.shape:
        return float("inf")
    same = (a == b) | (a.isnan() & b.isnan()) if a.is_floating_point() else a == b
    return 0.0 if bool(same.all()) else float((a.double() - b.double()).abs().nan_to_num(torch.inf).max())
