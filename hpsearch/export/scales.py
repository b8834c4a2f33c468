"""Factors by which the same quantity is often written otherwise: bytes, percent, thousands."""

import math

_FACTORS = (10.0, 60.0, 100.0, 255.0, 1000.0, 3600.0, 65535.0, 1e6)
_WITHIN = 1.6


def scale_between(old: float, new: float) -> float | None:
    """The common factor that leads from one spread to the other, to within 1.6 times; None when there is none."""
    if not (old > 0 and new > 0 and math.isfinite(new / old)):
        return None
    ratio = new / old
    every = [*_FACTORS, *(1 / factor for factor in _FACTORS)]
    best = min(every, key=lambda factor: abs(math.log(ratio / factor)))
    return best if abs(math.log(ratio / best)) < math.log(_WITHIN) else None
