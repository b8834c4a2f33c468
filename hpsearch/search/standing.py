"""How finished trials stand: their order, and whose rows are worth their place on the disk."""

from collections.abc import Sequence
from typing import Any

MOST = 100  # candidates beyond the hundredth best are not looked at

Row = dict[str, Any]  # a trial as `ledger.row` gives it


def ranked(rows: Sequence[Row], direction: str) -> list[Row]:
    """The complete trials, best first by the study's metric, ties by log loss or rmse, then by number."""
    sign = 1 if direction == "maximize" else -1

    def rank(row: Row) -> tuple[float, float, int]:
        scores = row["outcome"]["scores"]
        proper = scores.get("log_loss", scores.get("rmse", 0.0))
        return -sign * row["value"], proper, row["number"]

    return sorted((row for row in rows if row["state"] == "complete"), key=rank)


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
