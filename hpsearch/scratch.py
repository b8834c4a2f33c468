"""A private temporary folder of a launch, whose path is short enough for the sockets in it."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from hpsearch.errors import UserError
from hpsearch.files import told_when_full

_SOCKET = 107  # bytes of a socket's path (AF_UNIX)
RAY = "r"  # Ray's own folder in it
_RAY = len(f"/{RAY}/session_2026-12-31_23-59-59_999999_4194304/sockets/plasma_store")
_SHORT = ("/tmp", "/var/tmp", "/dev/shm", f"/run/user/{os.geteuid()}")
_PREFIX = "hp-"
_LOCK = "hpsearch.lock"  # by which a folder of ours is known: others may begin with the same letters


def check_temporary_folder() -> None:
    """Refuses a folder for temporary files that the environment names and that cannot be used.

    Raises:
        UserError: it is not there, or cannot be written. Python would use another one without a word.
    """
    for name in ("RAY_TMPDIR", "TMPDIR"):
        given = os.environ.get(name)
        if given and not Path(given).is_dir():
            raise UserError(f"{name}: {given}: no such folder. Make it, or unset {name}")
        if given and not os.access(given, os.W_OK | os.X_OK):
            raise UserError(f"{name}: {given}: cannot be written. Choose another folder, or unset {name}")


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for this process alone, removed at the end with all that is in it.

    It lies where temporary files belong (`RAY_TMPDIR`, `TMPDIR`); where that path is too long for a socket's, the
    folder is reached through a link in a shorter place.

    Raises:
        UserError: no place for it can be written.
    """
    check_temporary_folder()
    with ExitStack() as stack:
        place = stack.enter_context(_made(_usual()))
        if len(os.fsencode(place)) + _RAY > _SOCKET:
            link = stack.enter_context(_made(_short(place))) / "t"
            link.symlink_to(place)
            place = link
        yield place


def _usual() -> Path:
    try:
        return Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()).absolute()
    except FileNotFoundError:
        raise UserError("TMPDIR: no folder for temporary files can be written; set TMPDIR to one") from None


def _short(place: Path) -> Path:
    for name in _SHORT:
        if os.path.isdir(name) and os.access(name, os.W_OK | os.X_OK):  # noqa: PTH112
            return Path(name)
    raise UserError(
        f"TMPDIR: {place.parent}: paths of sockets in it exceed {_SOCKET} bytes, and no shorter place "
        f"can be written ({', '.join(_SHORT)}); set TMPDIR to a shorter folder"
    )


@contextmanager
def _made(parent: Path) -> Iterator[Path]:
    """A folder of mode 0700; those of processes that were killed are removed."""
    _sweep(parent)
    place, held = _held(parent)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(held)


def _held(parent: Path) -> tuple[Path, int]:
    """A new folder and its lock, which the system lets go of when this process ends, however it ends."""
    while True:
        with told_when_full(parent):
            place = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            held = os.open(place / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
        if os.fstat(held).st_nlink:  # else another process swept it away before it was locked
            return place, held
        os.close(held)


def _sweep(parent: Path) -> None:
    """Remove the folders of ours that no process holds any more."""
    for left in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another user's, or removed meanwhile
            if left.is_symlink() or left.stat().st_uid != os.geteuid():
                continue
            held = os.open(left / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(held)
