"""Files that are whole or not there, and what is done with those that are neither."""

import errno
import json
import math
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hpsearch.errors import DamagedError, DiskFullError

_NAME_LENGTH = 50  # letters, of four bytes at most: a file system takes names of 255 bytes


def write_with(path: Path, write: Callable[[Path], None], like: os.stat_result | None = None) -> None:
    """Lets `write` fill a file beside `path`, then puts it in place: readers see the old file or the new one.

    A new file has the permissions that the umask leaves. `like`: a file whose permissions and owner it gets.

    Raises:
        DiskFullError: there is no room; the old file is whole.
    """
    with told_when_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = _create_beside(path, 0o666 if like is None else 0o600)
        mode = (like or beside.stat()).st_mode
        try:
            write(beside)
            if like is not None:
                with suppress(PermissionError):  # only root may give a file away
                    os.chown(beside, like.st_uid, like.st_gid)
            beside.chmod(stat.S_IMODE(mode))  # safetensors makes a file of its own, for its owner alone
            sync(beside)
            beside.replace(path)
            sync(path.parent)
        finally:
            beside.unlink(missing_ok=True)


def _create_beside(path: Path, mode: int) -> Path:
    """An empty file of an unused name; unlike `tempfile`'s it has the permissions that the umask leaves."""
    while True:
        beside = path.with_name(f".{path.name[:_NAME_LENGTH]}.{secrets.token_hex(6)}")
        try:
            os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        except FileExistsError:
            continue
        return beside


@contextmanager
def told_when_full(path: Path) -> Iterator[None]:
    """Turns the many errors of a full disk into one.

    Raises:
        DiskFullError: in their place.
    """
    try:
        yield
    except Exception as error:
        if not is_full(error):
            raise
        raise DiskFullError(
            f"{path}: cannot be written: no space left on the disk; what was stored before is whole. "
            "Make room and run the same command again: it goes on from there"
        ) from error


def home() -> Path:
    """The user's home; a place that is not there where the system knows none, as for a container's random user."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/nonexistent")


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk, or the user's share of it, is full."""
    full = (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in full
    found = re.search(r"os error (\d+)", str(error))  # safetensors has errors of its own
    return found is not None and int(found[1]) in full


def set_aside(path: Path) -> Path:
    """Renames a damaged file or folder, so that it is in nobody's way and nothing of it is lost; its new name."""
    stem = f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    names = [stem, *(f"{stem}-{number}" for number in range(2, 1000))]
    aside = next(path.with_name(name) for name in names if not path.with_name(name).exists())
    path.rename(aside)
    return aside


def read_json(path: Path) -> Any:
    """What `write_json` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedError: it is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{path}: is no JSON: {error}") from None


def write_text(path: Path, text: str) -> None:
    write_with(path, lambda beside: _write_utf8(beside, text))


def write_json(path: Path, value: Any) -> None:
    """Strict JSON: a NaN raises ValueError."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a file's name that is no UTF-8
        text = json.dumps(value, indent=2, allow_nan=False)
    write_text(path, text + "\n")


def _write_utf8(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def sync(path: Path) -> None:
    """Brings a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def finite(value: Any) -> Any:
    """JSON has no NaN: a number that could not be taken (an AUROC of one class) is null."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
