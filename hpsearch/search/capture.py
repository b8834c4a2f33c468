"""The output of the user's code, sent to a file: Python's, C libraries' and child processes'."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_OUTPUTS = (1, 2)  # standard output and standard error


@contextmanager
def output_into(path: Path) -> Iterator[None]:
    """Append to a file what this process and its children write to standard output and standard error.

    The descriptors themselves are exchanged, so that C code and child processes are included.
    """
    _flush()
    for stream in (sys.stdout, sys.stderr):  # a process that is killed loses no line
        with suppress(AttributeError, ValueError):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    kept = {number: os.dup(number) for number in _OUTPUTS if _is_open(number)}
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        for number in kept:
            os.dup2(file, number)
        yield
    finally:
        _flush()
        for number, before in kept.items():
            os.dup2(before, number)
            os.close(before)
        os.close(file)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _flush() -> None:
    """Write out what Python and the C library still hold back."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # closed, or none at all
            stream.flush()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)
