"""One launch at a time in a run folder."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

from hpsearch.errors import UserError
from hpsearch.files import is_full, told_when_full

_LOCK = ".lock"


@contextmanager
def hold(root: Path) -> Iterator[None]:
    """Holds a run folder for this process; the system lets go of it when the process ends, however it ends.

    Raises:
        UserError: another launch holds it.
    """
    with told_when_full(root), _opened(root / _LOCK) as file:
        if not _locked(file, fcntl.LOCK_EX):
            raise _held(root, file)
        file.truncate(0)
        since = datetime.now().isoformat(timespec="seconds")
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}")
        file.flush()
        yield


def refuse_held(root: Path) -> None:
    """Looks whether a launch holds a run folder, without writing anything.

    Raises:
        UserError: one does.
    """
    if (root / _LOCK).is_file():
        with (root / _LOCK).open(encoding="utf-8") as file:
            if not _locked(file, fcntl.LOCK_SH):
                raise _held(root, file)


def is_held(root: Path) -> bool:
    """Whether a launch holds a run folder."""
    try:
        refuse_held(root)
    except UserError:
        return True
    return False


def _opened(path: Path) -> TextIO:
    try:
        return path.open("a+", encoding="utf-8")
    except OSError as error:
        if is_full(error):
            raise
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def _locked(file: TextIO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _held(root: Path, file: TextIO) -> UserError:
    file.seek(0)
    return UserError(f"{root}: the run is held by another launch ({file.read().strip()})")
