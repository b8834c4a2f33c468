"""Code that a study names as `module:name`: a net's factory, a loader, a metric, a training function.

It comes from the study's own folder or from an installed package, and from nowhere else: not from the working
directory, not from Python's own library. Where it lies is found without importing anything.
"""

import ast
import functools
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

from hpsearch.errors import RunError, UserCodeExitError, UserError, choices
from hpsearch.neighbours import RESERVED, guard

SHIPPED = "hpsearch-study"  # of what Ray takes to other nodes and puts on their search path: no module's name
_FORM = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_loaded: dict[Path, str] = {}  # files of studies' code that may be imported, and the hash that each had then
_bases: list[str] = []  # the folders of these studies that were put behind sys.path, the latest first


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

    def fingerprint(self) -> str:
        """A hash of the file and of those beside it that it imports; of an installed package its version."""
        if not self.own:
            top = self.module.partition(".")[0]
            packages = sorted(set(importlib.metadata.packages_distributions().get(top, ())))
            return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
        files = sorted(family(self.module, self.file, self.base).values())
        told = [f"{file.relative_to(self.base)} {_digest(file)}" for file in files]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()[:32]

    def load(self, where: str) -> Callable[..., Any]:
        """Imports the module and gives what the name means.

        Raises:
            UserError: the module cannot be imported, or has no such function or class.
        """
        try:
            module = self._import_own() if self.own else importlib.import_module(self.module)
        except (Exception, SystemExit) as error:
            raise UserError(f"{where}: {self.file} cannot be imported: {fault(error, self.file)}") from error
        if Path(module.__file__ or "").resolve() != self.file:
            raise UserError(f"{where}: the name {self.module} is taken by {module.__file__}; rename {self.file}")
        found = getattr(module, self.name, None)
        if not callable(found):
            names = [name for name, value in vars(module).items() if callable(value) and name[0] != "_"]
            raise UserError(f"{where}: {self.file} has no function {self.name!r}; {choices(names)}")
        return exits_are_errors(found, self.spec, self.file)

    def load_fresh(self, where: str) -> Callable[..., Any]:
        """Import the study's own module once more, beside the one that is loaded: its globals are as at the start.

        Code of an installed package, and code that cannot be imported twice, is loaded as it is.

        Raises:
            UserError: the module cannot be imported, or has no such function or class.
        """
        if not self.own:
            return self.load(where)
        loaded = {
            name: sys.modules.pop(name)
            for name, file in family(self.module, self.file, self.base).items()
            if _file_of(sys.modules.get(name)) == file
        }
        try:
            return self.load(where)
        except UserError:
            sys.modules.update(loaded)
            return self.load(where)
        finally:
            sys.modules.update(loaded)

    def _import_own(self) -> Any:
        """Imports from the study's folder, as `python` does from a script's: its neighbours come first."""
        files = family(self.module, self.file, self.base)
        known = {name: _file_of(sys.modules.get(name)) for name in files}
        if any(known[name] in _loaded and known[name] != file for name, file in files.items()):
            _forget()  # another study's, of the same name
        for file in files.values():
            _loaded.setdefault(file, _digest(file))
        guard(self.base, files)
        base = str(self.base)
        others = [entry for entry in sys.path if entry not in _bases]
        with _path([base, *others]):
            importlib.invalidate_caches()
            found = importlib.import_module(self.module)
        if base not in others:  # for what it imports later: the latest study's first
            _bases[:] = [base, *(other for other in _bases if other != base)]
        sys.path[:] = [*others, *_bases]
        return found


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
        return find(self.spec, at_hand(self.base), where).load(where)


def at_hand(base: Path) -> Path:
    """The study's folder as a worker has it: on another node Ray has put what it needs where workers work."""
    return base if base.is_dir() else Path.cwd() / SHIPPED


def is_code(name: str) -> bool:
    return ":" in name and "://" not in name  # which is a URL


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
        hint = f"; write {spec.replace('.py:', ':')}, without .py" if module.endswith(".py") else ""
        raise UserError(f"{where}: there is no module {module!r} in {base}, and no installed package has it{hint}")
    if not _is_installed(module, file):
        raise UserError(f"{where}: {module} is {file}, which is neither in {base} nor in an installed package")
    return Code(spec, file, base, own=False)


