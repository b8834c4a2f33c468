"""Rows on disk: what a trial needs to go on, or to be used, in one safetensors file a leg.

Each row has a hash over its record and its tensors, which is checked whenever the row is read. Records are kept
of every row; the tensors of rows that nobody needs any more are left out (`thin`).
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hpsearch.errors import DamagedError
from hpsearch.files import write_with


@dataclass
class Record:
    """What is known of a trial's training so far, beside its tensors.

    `curve` has one entry an evaluation: [epoch, training loss, validation metric, validation log loss or rmse];
    `average_curve` of averaged weights: [epoch, metric, log loss or rmse]; `snapshots` the scores by epoch.
    `best_kind`: best, or average where the averaged weights of that epoch were better. `stopped`: its patience was
    over. `fold`: the one that is held out, where a trial is cross-validated and has a row for each; `together`:
    the scores of what all of them predict of what they held out, once they have ended.
    """

    trial: int
    params: Mapping[str, Any]
    epoch: int = 0
    best_epoch: int | None = None
    best: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    failure: str | None = None
    curve: list[list[float | None]] = field(default_factory=list)
    average_curve: list[list[float | None]] = field(default_factory=list)
    snapshots: dict[str, dict[str, float]] = field(default_factory=dict)
    best_kind: str = "best"
    stopped: bool = False
    own: bool = False  # trained by a function of the user's own, which says when it ends
    fold: int | None = None
    together: dict[str, float] = field(default_factory=dict)
    saved_at: int | None = None  # the step after which a training function of the user's own saved predictions

    @property
    def name(self) -> str:
        return str(self.trial) if self.fold is None else f"{self.trial}.{self.fold}"

    @property
    def seed(self) -> int:
        """What the row's random numbers are keyed by, beside the study's seed."""
        return self.trial if self.fold is None else self.trial + ((self.fold + 1) << 40)

    @property
    def ended(self) -> bool:
        """Whether it failed, stopped early or reached its last epoch."""
        return self.failure is not None or self.stopped or (not self.own and self.epoch >= self.last_epoch)

    @property
    def last_epoch(self) -> int:
        """The epoch after which it ends: its params' `epochs`, of which its schedule is made, or `stop` before."""
        return int(self.params.get("stop") or self.params["epochs"])


@dataclass(frozen=True)
class RowState:
    """One trial's row, off the matrix.

    Tensors: `theta`, `first`, `second` [P]; `buffer.NAME`; `best.theta`, `best.buffer.NAME` at the best epoch;
    `best.prediction`, the best epoch's validation log-probabilities [N, C] float32, or values [N] float64;
    `average.theta`; `snapshot.EPOCH.theta`, `snapshot.EPOCH.buffer.NAME`, `snapshot.EPOCH.prediction`.
    None at all where a row has not begun, or was thinned.
    """

    record: Record
    tensors: dict[str, Tensor]

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors.values())


@dataclass(frozen=True)
class Head:
    """A rows' file without its tensors: each row's record, which rows have tensors, and what the file is of."""

    records: list[Record]
    stored: set[int]
    about: dict[str, Any]
    hashes: dict[str, str] = field(repr=False)  # by the rows' names

    def ended(self) -> set[int]:
        """The trials all of whose rows have ended."""
        return {r.trial for r in self.records} - {r.trial for r in self.records if not r.ended}


def store(path: Path, states: Iterable[RowState], about: Mapping[str, Any] | None = None) -> None:
    """Writes the rows' file, whole or not at all. `about`: plain values that are kept with it.

    Raises:
        DiskFullError: there is no room; the old file is whole.
    """
    rows = [
        (state.record, {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()})
        for state in states
    ]
    head = {
        "records": [asdict(record) for record, _ in rows],
        "sha256": [_hash(record, tensors) for record, tensors in rows],
        "about": dict(about or {}),
    }
    named = {f"{record.name}/{name}": tensor for record, tensors in rows for name, tensor in tensors.items()}
    metadata = {"rows": json.dumps(head, allow_nan=False)}
    write_with(path, lambda beside: save_file(named, beside, metadata=metadata))


def head(path: Path) -> Head:
    """What a rows' file holds, without reading its tensors.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedError: it is no rows' file, or a part of one.
    """
    with _opened(path) as file:
        return _head(file)


def load(
    path: Path, trials: Collection[int] | None = None, wanted: Callable[[str], bool] = lambda name: True
) -> list[RowState]:
    """The rows of these trials (all, when not named), in the file's order, each held against its hash.

    Of each, the tensors whose names are `wanted`.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedError: it is no rows' file, a part of one, or a row is not as it was written.
    """
    with _opened(path) as file:
        known = _head(file)
        names: dict[str, list[str]] = {record.name: [] for record in known.records}
        for key in file.keys():  # noqa: SIM118  (no mapping)
            names[key.partition("/")[0]].append(key)
        states = []
        for record in known.records:
            if trials is not None and record.trial not in trials:
                continue
            tensors = {key.partition("/")[2]: file.get_tensor(key) for key in names[record.name]}
            if _hash(record, tensors) != known.hashes[record.name]:
                raise DamagedError(f"{path}: the row of trial {record.trial} is not as it was written")
            states.append(RowState(record, {name: tensor for name, tensor in tensors.items() if wanted(name)}))
        return states


def thin(path: Path, keep: Collection[int]) -> bool:
    """Leaves out the tensors of all rows but these; gives whether there were any. Records stay."""
    known = head(path)
    if known.stored <= set(keep):
        return False
    states = [s if s.record.trial in keep else RowState(s.record, {}) for s in load(path)]
    store(path, states, known.about)
    return True


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A rows' file, open; whatever is wrong with its bytes is a DamagedError."""
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from None


def _head(file: Any) -> Head:
    value = json.loads(file.metadata()["rows"])
    records = [_sound(Record(**entry)) for entry in value["records"]]
    hashes = dict(zip((record.name for record in records), value["sha256"], strict=True))
    stored = {int(key.partition("/")[0].partition(".")[0]) for key in file.keys()}  # noqa: SIM118  (no mapping)
    return Head(records, stored, value["about"], hashes)


def _sound(record: Record) -> Record:
    """A record as it is; an error where its fields are of other types than we write."""
    kinds: dict[str, Any] = {
        "trial": int,
        "params": dict,
        "epoch": int,
        "best": dict,
        "failure": str | None,
        "curve": list,
    }
    kinds |= {"average_curve": list, "snapshots": dict, "best_kind": str, "stopped": bool, "own": bool}
    kinds |= {"fold": int | None, "together": dict, "saved_at": int | None}
    for name, kind in kinds.items():
        if not isinstance(getattr(record, name), kind):
            raise TypeError(f"{name} is a {type(getattr(record, name)).__name__}")
    if not record.own and not isinstance(record.params["epochs"], int):
        raise TypeError("params.epochs is no number")
    return record


_LATER = ("fold", "together", "saved_at")  # fields that records of earlier versions have not


def _hash(record: Record, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of a record, and of each tensor's name, type, shape and bytes."""
    told = {name: value for name, value in asdict(record).items() if name not in _LATER or value not in (None, {})}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, allow_nan=False).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
