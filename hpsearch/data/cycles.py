"""Where points in time are in the day, the week and the year."""

import numpy as np

DAY = 86400.0
CYCLES = {"day": DAY, "week": 7 * DAY, "year": 365.2425 * DAY}  # seconds
_LEAST_ARC = 1 / 50  # of a period: what varies by less has no part of the cycle worth an input


def phase(seconds: np.ndarray, period: float | np.ndarray) -> np.ndarray:
    """Where in a cycle that began at 1970 each value is, above -1 and below 1; before 1970 it is negative."""
    return np.asarray(np.fmod(seconds, period) / period)


def cycles_of(seconds: np.ndarray, style: str) -> tuple[str, ...]:
    """The cycles in which values vary: by more than a fiftieth of the period, seen as an arc of a circle."""
    names = ("day",) if style == "time" else tuple(CYCLES)
    return tuple(name for name in names if _arc(phase(seconds, CYCLES[name])) > _LEAST_ARC)


def _arc(phases: np.ndarray) -> float:
    """The share of the circle that the shortest arc takes which holds all phases."""
    places = np.unique(phases % 1)
    return 0.0 if len(places) < 2 else float(1 - np.diff(places, append=places[0] + 1).max())
