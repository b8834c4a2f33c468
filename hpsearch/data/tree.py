"""The files below a folder, without hidden ones and what operating systems leave behind."""

import fnmatch
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpsearch.errors import UserError

# In lower case. Names that begin with a dot are hidden: .DS_Store, ._name.png, .Trash-1000, .ipynb_checkpoints.
_LITTER = (
    ".*", "__macosx", "thumbs.db", "thumbs.db:*", "ehthumbs*.db", "desktop.ini", "icon\r", "@eadir", "@tmp",
    "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "#*#", "lost+found", "$recycle.bin",
    "system volume information", "found.[0-9][0-9][0-9]", "network trash folder", "temporary items",
    "__pycache__", "*~", "~$*",
)  # fmt: skip
_IS_LITTER = re.compile("|".join(map(fnmatch.translate, _LITTER)))
_SHOWN = 4


@dataclass
class Tree:
    """What lies below a folder, in the order of the names.

    `skipped`: hidden and system files and folders, a folder as one. `empty`: folders with nothing else in them.
    `outside`: files that lie elsewhere, behind links that lead out of the folder.
    """

    files: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)
    outside: list[Path] = field(default_factory=list)

    @property
    def seen(self) -> int:
        return len(self.files) + len(self.empty)


def is_litter(name: str) -> bool:
    """Whether a name is hidden, or one that an operating system, a file server or an editor leaves behind."""
    return _IS_LITTER.match(name.lower()) is not None


def tree(folder: Path, place: str) -> Tree:
    """List everything below a folder; links are followed.

    Raises:
        UserError: a folder cannot be read, or a link leads nowhere or into a circle.
    """
    found, home = Tree(), folder.resolve()
    try:
        _walk(folder, (home,), found, place)
    except OSError as error:
        raise UserError(f"{place}: {error.filename or folder} cannot be read: {error.strerror or error}") from None
    return found


def some(paths: Sequence[Path], folder: Path) -> str:
    """The first of some paths below a folder, and how many more there are."""
    names = [str(path.relative_to(folder)) for path in paths]
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _walk(folder: Path, above: tuple[Path, ...], found: Tree, place: str) -> None:
    """Add what is in a folder. `above`: where it and the folders over it really lie, the outermost first."""
    before = found.seen
    with os.scandir(folder) as entries:
        inside = sorted(entries, key=lambda entry: entry.name)
    for entry in inside:
        path, real = folder / entry.name, above[-1] / entry.name
        if is_litter(entry.name):
            found.skipped.append(path)
            continue
        if entry.is_symlink():
            real = _target(path, place)
        if real.is_dir():
            if real in above:
                raise UserError(f"{place}: {path} is a link to a folder that it lies in, {real}; remove it")
            _walk(path, (*above, real), found, place)
            continue
        found.files.append(path)
        if not real.is_relative_to(above[0]):
            found.outside.append(path)
    if found.seen == before and len(above) > 1:
        found.empty.append(folder)


def _target(link: Path, place: str) -> Path:
    try:
        return link.resolve(strict=True)
    except (OSError, RuntimeError):  # a circle of links is either, by the version of Python
        raise UserError(
            f"{place}: {link} is a link to {link.readlink()}, where there is nothing; remove it"
        ) from None
