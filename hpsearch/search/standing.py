"""How finished trials stand: their order, and whose rows are worth their place on the disk."""

from bisect import insort
from collections.abc import Iterable, Sequence
from typing import Any

MOST = 100  # candidates beyond the hundredth best are not looked at

Row = dict[str, Any]  # a trial as `ledger.row` gives it


def ranked(rows: Sequence[Row], direction: str) -> list[Row]:
    """The complete trials, best first by the study's metric, ties by log loss or rmse, then by number."""
    sign = 1 if direction == "maximize" else -1
    return sorted((row for row in rows if row["state"] == "complete"), key=lambda row: _rank(row, sign))


def _rank(row: Row, sign: int) -> tuple[float, float, int]:
    scores = row["outcome"]["scores"]
    proper = scores.get("log_loss", scores.get("rmse", 0.0))
    return -sign * row["value"], proper, row["number"]


def kept(rows: Sequence[Row], direction: str, budget_bytes: float) -> set[int]:
    """The trials whose rows stay on disk: the best, at most `MOST`, as many as the budget holds, one at least.

    A trial that is once out never comes in again, since others can only come before it.
    """
    numbers: set[int] = set()
    held = 0
    for row in ranked(rows, direction)[:MOST]:
        held += row["outcome"].get("bytes", 0)
        if numbers and held > budget_bytes:
            break
        numbers.add(row["number"])
    return numbers


class Standing:
    """The best trials of a search that goes on: what `kept` says of all of them, without looking at all again."""

    def __init__(self, rows: Iterable[Row], direction: str, budget_bytes: float) -> None:
        self._direction, self._budget_bytes = direction, budget_bytes
        self._sign = 1 if direction == "maximize" else -1
        self._best = ranked(list(rows), direction)[:MOST]

    @property
    def best(self) -> float | None:
        """The best value so far."""
        return self._best[0]["value"] if self._best else None

    def add(self, row: Row) -> None:
        """A trial that is complete."""
        insort(self._best, row, key=lambda one: _rank(one, self._sign))
        del self._best[MOST:]

    def kept(self, more: Sequence[Row] = ()) -> set[int]:
        """The trials whose rows stay on disk, once those in `more` are among them."""
        numbers = {row["number"] for row in more}
        return kept(
            [*more, *(row for row in self._best if row["number"] not in numbers)],
            self._direction,
            self._budget_bytes,
        )
