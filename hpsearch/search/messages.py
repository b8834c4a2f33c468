"""What the driver, the legs and the ledger tell each other; light to import, since every worker does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpsearch.errors import RunError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Entry:
    """A drawn trial: what Optuna records of it, and the parameters that have one value in the whole study."""

    params: Mapping[str, Any]
    distributions: "Mapping[str, BaseDistribution]"
    fixed: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: its best epoch's scores on the validation part, or why it failed."""

    value: float | None
    scores: dict[str, float]
    best_epoch: int | None
    epochs: int
    seconds: float
    leg: int
    failure: str | None = None
    bytes: int = 0  # of its row on disk


@dataclass(frozen=True)
class Failure:
    """Why a leg came to nothing. Kinds: error, memory, full (the disk), death (of the worker), hang.

    `signature` is of errors alone, and None of one that may be gone at another try.
    """

    kind: str
    text: str
    signature: str | None = None  # the same for an error that recurs


def words(error: BaseException) -> str:
    """What an error says, in a line; of one that came from an actor, what its cause says."""
    cause = getattr(error, "cause", None)
    return " ".join(str(cause if isinstance(cause, BaseException) else error).split())


class StaleLaunchError(RunError):
    """A worker of an earlier launch spoke to the ledger of a later one."""
