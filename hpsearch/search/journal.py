"""The journal of a study's trials as a file: JSON lines, of which one process at a time is the writer."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from optuna.distributions import json_to_distribution
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, _storage

from hpsearch.errors import RunError
from hpsearch.files import told_when_full

# Optuna reads each parameter's distribution anew from its text, which is two thirds of opening a journal: the
# trials of a study share a few, and nothing changes one
setattr(_storage, json_to_distribution.__name__, cache(json_to_distribution))


class Writer(JournalFileBackend):
    """The journal of a single writer: no lock file, records that belong together are synced once, and what it has
    written is not read from the disk again.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._path = Path(path)
        self._first = self._path.read_bytes().count(b"\n")  # records of earlier launches
        self._recent: list[str] = []  # those from number `_first` on
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._syncs = True

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        if log_number_from < self._first:
            return super().read_logs(log_number_from)
        del self._recent[: log_number_from - self._first]
        self._first = log_number_from
        return iter([json.loads(line) for line in self._recent])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends whole records or, where the disk is full, nothing."""
        lines = [json.dumps(log, separators=(",", ":")) for log in logs]
        data = "".join(f"{line}\n" for line in lines).encode()
        end = os.fstat(self._file).st_size
        with told_when_full(self._path):
            try:
                written = 0
                while written < len(data):
                    written += os.write(self._file, data[written:])
                if self._syncs:
                    os.fsync(self._file)
            except OSError:
                os.ftruncate(self._file, end)
                raise
        self._recent += lines

    @contextmanager
    def one_sync(self) -> Iterator[None]:
        self._syncs = False
        try:
            yield
        finally:
            self._syncs = True
            with told_when_full(self._path):
                os.fsync(self._file)


class Reader(BaseJournalBackend):
    """A journal that somebody else may be writing: its records up to the first that cannot be read."""

    def __init__(self, path: Path) -> None:
        self._logs, _ = _records(path.read_bytes() if path.exists() else b"")

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        return iter(self._logs[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise RunError("a journal is opened for reading only")


def hold(path: Path, patience_s: float = 60) -> Any:
    """Waits for a ledger that an earlier launch left dying, then holds the journal for this process."""
    file = path.with_name(f".{path.name}.owner").open("a")
    end = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > end:
                raise RunError(f"{path}: another process has held the ledger for {patience_s:.0f} s") from None
            time.sleep(0.1)


def mend(path: Path) -> Path | None:
    """Sets a torn tail aside: what follows the last line that can be read. Gives the file it went to.

    Optuna loads a journal with a torn last line once, fails at the next append, and never loads it again
    (optuna#5138). What the tail reported is reported again by its leg, whose rows are on disk.
    """
    if not path.exists():
        return None
    data = path.read_bytes()
    _, good = _records(data)
    if good == len(data):
        return None
    aside = path.with_name(f"{path.name}.torn-{time.strftime('%Y%m%d-%H%M%S')}")
    with told_when_full(aside), aside.open("ab") as file:
        file.write(data[good:])
        file.flush()
        os.fsync(file.fileno())
    with path.open("r+b") as file:
        file.truncate(good)
    return aside


def _records(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """A journal's records before the first line that is no whole one, and how many bytes they take."""
    records, good = [], 0
    for line in data.splitlines(keepends=True):
        record = _record(line) if line.endswith(b"\n") else None
        if record is None:
            break
        records.append(record)
        good += len(line)
    return records, good


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
