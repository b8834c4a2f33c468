"""Signals are the driver's business: a terminal sends Ctrl-C to every process of the launch."""

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

_PR_SET_PDEATHSIG = 1


class TerminatedError(KeyboardInterrupt):
    """SIGTERM: somebody who is no person at this terminal wants an end."""


def ignore_ctrl_c() -> None:
    """Lets this process live through Ctrl-C: a worker then hears from the ledger to store its rows and end."""
    with contextlib.suppress(ValueError):  # not in the main thread: the process has its own handler
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def die_with_parent() -> None:
    """Lets Linux kill this process when the one that started it is gone, in whatever it is just then.

    A worker's parent is Ray's node process, which dies with the driver: a worker that trains would otherwise
    notice only between two calls.
    """
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it went meanwhile
            os.kill(os.getpid(), signal.SIGKILL)


def _error(number: int) -> KeyboardInterrupt:
    return TerminatedError() if number == signal.SIGTERM else KeyboardInterrupt()


_heard: list[KeyboardInterrupt] = []  # what was raised by `signals_raise`


def _raise(number: int, frame: Any) -> None:
    _heard.append(_error(number))
    raise _heard[-1]


def signals_raise() -> None:
    """From now on SIGTERM ends this process as Ctrl-C does, by an exception that closes everything."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as a shell sets it for what it starts with &
            with contextlib.suppress(ValueError):  # not in the main thread
                signal.signal(number, _raise)


def heard() -> KeyboardInterrupt | None:
    """The signal that has ended this process, or is about to.

    A library in another language may make another error of it: then this tells what it was.
    """
    return _heard[-1] if _heard else None


class Held:
    """While open, a Ctrl-C or SIGTERM waits until it closes, and is raised then.

    For calls into libraries that end the process when an exception comes out of a callback of theirs. The second
    signal ends the process at once; files that were being written are told apart by their names.
    """

    def __enter__(self) -> "Held":
        self._stop = Stop(second=_leave)
        self._stop.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.__exit__(*error)
        if self._stop.noted is not None:
            raise self._stop.noted


def _leave(number: int) -> None:
    os._exit(128 + number)


def _throw(number: int) -> None:
    raise _error(number)


class Stop:
    """While open, the first Ctrl-C or SIGTERM is noted and nothing is raised in the middle of a call.

    The second raises, or does what `second` says.
    """

    def __init__(self, second: Callable[[int], None] = _throw) -> None:
        self._second = second

    def __enter__(self) -> "Stop":
        self.noted: KeyboardInterrupt | None = None
        here = threading.current_thread() is threading.main_thread()
        handled = (signal.SIGINT, signal.SIGTERM) if here else ()
        self._before = {number: signal.signal(number, self._note) for number in handled}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: Any) -> None:
        if self.noted is not None:
            self._second(number)
        self.noted = _error(number)
