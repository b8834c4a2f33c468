"""The two ways a command ends badly: the user's input is wrong, or the work failed while running."""

from collections.abc import Iterable


class UserError(Exception):
    """The user's input is wrong: one sentence with the place, the rule, the value and the choices (exit 2)."""


class RunError(Exception):
    """The run began and could not be finished (exit 1)."""


def choices(names: Iterable[object]) -> str:
    """The closing half of an error about a name: `choose from a, b, c`."""
    return "choose from " + ", ".join(sorted(str(name) for name in names))
