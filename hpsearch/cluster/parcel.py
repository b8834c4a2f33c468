"""What travels to a cluster with a study: its file, its own code, and the data that lie beside it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from hpsearch.code import SHIPPED, family, find, is_code
from hpsearch.errors import UserError
from hpsearch.relaunch import SENDER
from hpsearch.storage import is_url
from hpsearch.study import Study

LIMIT = 100e6  # bytes: a parcel goes through the memory of the cluster's head
_SHOWN = 5
_IN_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # which Ray sets for what a job starts
_NEVER = (".gitignore", ".git", ".venv", "__pycache__")  # Ray would leave out what a .gitignore names


@dataclass(frozen=True)
class Parcel:
    """`files`: their paths from `root`, the study's folder. `left_out`: what lies there and stays, and why.

    `whole`: it holds all that the study names, and that is no code.
    """

    root: Path
    study: Path
    files: tuple[Path, ...]
    left_out: tuple[str, ...]
    whole: bool

    @property
    def bytes(self) -> int:
        return sum((self.root / file).stat().st_size for file in self.files)

    def copy_to(self, folder: Path) -> None:
        for file in self.files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.root / file, folder / file)


def pack(path: Path, study: Study, limit: float = LIMIT) -> Parcel:
    """The study's file and what it names, and everything in its folder that git tracks.

    Where its folder is under no git, only what the study names travels.

    Raises:
        UserError: the study names a file that is neither here nor, by an absolute path, there, or it is too much.
    """
    root = path.resolve().parent
    named = {path.resolve().relative_to(root), *_named(path, study, root)}
    tracked = _git(root, "--cached")
    files = sorted(file for file in named | set(tracked or ()) if not set(file.parts) & set(_NEVER))
    files = [file for file in files if (root / file).is_file()]
    parcel = Parcel(
        root,
        path.resolve().relative_to(root),
        tuple(files),
        tuple(_left_out(root, tracked, named)),
        not (any(map(_is_elsewhere, _names(study).values())) or any(_own_code(path, study, root))),
    )
    if parcel.bytes > limit:
        sizes = sorted(((root / file).stat().st_size, str(file)) for file in files)[::-1]
        largest = ", ".join(f"{name} ({size / 1e6:.0f} MB)" for size, name in sizes[:_SHOWN])
        raise UserError(
            f"{path}: {parcel.bytes / 1e6:.0f} MB would travel with it, and {limit / 1e6:.0f} MB is the most; "
            f"the largest are {largest}. Put large data where the cluster sees them, and name them by an absolute "
            "path, or take from git what is not the study's"
        )
    return parcel


@contextmanager
def beside_the_driver(path: Path, study: Study) -> Iterator[Path | None]:
    """A folder that Ray takes to a cluster's nodes, where the study has code of its own; else None.

    A job's folder is taken there already.
    """
    root = path.resolve().parent
    if _IN_A_JOB in os.environ or not any(_own_code(path, study, root)):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="hpsearch-") as place:
        pack(path, study).copy_to(Path(place) / SHIPPED)
        yield Path(place)


def refuse_another_version() -> None:
    """
    Raises:
        UserError: what came here was sent by another version of hpsearch, which may draw other trials.
    """
    ours, theirs = version("hpsearch"), os.environ.get(SENDER)
    if theirs not in (None, ours):
        raise UserError(
            f"the cluster has hpsearch {ours}, and this study was sent by {theirs}: install the same on both"
        )


def _named(path: Path, study: Study, root: Path) -> Iterator[Path]:
    """The files that a study names, from its folder."""
    for key, name in _names(study).items():
        if name and not is_code(name) and not _is_elsewhere(name):
            yield from _inside(root, name, f"{path}: {key}")
    yield from _own_code(path, study, root)


def _names(study: Study) -> dict[str, str | None]:
    """The files that a study may name, by its keys."""
    data, human = study.data, study.human
    return {
        "data.source": data.source, "data.extra": data.extra, "data.unlabelled": data.unlabelled,
        "init_from": study.init_from, "human.labels": None if human is None else human.labels,
    }  # fmt: skip


def _is_elsewhere(name: str | None) -> bool:
    return name is not None and (is_url(name) or Path(name).is_absolute())


def _own_code(path: Path, study: Study, root: Path) -> Iterator[Path]:
    codes = {
        "net": study.net,
        "objective": study.objective,
        "search.metric": study.search.metric,
        "data.source": study.data.source,
    }
    for key, spec in codes.items():
        if spec and is_code(spec) and not spec.startswith("sklearn:"):
            code = find(spec, root, f"{path}: {key}")
            if code.own:
                yield from (file.relative_to(root) for file in family(code.module, code.file, root).values())


def _inside(root: Path, name: str, where: str) -> Iterator[Path]:
    place = (root / name).resolve()
    if not place.exists():
        raise UserError(
            f"{where}: {root / name}: no such file; on the cluster's own disks name it by an absolute path"
        )
    if not place.is_relative_to(root):
        raise UserError(
            f"{where}: {name} lies outside the study's folder, which is what travels; move it there, or name it "
            "by an absolute path that the cluster has"
        )
    for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
        if file.is_file():
            yield file.relative_to(root)


def _git(root: Path, *kinds: str) -> list[Path] | None:
    """The files in a folder that git tracks, or such as the kinds say; None where there is no git."""
    command = ["git", "-C", str(root), "ls-files", "-z", *kinds, "--", "."]
    try:
        found = subprocess.run(command, capture_output=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return [Path(name) for name in found.stdout.decode("utf-8", "surrogateescape").split("\0") if name]


def _left_out(root: Path, tracked: list[Path] | None, named: set[Path]) -> Iterator[str]:
    if tracked is None:
        yield f"{root} is under no git: only what the study names travels"
        return
    loose = [file for file in _git(root, "--others", "--exclude-standard") or () if file not in named]
    if loose:
        more = f" and {len(loose) - _SHOWN} more" if len(loose) > _SHOWN else ""
        yield f"git does not track {', '.join(str(file) for file in loose[:_SHOWN])}{more}"
