"""Imports from a study's folder: for the study's own code alone, not for libraries that look for optional modules.

The folder is on the search path, as a script's is, so that the study's code finds its neighbours, also later and
in the processes that it starts. A library that tries `import pynvml` must not find a file of that name there.
"""

import os
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from importlib.machinery import FileFinder, ModuleSpec, PathFinder
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

RESERVED = frozenset((
    "hpsearch", "fsspec", "jinja2", "joblib", "matplotlib", "numpy", "onnx", "onnxruntime", "onnxscript", "optuna",
    "pandas", "PIL", "pyarrow", "pydantic", "yaml", "ray", "rich", "safetensors", "sklearn", "scipy",
    "threadpoolctl", "torch", "typer",
))  # fmt: skip  # what hpsearch needs: a module of such a name in a study's folder is never taken for one
_KINDS = ("purelib", "platlib", "stdlib", "platstdlib")
_LIBRARIES = tuple({os.path.realpath(sysconfig.get_path(kind)) + os.sep for kind in _KINDS})
_OURS = os.path.dirname(os.path.realpath(__file__)) + os.sep  # noqa: PTH120
_ASKS = tuple(_OURS + name for name in ("code.py", "neighbours.py"))  # where modules are looked for by path


def guard(base: Path, names: Iterable[str]) -> None:
    """Hides what lies in a study's folder from libraries, but for the modules of these names, which it imports."""
    found = sys.path_importer_cache.get(str(base))
    if not isinstance(found, _Guarded):
        found = sys.path_importer_cache[str(base)] = _Guarded(base)
    assert isinstance(found, _Guarded)
    found.names.update(name.partition(".")[0] for name in names)


class _Guarded:
    """The finder of a folder on the search path; it answers according to who imports."""

    def __init__(self, base: Path) -> None:
        self.names: set[str] = set()
        self._base = str(base) + os.sep
        sys.path_importer_cache.pop(str(base), None)
        self._finder: Any = PathFinder._path_importer_cache(str(base))  # type: ignore[attr-defined]
        assert isinstance(self._finder, FileFinder)

    def find_spec(self, name: str, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in RESERVED and (name in self.names or not self._is_library(_importer())):
            found: ModuleSpec | None = self._finder.find_spec(name, target)
            return found
        return None

    def invalidate_caches(self) -> None:
        self._finder.invalidate_caches()

    def iter_modules(self, prefix: str = "") -> Sequence[tuple[str, bool]]:
        """As `pkgutil` asks for it."""
        import pkgutil

        return list(pkgutil.iter_importer_modules(self._finder, prefix))  # type: ignore[attr-defined]

    def _is_library(self, file: str) -> bool:
        if file in _ASKS:
            return False
        roots = [root for root in (*_LIBRARIES, _OURS) if file.startswith(root)]
        return bool(roots) and not (self._base.startswith(max(roots, key=len)) and file.startswith(self._base))


def _importer() -> str:
    """The file of the code that imports, past the machinery of imports."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if not (name.partition(".")[0] == "importlib" or frame.f_code.co_filename.startswith("<frozen ")):
            return os.path.realpath(frame.f_code.co_filename)
        frame = frame.f_back
    return ""
