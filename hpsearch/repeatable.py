"""User code that draws random numbers without a seed, made repeatable."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_SEED = 20_260_101


@contextmanager
def fixed_generators() -> Iterator[None]:
    """Start the global generators of Python, numpy and torch from a fixed state; restore their states afterwards.

    A generator of its own without a seed, such as `default_rng()`, stays random.
    """
    before, before_numpy = random.getstate(), np.random.get_state()
    torch = _torch()
    before_torch = None if torch is None else torch.get_state()
    random.seed(_SEED)
    np.random.seed(_SEED)
    if torch is not None:
        torch.manual_seed(_SEED)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)
        if torch is not None:
            torch.set_state(before_torch)


def _torch() -> Any:
    """The CPU generator of torch, if torch is imported; later it starts from a fixed seed of its own."""
    torch = sys.modules.get("torch")
    return None if torch is None else torch.default_generator
