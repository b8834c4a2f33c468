"""Hands a run folder out, line by line, to who reads what a job prints.

    python -m hpsearch.cluster.handing RUNS STUDY

A line is JSON: first every file with its size and hash, then the files' bytes in parts, in base64, then the end.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hpsearch.errors import RunError
from hpsearch.storage import place_of

_PART = 12_000  # bytes of a line
_OURS = "hpsearch-run "  # begins each line: other lines, such as warnings, are none of it
_NOT_HANDED = (".lock",)


def hand(root: Path, say: Callable[[str], None]) -> None:
    """Says a run folder's files."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and path.name not in _NOT_HANDED]

    def line(**entry: Any) -> None:
        say(_OURS + json.dumps(entry))

    listed = [{"name": str(path.relative_to(root)), **_digest(path)} for path in files]
    line(files=listed)
    for number, path in enumerate(files):
        with path.open("rb") as file:
            while part := file.read(_PART):
                line(file=number, part=base64.b64encode(part).decode("ascii"))
    line(end=len(files))


def take(lines: Iterable[str], root: Path) -> int:
    """Writes the files of a run folder from the lines that say them; gives how many.

    Raises:
        RunError: the lines end early, or a file is not what its hash says.
    """
    listed: list[dict[str, Any]] | None = None
    ended = False
    for text in lines:
        if not text.startswith(_OURS):
            continue
        entry = json.loads(text.removeprefix(_OURS))
        if "files" in entry:
            listed = entry["files"]
            for file in listed or ():
                place = _inside(root, file["name"])
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(b"")
        elif "part" in entry and listed is not None:
            with _inside(root, listed[entry["file"]]["name"]).open("ab") as out:
                out.write(base64.b64decode(entry["part"]))
        ended |= "end" in entry
    if listed is None or not ended:
        raise RunError("what the cluster sent ended early; pull again")
    for file in listed:
        if _digest(root / file["name"]) != {"bytes": file["bytes"], "sha256": file["sha256"]}:
            raise RunError(f"{file['name']}: is not what the cluster has; pull again")
    return len(listed)


def _inside(root: Path, name: str) -> Path:
    place = (root / name).resolve()
    if not place.is_relative_to(root.resolve()):
        raise RunError(f"{name}: leads out of the run folder")
    return place


def _digest(path: Path) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
            size += len(part)
    return {"bytes": size, "sha256": digest.hexdigest()}


def main() -> None:
    runs, study = sys.argv[1:]
    root = place_of(runs) / study
    if not (root / "study.yaml").is_file():
        sys.exit(f"{root}: is no run folder on this node of the cluster")
    hand(root, print)


if __name__ == "__main__":
    main()
