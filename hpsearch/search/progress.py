"""What a person sees of a run while it runs, and who shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class View:
    """Trials by state, the best value so far, and of each running leg the share done and the number of rows."""

    counts: Mapping[str, int]
    best: float | None
    legs: Mapping[int, float]
    sizes: Mapping[int, int]
    stopping: bool = False

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def count(self, state: str) -> int:
        return self.counts.get(state, 0)

    @property
    def share(self) -> float:
        """The share of all work that is done, legs on their way included."""
        ended = sum(self.count(state) for state in ("complete", "pruned", "failed"))
        on_the_way = sum(share * self.sizes.get(leg, 0) for leg, share in self.legs.items())
        return min((ended + on_the_way) / max(self.total, 1), 1.0)


class Reporter(Protocol):
    """Hears of a run's course."""

    def note(self, text: str) -> None: ...

    def stage(self, name: str) -> None: ...

    def progress(self, view: View) -> None: ...


class Quiet:
    """Hears and says nothing."""

    def note(self, text: str) -> None: ...

    def stage(self, name: str) -> None: ...

    def progress(self, view: View) -> None: ...
