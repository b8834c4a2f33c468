"""Imports that ignore the working directory: in this process, and in those that it starts.

The first import of every process of ours. It imports only what Python itself has loaded already: anything else
could come from the working directory.
"""

import os
import sys

_PACKAGE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is no import yet
_SAFE, _PATH, _BEFORE = "PYTHONSAFEPATH", "PYTHONPATH", "HPSEARCH_USER_PATH"
_WORKER = "default_worker.py"  # the script of a Ray worker


def forget_working_directory() -> None:
    """Takes the working directory off the search path, in a process that is ours alone."""
    sys.path[:] = [entry for entry in sys.path if not is_here(entry)]


def protect_worker() -> None:
    """Does the same where this process is a Ray worker, whoever started its cluster."""
    if sys.argv and os.path.basename(sys.argv[0]) == _WORKER:  # noqa: PTH119
        forget_working_directory()


class WithoutWorkingDirectory:
    """While open, nothing is imported from the working directory; for calls from a process of the user's."""

    def __enter__(self) -> None:
        self._removed = [(place, entry) for place, entry in enumerate(sys.path) if is_here(entry)]
        forget_working_directory()

    def __exit__(self, *_: object) -> None:
        for place, entry in self._removed:
            if entry not in sys.path:
                sys.path.insert(place, entry)


class SafeChildren:
    """While open, Python processes that are started import nothing from the working directory.

    `folder`: a folder of this launch's own, in which they find this package where it is not installed.
    """

    def __init__(self, folder: "str | os.PathLike[str]") -> None:
        self._folder = os.path.join(folder, "code")  # noqa: PTH118

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in (_SAFE, _PATH)}
        given = (self._before[_PATH] or "").split(os.pathsep) if self._before[_PATH] else []
        kept = [entry for entry in given if not is_here(entry)]
        root = os.path.dirname(_PACKAGE)  # noqa: PTH120
        if not _is_installed(root):
            os.mkdir(self._folder)  # noqa: PTH102
            os.symlink(_PACKAGE, os.path.join(self._folder, os.path.basename(_PACKAGE)))  # noqa: PTH118, PTH119, PTH211
            kept.append(self._folder)
        os.environ[_SAFE], os.environ[_PATH] = "1", os.pathsep.join(kept)
        os.environ[_BEFORE] = os.pathsep.join([self._before[_SAFE] or "", *given])

    def __exit__(self, *_: object) -> None:
        del os.environ[_BEFORE]
        _put_back(self._before)


def restore_environment() -> None:
    """Gives processes that a worker starts for the user's code the user's own environment."""
    kept = os.environ.pop(_BEFORE, None)
    if kept is not None:
        safe, *path = kept.split(os.pathsep)
        _put_back({_SAFE: safe or None, _PATH: os.pathsep.join(path) or None})


def _put_back(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def is_here(entry: str) -> bool:
    """Whether an entry of the search path is the working directory, also by a link or as the empty word."""
    try:
        return os.path.realpath(entry or os.curdir) == os.path.realpath(os.curdir)
    except OSError:  # the working directory has been removed
        return entry == ""


def _is_installed(root: str) -> bool:
    """Whether a new process finds the packages of a folder by itself."""
    return os.path.basename(root) in ("site-packages", "dist-packages")  # noqa: PTH119
