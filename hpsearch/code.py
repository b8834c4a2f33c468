"""Code that a study names as `module:name`: a net's factory, a loader, a metric, a training function.

It comes from the study's own folder or from an installed package, and from nowhere else: not from the working
directory, not from Python's own library. Where it lies is found without importing anything.
"""

import hashlib
import importlib
import importlib.metadata
import importlib.util
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError, choices

_FORM = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_loaded: dict[str, Path] = {}  # modules from studies' folders, and the folder of each


@dataclass(frozen=True)
class Code:
    """A name in a module, and the file that the module is. `own`: it lies in the study's folder."""

    spec: str
    file: Path
    base: Path
    own: bool

    @property
    def module(self) -> str:
        return self.spec.partition(":")[0]

    @property
    def name(self) -> str:
        return self.spec.partition(":")[2]

    @property
    def told(self) -> str:
        return f"{self.spec} is {self.name} of {self.file}"

    def fingerprint(self) -> str | None:
        """A hash of the file, where it is the study's own."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()[:32] if self.own else None

    def load(self, where: str) -> Callable[..., Any]:
        """Imports the module and gives what the name means.

        Raises:
            UserError: the module cannot be imported, or has no such function or class.
        """
        try:
            module = _import_own(self.module, self.base) if self.own else importlib.import_module(self.module)
        except (Exception, SystemExit) as error:
            raise UserError(f"{where}: {self.file} cannot be imported: {fault(error, self.file)}") from error
        if Path(module.__file__ or "").resolve() != self.file:
            raise UserError(f"{where}: the name {self.module} is taken by {module.__file__}; rename {self.file}")
        found = getattr(module, self.name, None)
        if not callable(found):
            names = [name for name, value in vars(module).items() if callable(value) and name[0] != "_"]
            raise UserError(f"{where}: {self.file} has no function {self.name!r}; {choices(names)}")
        return found  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Reference:
    """Code as it travels to workers: `module:name`, found from `base`."""

    spec: str
    base: Path

    def load(self, where: str) -> Callable[..., Any]:
        """
        Raises:
            UserError: it cannot be imported.
        """
        return find(self.spec, self.base, where).load(where)


def is_code(name: str) -> bool:
    return ":" in name


def find(spec: str, base: Path, where: str) -> Code:
    """Where code lies; `base` is the study's folder.

    Raises:
        UserError: it is nowhere, or not where code may come from.
    """
    if not _FORM.fullmatch(spec):
        raise UserError(f"{where}: must be module:name, such as my_code:build, got {spec!r}")
    base, module = base.resolve(), spec.partition(":")[0]
    file = _file(_walk(module, [str(base)]))
    if file is not None and not file.is_relative_to(base):
        raise UserError(f"{where}: {base / module} leads out of the study's folder, to {file}")
    if file is not None:
        return Code(spec, file, base, own=True)
    file = _file(_installed(module))
    if file is None:
        raise UserError(f"{where}: there is no module {module!r} in {base}, and no installed package has it")
    if not _is_installed(module, file):
        raise UserError(f"{where}: {module} is {file}, which is neither in {base} nor in an installed package")
    return Code(spec, file, base, own=False)


def fault(error: BaseException, file: Path) -> str:
    """An error in somebody's code, in a line: its type, its words, and the last line of their file."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    if isinstance(error, SyntaxError) and error.lineno and not lines:
        lines = [error.lineno]
    place = f" (line {lines[-1]} of {file.name})" if lines else ""
    words = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}{': ' if words else ''}{words}{place}"


def _walk(module: str, search: list[str] | None) -> ModuleSpec | None:
    """The spec of a module in these folders, by its packages' folders alone."""
    parts, found = module.split("."), None
    for i in range(len(parts)):
        found = PathFinder.find_spec(".".join(parts[: i + 1]), search)
        if found is None:
            return None
        search = list(found.submodule_search_locations or [])
    return found


def _installed(module: str) -> ModuleSpec | None:
    """The spec of an installed module; the working directory does not count."""
    top, _, rest = module.partition(".")
    with _path([entry for entry in sys.path if entry and Path(entry).resolve() != Path.cwd()]):
        loaded = sys.modules.get(top)
        found = loaded.__spec__ if loaded is not None else importlib.util.find_spec(top)
    if not rest or found is None:
        return found
    search = list(found.submodule_search_locations or [])
    for part in rest.split("."):
        top = f"{top}.{part}"
        found = PathFinder.find_spec(top, search)
        if found is None:
            return None
        search = list(found.submodule_search_locations or [])
    return found


def _is_installed(module: str, file: Path) -> bool:
    """Whether a file lies where packages are installed, or a package that is installed for development has it."""
    folders = [Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")]
    if any(file.is_relative_to(folder) for folder in folders):
        return True
    return module.partition(".")[0] in importlib.metadata.packages_distributions()


def _file(spec: ModuleSpec | None) -> Path | None:
    return Path(spec.origin).resolve() if spec is not None and spec.has_location and spec.origin else None


def _import_own(module: str, base: Path) -> Any:
    """Imports from the study's folder, as `python` does from a script's: its neighbours come first."""
    top = module.partition(".")[0]
    if _loaded.get(top, base) != base:  # another study's, of the same name
        for name in [name for name in sys.modules if name.partition(".")[0] == top]:
            del sys.modules[name]
    with _path([str(base), *sys.path]):
        importlib.invalidate_caches()
        found = importlib.import_module(module)
    _loaded[top] = base
    if str(base) not in sys.path:
        sys.path.append(str(base))  # for what it imports later
    return found


@contextmanager
def _path(entries: list[str]) -> Iterator[None]:
    before = sys.path[:]
    sys.path[:] = entries
    try:
        yield
    finally:
        sys.path[:] = before
