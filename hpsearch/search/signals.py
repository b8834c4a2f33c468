"""Ctrl-C is the driver's business: a terminal sends it to every process of the launch."""

import contextlib
import signal
import threading
from collections.abc import Callable
from typing import Any


def ignore_ctrl_c() -> None:
    """Lets this process live through Ctrl-C: a worker then hears from the ledger to store its rows and end."""
    with contextlib.suppress(ValueError):  # not in the main thread: the process has its own handler
        signal.signal(signal.SIGINT, signal.SIG_IGN)


class CtrlC:
    """While open, the first Ctrl-C is noted and nothing is raised in the middle of a call; the second raises."""

    def __enter__(self) -> Callable[[], bool]:
        self._pressed = False
        self._here = threading.current_thread() is threading.main_thread()
        if self._here:
            self._before = signal.signal(signal.SIGINT, self._note)
        return lambda: self._pressed

    def __exit__(self, *_: object) -> None:
        if self._here:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, *_: Any) -> None:
        if self._pressed:
            raise KeyboardInterrupt
        self._pressed = True
