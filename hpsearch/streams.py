"""Standard output and error of a command: closed, full, without a reader, in an encoding that lacks letters."""

import codecs
import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from hpsearch.errors import OutputError

_ESCAPE = "hpsearch.escape"
_CLOSED: set[int] = set()  # of the descriptors 1 and 2, those that were closed when the process began
_failure: list[OSError] = []  # why the standard output cannot be written any more


class _Raw(io.FileIO):
    """A descriptor that is written until that fails; `fails` is called once, and what follows is dropped."""

    def __init__(self, number: int, fails: Callable[[OSError], None]) -> None:
        # of the standard error a second descriptor, so that the first can be laid aside
        super().__init__(os.dup(2) if number == 2 else number, "w", closefd=False)
        self._number, self._fails, self._over = number, fails, False

    def write(self, data: object) -> int | None:  # type: ignore[override]
        length = memoryview(data).nbytes  # type: ignore[arg-type]
        if self._over:
            return length
        try:
            if is_closed(self._number):
                raise OSError(errno.EBADF, "it is closed")
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            self._over = True
            self._fails(error)
            return length


def guard() -> None:
    """Replaces the streams of a process of ours by such that never raise in the middle of something else.

    A letter that the encoding lacks is written as its escape, and a file's name as its bytes. A descriptor that
    was closed is taken, so that no file of a run gets its number and is written to by accident.
    """
    if sys.stdout is not sys.__stdout__ or sys.stderr is not sys.__stderr__:
        return  # a test reads them, or another program of the same process
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            _CLOSED.add(number)
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    sys.stderr = _stream(2, lambda error: None, sys.stderr)
    sys.stdout = _stream(1, _note, sys.stdout)


def _stream(number: int, fails: Callable[[OSError], None], before: object) -> io.TextIOWrapper:
    """A text stream like the one before it, which is None where the descriptor was closed."""
    codecs.register_error(_ESCAPE, _escape)
    encoding = getattr(before, "encoding", None) or "utf-8"
    buffered = io.BufferedWriter(_Raw(number, fails))
    lines = number == 2 or os.isatty(number)
    return io.TextIOWrapper(buffered, encoding, errors=_ESCAPE, line_buffering=lines)


@contextmanager
def raw_errors_to(path: Path) -> Iterator[None]:
    """While open, what libraries write to the descriptor 2 itself goes to a file; `sys.stderr` is as before.

    In a process that is not ours alone nothing changes.
    """
    if not isinstance(getattr(getattr(sys.stderr, "buffer", None), "raw", None), _Raw):
        yield
        return
    before = os.dup(2)
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(file, 2)
    os.close(file)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def is_closed(number: int) -> bool:
    """Whether a descriptor was closed when the process began."""
    return number in _CLOSED


def is_broken_pipe() -> bool:
    """Whether the standard output is a pipe whose reader has gone."""
    return bool(_failure) and _failure[0].errno == errno.EPIPE


def told() -> str:
    """The message about a standard output that cannot be written."""
    reason = _failure[0].strerror if _failure else "no reason is known"
    return f"standard output: cannot be written: {reason}"


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """What is written for letters that the encoding lacks; bytes of a file's name are themselves."""
    assert isinstance(error, UnicodeEncodeError)
    letters = error.object[error.start : error.end]
    if all("\udc80" <= letter <= "\udcff" for letter in letters):
        return letters.encode("ascii", "surrogateescape"), error.end
    return letters.encode("ascii", "backslashreplace"), error.end


class _Policy:
    """What follows from an output that cannot be written: the command ends, or a long one is stopped in order."""

    stops = False
    leaves = False


def leave_at_once() -> None:
    """From now on, the end of this process waits for nobody: what a library would do there could take minutes."""
    _Policy.leaves = True


def end(status: int | str | None) -> NoReturn:
    """Ends a process of ours with a status."""
    if _Policy.leaves:
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 0 if status is None else 1)
    sys.exit(status)


def stop_in_order() -> None:
    """From now on, a reader that goes away stops this process as Ctrl-C does; a full disk does not stop it."""
    _Policy.stops = True


def _note(error: OSError) -> None:
    _failure.append(error)
    if not _Policy.stops:
        raise OutputError(told())
    if error.errno == errno.EPIPE:
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as a shell sets it for what it starts with &
        os.kill(os.getpid(), signal.SIGTERM if ignored else signal.SIGINT)
    else:
        print(f"{told()}; the work goes on, and its log is in the run folder", file=sys.stderr)
