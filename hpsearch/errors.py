"""How things end badly: the user's input is wrong, the work failed while running, a file of ours is damaged."""

from collections.abc import Iterable


class UserError(Exception):
    """The user's input is wrong: one sentence with the place, the rule, the value and the choices (exit 2)."""


class RunError(Exception):
    """The run began and could not be finished (exit 1)."""


class DiskFullError(RunError):
    """Nothing more fits on the disk; what was there before is whole."""


class OutputError(Exception):
    """The standard output cannot be written (exit 1), or its reader has gone (exit 141, as a signal's)."""


class CheckError(Exception):
    """A check of the data or of the training set-up failed, and the search was not begun (exit 3)."""


class UserCodeExitError(Exception):
    """User code called `sys.exit`: an error of that code, which must not end the command (see `code`)."""


class DamagedError(Exception):
    """A file that we wrote cannot be read back as it was written."""


class InputWarning(UserWarning):
    """The inputs of a prediction are unlike those of training."""


def either(values: Iterable[object]) -> str:
    """`a, b or c`."""
    *most, last = (str(value) for value in values)
    return f"{', '.join(most)} or {last}" if most else last


def choices(names: Iterable[object]) -> str:
    """The closing half of an error about a name: `choose from a, b, c`."""
    return "choose from " + ", ".join(sorted(str(name) for name in names))
