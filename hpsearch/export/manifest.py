"""manifest.json of an export: what the folder holds, and the proof that it is all there and unaltered."""

import hashlib
import json
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError

FORMAT = 3  # 3: the ranges of the inputs
NAME = "manifest.json"
FILES = ("model.onnx", "model.safetensors", "preprocess.json", "README.md")
_ANEW = "export it again (a run's own is made anew when its study is launched)"


def sealed(manifest: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The manifest with the SHA-256 of each file, and of itself without that last entry."""
    manifest = {"format": FORMAT, **manifest, "files": {name: _digest(folder / name) for name in FILES}}
    return {**manifest, "seal": _seal(manifest)}


def read(folder: Path) -> dict[str, Any]:
    """The manifest of an export whose every file has been held against its hash.

    Raises:
        UserError: the folder is not an export, is of another format, lacks a file, or has been altered.
    """
    path = folder / NAME
    if not path.is_file():
        raise UserError(f"{folder}: is not an export: it has no {NAME}{_meant(folder)}")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version = manifest["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path}: has been altered or damaged; {_ANEW}") from None
    if isinstance(version, int) and version > FORMAT:
        raise UserError(
            f"{path}: is of format {version}, this hpsearch reads up to {FORMAT}; install a newer hpsearch"
        )
    body = {key: value for key, value in manifest.items() if key != "seal"}
    if manifest.get("seal") != _seal(body):
        raise UserError(f"{path}: has been altered or damaged; {_ANEW}")
    if version != FORMAT:
        raise UserError(f"{path}: is of format {version}, which this hpsearch no longer reads; {_ANEW}")
    for name in FILES:
        if not (folder / name).is_file():
            raise UserError(f"{folder / name}: is missing; {_ANEW}")
        if _digest(folder / name) != manifest["files"][name]:
            raise UserError(f"{folder / name}: has been altered or damaged; {_ANEW}")
    return body


def _meant(folder: Path) -> str:
    if (folder / "export" / NAME).is_file():
        return f"; did you mean {folder / 'export'}?"
    begun = (folder.parent / "study.yaml").is_file() and folder.name == "export"
    return "; its run has none, or is not finished: launch it again" if begun else ""


def refuse_strangers(folder: Path) -> None:
    """An export replaces an export or nothing: a folder with anything else in it is never touched.

    Raises:
        UserError: there is something else.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: an export is a folder, and this is a file")
    others = sorted({path.name for path in folder.iterdir()} - {*FILES, NAME}) if folder.exists() else []
    if others:
        raise UserError(
            f"{folder}: holds {others[0]!r}, which is no part of an export; move it, or choose another folder"
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(body: dict[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
