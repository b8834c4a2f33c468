"""Every path of a run, and writes that are whole or not there."""

import fcntl
import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError


@dataclass(frozen=True)
class Folder:
    """The run folder: who wants a file of a run asks here for its path."""

    root: Path

    @property
    def study(self) -> Path:
        return self.root / "study.yaml"

    @property
    def origin(self) -> Path:
        """Where the study file stood: its relative paths begin there."""
        return self.root / "origin.json"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.journal"

    @property
    def plan(self) -> Path:
        return self.root / "plan.json"

    @property
    def trials(self) -> Path:
        return self.root / "trials.csv"

    @property
    def summary(self) -> Path:
        return self.root / "summary.json"

    @property
    def ensemble(self) -> Path:
        return self.root / "ensemble"

    @property
    def student(self) -> "Folder":
        """The student's own search, a run in small."""
        return Folder(self.root / "student")

    @property
    def export(self) -> Path:
        return self.root / "export"

    @property
    def log(self) -> Path:
        return self.root / "logs" / "launch.log"

    def rows(self, leg: int) -> Path:
        """The rows that a leg handed back."""
        return self.root / "rows" / f"{leg:05d}.safetensors"

    def leg_log(self, leg: int) -> Path:
        return self.root / "logs" / f"leg-{leg:05d}.log"

    def create(self) -> None:
        """Makes the folders of a run.

        Raises:
            UserError: something else is in the way, or it may not be written there.
        """
        try:
            for path in (self.root, self.root / "rows", self.root / "logs"):
                path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.root}: cannot be made: {error.strerror}") from None


def write_with(path: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` fill a file beside `path`, then puts it in place: readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    beside = Path(name)
    try:
        write(beside)
        beside.chmod(0o644)
        sync(beside)
        beside.replace(path)
        sync(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    write_with(path, lambda beside: _write_utf8(beside, text))


def write_json(path: Path, value: Any) -> None:
    """Strict JSON: a NaN raises ValueError."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _write_utf8(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def sync(path: Path) -> None:
    """Brings a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def hold(root: Path) -> Iterator[None]:
    """Holds a run folder for this process; the system lets go of it when the process ends, however it ends.

    Raises:
        UserError: another launch holds it.
    """
    path = root / ".lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(f"{root}: the run is held by another launch ({file.read().strip()})") from None
        file.truncate(0)
        since = datetime.now().isoformat(timespec="seconds")
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}")
        file.flush()
        yield
