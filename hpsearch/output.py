"""Output files that a user names: written through links, into pipes and terminals as a stream, else atomically."""

import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from hpsearch.errors import DiskFullError, RunError, UserError
from hpsearch.files import is_full, write_with
from hpsearch.streams import is_closed

_MOST_LINKS = 40  # as Linux follows at most
_REFUSED = {
    stat.S_IFDIR: "is a folder; name a file",
    stat.S_IFSOCK: "is a socket, which no file can be written to; name a file",
    stat.S_IFBLK: "is a disk, whose content would be overwritten; name a file",
}
_STREAMED = (stat.S_IFIFO, stat.S_IFCHR)


def is_standard_output(path: Path) -> bool:
    """Whether a path means the standard output of this process: `-`, /dev/stdout, or a link to it."""
    return _descriptor(path) == 1


def is_stream(path: Path) -> bool:
    """Whether the output goes to something that keeps no file: a pipe, a terminal, an open descriptor."""
    return _descriptor(path) is not None or _kind(_stat(path, "--out")) in _STREAMED


def real_path(path: Path, key: str) -> Path:
    """The path behind all links, also of a file or folder that is not there yet.

    Raises:
        UserError: the links lead in a circle, or through a folder that this user may not enter.
    """
    _stat(path, key)
    return Path(os.path.realpath(path))


def check_output(path: Path, key: str = "--out") -> None:
    """Refuses a place that cannot be written, before any work is done.

    Raises:
        UserError: it is a folder, a socket or a disk, is write-protected, or has no folder.
    """
    number = _descriptor(path)
    if number is not None:
        os.close(_duplicate(number, path, key))
        return
    place, found = real_path(path, key), _stat(path, key)
    if reason := _REFUSED.get(_kind(found)):
        raise UserError(f"{key}: {path}: {reason}")
    if found is not None and not (found.st_mode & 0o222 and _may_write(path)):
        raise UserError(f"{key}: {path}: cannot be written: it is write-protected; choose another name")
    if not place.parent.is_dir():
        raise UserError(f"{key}: {path}: cannot be written: there is no folder {place.parent}")
    if _kind(found) not in _STREAMED and not _may_write(place.parent):
        raise UserError(
            f"{key}: {path}: cannot be written: the folder {place.parent} is write-protected; choose another"
        )


def write_output(path: Path, chunks: Iterable[str], key: str = "--out") -> None:
    """Writes text in UTF-8 to a place of the user's.

    A regular file is replaced when all is written, and keeps its permissions; a link to it stays a link. A pipe or
    a terminal is written to as the text comes. Nothing is opened before the first chunk is there.

    Args:
        path: a file, or `-` for the standard output.
        chunks: the text, in pieces.
        key: the option that names the path, for messages.

    Raises:
        UserError: the place cannot be written.
        RunError: the reader of a pipe went away, or the disk is full.
    """
    check_output(path, key)
    try:
        if is_stream(path):
            _stream(path, iter(chunks), key)
        else:
            place, before = real_path(path, key), _stat(path, key)
            write_with(place, lambda beside: _write_all(beside, chunks), before)
    except BrokenPipeError:
        raise RunError(f"{key}: {path}: the reader has closed it before the end") from None
    except OSError as error:
        if is_full(error):
            raise DiskFullError(_full(path, key)) from None
        raise UserError(f"{key}: {path}: cannot be written: {error.strerror or error}") from None
    except DiskFullError as error:
        raise DiskFullError(_full(path, key)) from error


def _full(path: Path, key: str) -> str:
    return f"{key}: {path}: cannot be written: no space left on the disk. Make room and repeat the command"


def _write_all(path: Path, chunks: Iterable[str]) -> None:
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk.encode())


def _stream(path: Path, chunks: Iterator[str], key: str) -> None:
    try:
        first = next(chunks, "")
    except BaseException:
        _release(path, key)
        raise
    number = _descriptor(path)
    opened = os.open(path, os.O_WRONLY | os.O_NOCTTY) if number is None else _duplicate(number, path, key)
    with os.fdopen(opened, "wb") as file:
        file.write(first.encode())
        file.flush()
        for chunk in chunks:
            file.write(chunk.encode())
            file.flush()


def _release(path: Path, key: str) -> None:
    """Ends the wait of a reader that has opened a named pipe, to which nothing will be written."""
    if _kind(_stat(path, key)) == stat.S_IFIFO and _descriptor(path) is None:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # no reader waits
            return


def _descriptor(path: Path) -> int | None:
    """The number of the open file of this process that a path such as /dev/stdout means.

    Opened by its path a file would be written from its start, where `>>` or an earlier line has written.
    """
    if str(path) == "-":
        return 1
    own = {Path(os.path.realpath("/proc/self/fd")), Path("/dev/fd")}
    for _ in range(_MOST_LINKS):
        folder = Path(os.path.realpath(path.parent))
        if folder in own and path.name.isdecimal():
            return int(path.name)
        try:
            path = folder / path.readlink()
        except (OSError, ValueError):  # it is no link, or cannot be seen
            return None
    return None


def _duplicate(number: int, path: Path, key: str) -> int:
    if number == 1 and sys.stdout is not None:
        sys.stdout.flush()
    try:
        if is_closed(number):
            raise OSError
        return os.dup(number)
    except OSError:
        raise UserError(f"{key}: {path}: cannot be written: it is closed") from None


def _stat(path: Path, key: str) -> os.stat_result | None:
    """What is at the end of all links; None where nothing is.

    Raises:
        UserError: it cannot be seen.
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        circle = isinstance(error, OSError) and error.errno == errno.ELOOP
        reason = "its links lead in a circle" if circle else getattr(error, "strerror", None) or error
        raise UserError(f"{key}: {path}: cannot be opened: {reason}") from None


def _kind(found: os.stat_result | None) -> int:
    """The type of a file as `stat` has it; 0 where there is none."""
    return 0 if found is None else stat.S_IFMT(found.st_mode)


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
