"""The files of legs that train where the run folder is not to be seen: they travel to the driver's node and back.

On one machine, and where nodes share a disk, a leg writes into the run folder itself. Elsewhere it has a folder of
its own node, into which its rows are brought before it begins, and from which they are sent, each time that they
are stored, before anybody counts on them.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hpsearch.files import write_text, write_with
from hpsearch.folder import Folder
from hpsearch.search.actors import Ask


class Files:
    """The run folder's side; an actor on the driver's node."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None where there is none."""
        try:
            return self._place(name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """A file, whole or not at all.

        Raises:
            DiskFullError: there is no room.
        """
        write_with(self._place(name), lambda path: _write_bytes(path, data))

    def _place(self, name: str) -> Path:
        place = (self._root / name).resolve()
        assert place.is_relative_to(self._root.resolve()), name
        return place


def _own_folder(word: str) -> Path:
    """Of this process; those of others of this node that are gone are removed, which were killed."""
    place = Path(tempfile.gettempdir())
    for left in place.glob("hpsearch-relay-*"):
        pid = left.name.rpartition("-")[2]
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            shutil.rmtree(left, ignore_errors=True)
        except (OSError, ValueError):  # somebody else's
            continue
    return place / f"hpsearch-relay-{word}-{os.getpid()}"


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


@dataclass(frozen=True)
class Mark:
    """By which a node knows the run folder: a file in it holds this word."""

    root: str
    word: str

    @classmethod
    def put(cls, folder: Folder) -> "Mark":
        mark = cls(str(folder.root.resolve()), secrets.token_hex(16))
        write_text(folder.mark, mark.word)
        return mark

    def is_seen(self) -> bool:
        """Whether this node sees the run folder."""
        try:
            return Folder(Path(self.root)).mark.read_text(encoding="utf-8") == self.word
        except OSError:
            return False


class Relay:
    """Where a node's legs have their files; `call` reaches the run folder where this node does not see it."""

    def __init__(self, mark: Mark, call: Ask) -> None:
        self._call = None if mark.is_seen() else call
        self.folder = Folder(Path(mark.root) if self._call is None else _own_folder(mark.word))
        if self._call is not None:
            self.folder.create()

    def fetch(self, paths: Iterable[Path]) -> None:
        """Brings files here, as far as the run folder has them; what lies here from before goes."""
        for path in paths if self._call is not None else ():
            assert self._call is not None
            data = self._call("read", self._name(path))
            path.unlink(missing_ok=True)
            if data is not None:
                path.write_bytes(data)

    def send(self, path: Path) -> None:
        """Puts a file, or all files of a folder, into the run folder, where they are not there already."""
        if self._call is None or not path.exists():
            return
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                self._call("write", self._name(file), file.read_bytes())

    def leave(self) -> None:
        """Removes what this node has of it."""
        if self._call is not None:
            shutil.rmtree(self.folder.root, ignore_errors=True)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.folder.root))