def exits_are_errors(function: Callable[..., Any], spec: str, file: Path) -> Callable[..., Any]:
    """Wrap a function of the user's so that `sys.exit` in it raises an ordinary error that names it.

    A SystemExit passes every `except Exception` and would end the command with the status that it carries.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with contained_exits(spec, file):
            return function(*args, **kwargs)

    return call


@contextmanager
def contained_exits(spec: str, file: Path) -> Iterator[None]:
    """Turn a SystemExit of the user's code, or what else is no Exception, into an error.

    Raises:
        UserCodeExitError: the code of `spec`, which is in `file`, called `sys.exit`.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        line = _last_line(error, file)
        where = f" (line {line} of {file.name})" if line else ""
        raise UserCodeExitError(f"{spec} {_exit_words(error)}{where}") from error


@contextmanager
def no_exits() -> Iterator[None]:
    """Turn a SystemExit from anywhere below into a failure of the command: only user code raises one there.

    Raises:
        RunError: with the place of the `sys.exit` that was called.
    """
    try:
        yield
    except SystemExit as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename}, line {frame.lineno}: {frame.name}"
        raise RunError(f"{where} {_exit_words(error)}. Raise an error there instead") from error


def _exit_words(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"called sys.exit({'' if error.code is None else repr(error.code)[:100]})"
    return f"raised {type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _last_line(error: BaseException, file: Path) -> int | None:
    """The line of `file` that an error came through last."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    return lines[-1] if lines else None


def fault(error: BaseException, file: Path) -> str:
    """An error in somebody's code, in a line: its type, its words, and the last line of their file."""
    if isinstance(error, UserCodeExitError):
        return str(error)
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
        found = PathFinder.find_spec(parts[i], search)  # by a whole name it would want the parents imported
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
        found = PathFinder.find_spec(part, search)
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


def family(module: str, file: Path, base: Path) -> dict[str, Path]:
    """A module and those of the study's folder that it imports, at any remove and wherever in it; their files."""
    found: dict[str, Path] = {}
    todo = [(module, file), *_in_folder(module, base)]
    while todo:
        name, path = todo.pop()
        if name not in found:
            found[name] = path
            todo += [near for other in _imports(name, path) for near in _in_folder(other, base)]
    return found


def _in_folder(module: str, base: Path) -> Iterator[tuple[str, Path]]:
    """A module and the packages that it is in, whose code runs first, as far as they lie in a study's folder."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1) if parts[0] not in RESERVED else ():
        name = ".".join(parts[:end])
        file = _file(_walk(name, [str(base)]))
        if file is not None and file.is_relative_to(base):
            yield name, file


def _imports(module: str, file: Path) -> Iterator[str]:
    """The names that a file imports; of `from a import b` both a and a.b, which may be a module."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # compiled code, or a fault that importing it tells
        return
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".") if node.level else []
            above = parents[: len(parents) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            if origin:
                yield origin
                yield from (f"{origin}.{alias.name}" for alias in node.names)


def forget_edited() -> None:
    """Forgets the code of studies where a file of it was edited since it was imported: it is then imported anew.

    Called where a study is read, and not while it runs: a run keeps the code that it began with.
    """
    if any(not file.is_file() or _digest(file) != digest for file, digest in _loaded.items()):
        _forget()


def _forget() -> None:
    for name in [name for name, module in sys.modules.items() if _file_of(module) in _loaded]:
        del sys.modules[name]
        for end in range(1, name.count(".") + 1):  # folders without code of their own hold on to what is in them
            parent = name.rsplit(".", end)[0]
            if parent in sys.modules and _file_of(sys.modules[parent]) is None:
                del sys.modules[parent]
    _loaded.clear()


def _file_of(module: Any) -> Path | None:
    origin = getattr(module, "__file__", None)
    return Path(origin).resolve() if origin else None


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@contextmanager
def _path(entries: list[str]) -> Iterator[None]:
    before = sys.path[:]
    sys.path[:] = entries
    try:
        yield
    finally:
        sys.path[:] = before
