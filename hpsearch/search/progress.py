"""What a person sees of a run while it runs, and who shows it."""

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol


@dataclass(frozen=True)
class View:
    """Trials by state, the best value so far, and of each running leg the share done and the number of rows."""

    counts: Mapping[str, int]
    best: float | None
    legs: Mapping[int, float]
    sizes: Mapping[int, int]
    stopping: bool = False
    planned: bool = False
    even: ClassVar[bool] = True

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

    @property
    def told(self) -> str:
        best = f", best {self.best:.4g}" if self.best is not None else ""
        finished = f"{self.count('complete')} of {self.total} trials finished, {self.count('failed')} failed{best}"
        return f"{finished}, {100 * self.share:.0f} %"


@dataclass(frozen=True)
class Looking:
    """The check that is run now, and how many there are before it and in all."""

    name: str
    before: int
    total: int
    even: ClassVar[bool] = False

    @property
    def share(self) -> float:
        return self.before / self.total

    @property
    def told(self) -> str:
        return f"check {self.name}, {self.before + 1} of {self.total}"


class Seen(Protocol):
    """How far something is, and that in words; `even`: whether what is left will take its share of the time."""

    even: ClassVar[bool]

    @property
    def share(self) -> float: ...

    @property
    def told(self) -> str: ...


class Reporter(Protocol):
    """Hears of a run's course."""

    def note(self, text: str) -> None: ...

    def stage(self, name: str) -> None: ...

    def progress(self, view: Seen) -> None: ...


class Quiet:
    """Hears and says nothing."""

    def note(self, text: str) -> None: ...

    def stage(self, name: str) -> None: ...

    def progress(self, view: Seen) -> None: ...


_BEGUN = "a launch begins"


def stage_of(log: str) -> str | None:
    """The stage that the latest launch in a log entered last, or None before its first."""
    stages = re.findall(r"^\S+ \S+ stage: (\w+)$", log.rpartition(f" {_BEGUN}, ")[2], re.MULTILINE)
    return stages[-1] if stages else None


class Logged:
    """Passes on what it hears, and writes notes and stages into a log, with the time."""

    def __init__(self, reporter: Reporter, path: Path) -> None:
        self._to, self._path = reporter, path

    def __enter__(self) -> "Logged":
        self._log = logging.getLogger(f"hpsearch.launch.{self._path}")
        self._log.propagate = False
        self._log.setLevel(logging.INFO)
        self._file = logging.FileHandler(self._path, encoding="utf-8", errors="backslashreplace")
        self._file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        self._log.addHandler(self._file)
        self.remember(f"{_BEGUN}, process {os.getpid()}")
        return self

    def __exit__(self, *_: object) -> None:
        self._log.removeHandler(self._file)
        self._file.close()

    def note(self, text: str) -> None:
        self.remember(text)
        self._to.note(text)

    def remember(self, text: str) -> None:
        """Writes down what was said before there was a log."""
        self._log.info("%s", text)

    def stage(self, name: str) -> None:
        self._log.info("stage: %s", name)
        self._to.stage(name)

    def progress(self, view: Seen) -> None:
        self._to.progress(view)
