"""What is known of a search while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Progress:
    """What runs now: by leg, the share done. And whether the launch is to stop."""

    legs: dict[int, float] = field(default_factory=dict)
    stopping: bool = False


@dataclass(frozen=True)
class View:
    """What a person sees of a running search: the ledger's rows, and how far the running legs are.

    `sizes`: trials of each running leg; `sign`: 1 when more of the metric is better, else -1.
    """

    rows: list[dict[str, Any]]
    sign: int
    legs: Mapping[int, float] = field(default_factory=dict)
    sizes: Mapping[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return len(self.rows)

    @property
    def best(self) -> float | None:
        values = [float(row["value"]) for row in self.rows if row["value"] is not None]
        return max(values, key=lambda value: self.sign * value) if values else None

    def count(self, state: str) -> int:
        return sum(row["state"] == state for row in self.rows)

    @property
    def share(self) -> float:
        """The share of all work that is done, legs on their way included."""
        ended = sum(self.count(state) for state in ("complete", "pruned", "failed"))
        on_the_way = sum(share * self.sizes[leg] for leg, share in self.legs.items() if leg in self.sizes)
        return min((ended + on_the_way) / max(self.total, 1), 1.0)
