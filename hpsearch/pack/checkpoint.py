"""Rows on disk: what a trial needs to go on, or to be used, in one safetensors file a leg."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from hpsearch.folder import write_with


@dataclass
class Record:
    """What is known of a trial's training so far, beside its tensors.

    `curve` has one entry an evaluation: [epoch, training loss, validation metric, validation log loss or rmse].
    """

    trial: int
    params: Mapping[str, Any]
    epoch: int = 0
    best_epoch: int | None = None
    best: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    failure: str | None = None
    curve: list[list[float | None]] = field(default_factory=list)


@dataclass(frozen=True)
class RowState:
    """One trial's row, off the matrix.

    Tensors: `theta`, `first`, `second` [P]; `buffer.NAME`; `best.theta`, `best.buffer.NAME` at the best epoch;
    `best.prediction`, the best epoch's validation log-probabilities [N, C] float32, or values [N] float64.
    """

    record: Record
    tensors: dict[str, Tensor]


def store(path: Path, states: Iterable[RowState]) -> None:
    """Writes the rows' file, whole or not at all."""
    states = list(states)
    tensors = {
        f"{state.record.trial}/{name}": tensor.detach().cpu().contiguous()
        for state in states
        for name, tensor in state.tensors.items()
    }
    metadata = {"records": json.dumps([asdict(state.record) for state in states], allow_nan=False)}
    write_with(path, lambda beside: save_file(tensors, beside, metadata=metadata))


def records(path: Path) -> list[Record]:
    """The records of a rows' file, without reading its tensors."""
    with safe_open(path, framework="pt") as file:
        return _records(file)


def load(path: Path, trials: Sequence[int] | None = None) -> list[RowState]:
    """The rows of these trials (all, when not named), in the file's order."""
    with safe_open(path, framework="pt") as file:
        wanted = [record for record in _records(file) if trials is None or record.trial in trials]
        names = list(file.keys())
        return [
            RowState(
                record,
                {
                    name.partition("/")[2]: file.get_tensor(name)
                    for name in names
                    if name.partition("/")[0] == str(record.trial)
                },
            )
            for record in wanted
        ]


def _records(file: Any) -> list[Record]:
    return [Record(**entry) for entry in json.loads(file.metadata()["records"])]
