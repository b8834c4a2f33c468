"""The plan: which trials form a pack, which way they go forward, and with how many threads.

It is decided once and written to `plan.json`; a later launch, another machine or another number of workers
that takes the same plan computes the same numbers.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from hpsearch.errors import UserError, choices
from hpsearch.files import write_json
from hpsearch.pack.forward import TRAIN
from hpsearch.pack.probe import Probe

_VERSION = 2
_PACKS_A_WORKER = 2  # so that no worker waits long for the last one


@dataclass(frozen=True)
class Leg:
    """Some rows of one shape, from where they are to their end: the unit of work, one Ray Tune trial."""

    leg: Annotated[int, Field(ge=0)]
    trials: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    forward: str
    threads: Annotated[int, Field(ge=1, le=4096)]
    row_ms: float
    why: str
    after: tuple[int, ...] = ()  # the legs that were split until it came to this one, the nearest first

    __pydantic_config__ = ConfigDict(extra="forbid")

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "Leg":
        """A leg from plain values, whoever wrote them.

        Raises:
            ValueError: they are no leg's.
        """
        try:
            leg = TypeAdapter(cls).validate_python(dict(entry))
        except ValidationError as error:
            fault = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None
        if leg.forward not in TRAIN:
            raise ValueError(f"forward: {leg.forward!r} is not known; {choices(TRAIN)}")
        return leg


@dataclass(frozen=True)
class Plan:
    legs: tuple[Leg, ...]

    @property
    def trials(self) -> set[int]:
        return {trial for leg in self.legs for trial in leg.trials}

    def latest(self) -> list[Leg]:
        """The legs that were not split into others."""
        split = {leg.after[0] for leg in self.legs if leg.after}
        return [leg for leg in self.legs if leg.leg not in split]

    def write(self, path: Path) -> None:
        write_json(path, {"version": _VERSION, "legs": [asdict(leg) for leg in self.legs]})

    def extended(self, more: Iterable[Leg]) -> "Plan":
        return Plan((*self.legs, *more))

    def halves(self, leg: Leg, why: str) -> list[Leg]:
        """The two legs that take over a leg's rows."""
        middle = (len(leg.trials) + 1) // 2
        parts = [leg.trials[:middle], leg.trials[middle:]]
        first = max(known.leg for known in self.legs) + 1
        why, after = f"half of leg {leg.leg}: {why}", (leg.leg, *leg.after)
        return [
            Leg(first + i, part, leg.forward, leg.threads, leg.row_ms, why, after) for i, part in enumerate(parts)
        ]


def read(path: Path) -> Plan:
    """A plan from its file.

    Raises:
        UserError: it is not one.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if value["version"] != _VERSION:
            raise UserError(f"{path}: is a plan of version {value['version']}; this hpsearch reads {_VERSION}")
        plan = Plan(tuple(Leg.from_json(entry) for entry in value["legs"]))
        named = Counter(trial for leg in plan.latest() for trial in leg.trials)
        if named and named.most_common(1)[0][1] > 1:
            raise ValueError(f"trial {named.most_common(1)[0][0]} is in two legs")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: is not a plan: {error}") from None
    return plan


def by_shape(params: Mapping[int, Mapping[str, Any]], structural: Sequence[str]) -> dict[str, list[int]]:
    """Trials of each shape, in order of their numbers; the shape is the values of the structural parameters."""
    groups: dict[str, list[int]] = {}
    for number in sorted(params):
        shape = ", ".join(f"{name} {params[number][name]}" for name in structural)
        groups.setdefault(shape, []).append(number)
    return groups


def pack(
    groups: Mapping[str, Sequence[int]],
    probes: Mapping[str, Probe],
    workers: int,
    cpus: int,
    first: int = 0,
    most: Mapping[str, int] | None = None,
) -> list[Leg]:
    """Cuts each shape's trials into packs of even size, at most as many rows as its probe found best.

    When that leaves too few packs to keep the workers busy, the packs that take longest are halved. Legs come
    longest first.

    `most` are numbers of rows that a search with a timeout can train to their end. Its legs come in the order of
    their trials: what is finished when it is over is then no matter of size.
    """
    packs: list[tuple[str, list[int]]] = []
    for shape, trials in groups.items():
        rows = min(probes[shape].rows, len(trials) if most is None else most[shape])
        count = math.ceil(len(trials) / max(rows, 1))
        packs += [(shape, list(part)) for part in _even(trials, count)]

    def cost(entry: tuple[str, list[int]]) -> float:
        return probes[entry[0]].row_ms * len(entry[1])

    goal = sum(map(cost, packs)) / (workers * _PACKS_A_WORKER)
    while True:
        longest = max(packs, key=cost)
        if cost(longest) <= goal or len(longest[1]) < 4 or workers == 1:
            break
        packs.remove(longest)
        packs += [(longest[0], list(part)) for part in _even(longest[1], 2)]
    packs.sort(key=lambda entry: (-cost(entry) if most is None else 0.0, entry[1][0]))
    threads = max(1, cpus // max(workers, 1)) if len(packs) >= workers else max(1, cpus // len(packs))
    return [
        Leg(first + i, tuple(trials), probes[shape].forward, threads, probes[shape].row_ms, probes[shape].why)
        for i, (shape, trials) in enumerate(packs)
    ]


def singles(trials: Iterable[int], threads: int, first: int = 0) -> list[Leg]:
    """A leg for each trial, in order: of those that a function of the user's own trains."""
    why = "a training function of the user's own"
    return [Leg(first + i, (trial,), "loop", threads, 1.0, why) for i, trial in enumerate(trials)]


def _even(trials: Sequence[int], count: int) -> list[Sequence[int]]:
    bounds = [round(i * len(trials) / count) for i in range(count + 1)]
    return [trials[a:b] for a, b in pairwise(bounds)]
