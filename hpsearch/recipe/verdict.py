"""What a check says: what was measured, what was expected, and what to do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hpsearch.recipe.pictures import Draw

Word = Literal["pass", "warn", "fail", "skip"]


@dataclass(frozen=True)
class Finding:
    """`rows`: numbers of rows in the source for a person to look at, the most telling first.

    `picture`: draws what was found.
    """

    verdict: Word
    measured: str
    expected: str
    advice: str = ""
    rows: tuple[int, ...] = ()
    picture: Draw | None = field(default=None, compare=False, repr=False)

    def to_json(self, name: str) -> dict[str, Any]:
        return {
            "id": name, "verdict": self.verdict, "measured": self.measured, "expected": self.expected,
            "advice": self.advice, "rows": list(self.rows),
        }  # fmt: skip


def judged(
    fails: bool,
    warns: bool,
    measured: str,
    expected: str,
    advice: str,
    rows: Iterable[int] = (),
    picture: Draw | None = None,
) -> Finding:
    """The worst that holds; advice and rows are told only with a verdict that asks for something."""
    if not fails and not warns:
        return Finding("pass", measured, expected, picture=picture)
    found = tuple(int(row) for row in rows)
    return Finding("fail" if fails else "warn", measured, expected, advice, found, picture)


def skipped(why: str) -> Finding:
    return Finding("skip", why, "")


def some(names: Sequence[object], most: int = 5) -> str:
    """`a, b, c and 4 more`."""
    told = ", ".join(str(name) for name in names[:most])
    return told if len(names) <= most else f"{told} and {len(names) - most} more"


def percent(share: float) -> str:
    """A share as a percentage, `0.42 %`, `12 %`: never `0 %` of something, nor `100 %` of not all."""
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    digits = 0 if 0.1 <= share <= 0.9 else 1 if 0.01 <= share <= 0.99 else 2
    return f"{100 * share:.{digits}f} %"
