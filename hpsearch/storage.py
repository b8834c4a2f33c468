"""Run folders in an object store, or wherever else fsspec reaches: `storage: {path: s3://bucket/runs}`.

A launch works in a folder of its own machine, since journals and locks need a disk. What the store has is brought
there first; what is new is brought back once a minute and at the end, a run's summary last of all. Beside a run's
files the store has their hashes: before a file is brought there its new one is added to that which the store has,
so that files are whole also where a launch was killed in the middle.
"""

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hpsearch.errors import RunError, UserError
from hpsearch.files import home

CACHE = home() / ".cache" / "hpsearch"
_EVERY_S = 60.0
_LAST = ("summary.json",)
_HASHES = ".hashes.json"
_STAYS = (".lock",)  # and what begins with a dot: half-written files


def is_url(path: str) -> bool:
    return "://" in path


def place_of(path: str) -> Path:
    """The folder on this machine for runs with this `storage.path`: the path itself, unless it is a URL."""
    if not is_url(path):
        first, _, rest = path.partition("/")
        return home() / rest if first == "~" else Path(path).expanduser()
    return CACHE / hashlib.sha256(path.encode()).hexdigest()[:16]


class Store:
    """A run's files in a store. `seen`: of each file its size and time when it was last brought there."""

    def __init__(self, url: str, name: str, place: str) -> None:
        """
        Raises:
            UserError: there is no such store, or the package that reaches it is missing.
        """
        import fsspec

        try:
            self._files, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise UserError(f"{place}: {url}: {error}") from None
        self._root, self.url, self._place = f"{root.rstrip('/')}/{name}", url, place
        self._seen: dict[str, tuple[int, int]] = {}
        self._hashes: dict[str, list[str]] = {}

    def fetch(self, folder: Path) -> int:
        """Brings here what the store has and this machine has not; gives how many files.

        Raises:
            UserError: the store cannot be read.
            RunError: a file is not what its hash says.
        """
        try:
            self._files.invalidate_cache()
            found = self._files.find(self._root) if self._files.exists(self._root) else []
            found = [path for path in found if not str(path).endswith(f"/{_HASHES}")]
            self._hashes = json.loads(self._files.cat_file(f"{self._root}/{_HASHES}")) if found else {}
        except Exception as error:  # of as many kinds as there are stores
            raise UserError(f"{self._place}: {self.url} cannot be read: {told(error)}") from None
        count, ledger = 0, folder / "ledger.journal"
        there = next((path for path in found if str(path).endswith("/ledger.journal")), None)
        if there is not None and ledger.exists() and self._files.size(there) > ledger.stat().st_size:
            shutil.rmtree(folder)  # the run went on elsewhere
        for path in found:
            name = str(path).removeprefix(self._root).lstrip("/")
            own = (folder / name).resolve()
            if not own.is_relative_to(folder.resolve()) or own.exists():
                continue
            own.parent.mkdir(parents=True, exist_ok=True)
            part = own.with_name(f".{own.name}.part")  # what is here under its name is whole
            self._files.get_file(path, str(part))
            if name in self._hashes and _hash(part, part.stat().st_size) not in self._hashes[name]:
                part.unlink()
                raise RunError(f"{self._place}: {path} is not what its hash says")
            part.replace(own)
            self._seen[name] = _state(own)
            count += 1
        return count

    def push(self, folder: Path) -> int:
        """Brings to the store what is new here, and removes what is gone; gives how many files it brought."""
        here = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if travels(path)}
        gone = set(self._seen) - set(here)
        new: dict[str, tuple[tuple[int, int], str]] = {}
        for name in sorted(here, key=lambda name: name in _LAST):
            with suppress(FileNotFoundError):  # it was there a moment ago
                state = _state(here[name])
                if state != self._seen.get(name):
                    new[name] = state, _hash(here[name], state[0])
        if not new and not gone:
            return 0
        self._say_hashes(self._hashes | {name: [*self._hashes.get(name, ()), new[name][1]] for name in new})
        count = sum(self._put(here[name], name, *new[name]) for name in new)
        for name in gone:
            self._files.rm_file(f"{self._root}/{name}")
            del self._seen[name], self._hashes[name]
        self._say_hashes(self._hashes)
        return count

    def _put(self, path: Path, name: str, state: tuple[int, int], digest: str) -> bool:
        """Whether a file is as its hash was said, though a journal may have grown; else it is the next time's."""
        try:
            with path.open("rb") as file:
                data = file.read(state[0])
        except FileNotFoundError:
            return False
        if hashlib.sha256(data).hexdigest() != digest:
            return False
        self._files.makedirs(f"{self._root}/{name}".rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(f"{self._root}/{name}", data)
        self._seen[name], self._hashes[name] = state, [digest]
        return True

    def _say_hashes(self, hashes: dict[str, list[str]]) -> None:
        self._files.makedirs(self._root, exist_ok=True)
        self._files.pipe_file(f"{self._root}/{_HASHES}", json.dumps(hashes).encode())


@contextmanager
def kept(store: Store | None, folder: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Brings a run to its store while the block runs, and when it ends, however it ends.

    Raises:
        RunError: at the end of a block that was well, the store could not be reached.
    """
    if store is None:
        yield
        return
    over = threading.Event()

    def push() -> None:
        try:
            store.push(folder)
        except Exception as error:  # a store that is gone for a while is no reason to end a search
            tell(f"{store.url}: not brought there this time: {told(error)}")

    def from_time_to_time() -> None:
        while not over.wait(_EVERY_S):
            push()

    thread = threading.Thread(target=from_time_to_time, name="storage", daemon=True)

    def rest() -> None:
        over.set()
        thread.join()

    thread.start()
    try:
        yield
    except BaseException:
        rest()
        push()
        raise
    rest()
    try:
        store.push(folder)
    except Exception as error:
        raise RunError(
            f"{store.url}: the run is whole in {folder}, and could not be brought there: {told(error)}; "
            "launch again: it is brought there then"
        ) from error


def travels(path: Path) -> bool:
    """Whether a file of a run folder is the run's, and not half-written or a lock."""
    return path.is_file() and not path.is_symlink() and path.name not in _STAYS and not path.name.startswith(".")


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _hash(path: Path, size: int) -> str:
    """Of a file's first bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (part := file.read(min(size, 1 << 20))):
            digest.update(part)
            size -= len(part)
    return digest.hexdigest()


def told(error: BaseException) -> str:
    """A store's error on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
