"""Hands a run folder out, line by line, to who reads what a job prints.

    python -m hpsearch.cluster.handing RUNS STUDY

A line is JSON: of each file its name, its bytes in parts, in base64, and then its hash; last of all how many files
there were. A file is read once, so that one that a running search replaces arrives as it was before or after.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from hpsearch.errors import RunError
from hpsearch.storage import place_of, travels

_PART = 12_000  # bytes of a line: Ray cuts off lines that are longer than 20,000 letters
_OURS = "hpsearch-run "  # begins each line: other lines, such as warnings, are none of it


def hand(root: Path, say: Callable[[str], None]) -> None:
    """Says a run folder's files."""

    def line(**entry: Any) -> None:
        say(_OURS + json.dumps(entry))

    count = 0
    for path in sorted(root.rglob("*")):
        if not travels(path):
            continue
        try:
            file = path.open("rb")
        except FileNotFoundError:  # the search is done with it
            continue
        with file:
            line(file=str(path.relative_to(root)))
            digest = hashlib.sha256()
            while part := file.read(_PART):
                digest.update(part)
                line(part=base64.b64encode(part).decode("ascii"))
            line(sha256=digest.hexdigest())
        count += 1
    line(end=count)


class Arriving:
    """The files of a run folder, written as the lines come that say them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._name, self._digest = "", hashlib.sha256()
        self._out: BinaryIO | None = None
        self._count, self._end = 0, -1

    def line(self, text: str) -> None:
        """
        Raises:
            RunError: a file is not what its hash says.
        """
        if not text.startswith(_OURS):
            return
        entry = json.loads(text.removeprefix(_OURS))
        if "file" in entry:
            self._name, self._digest = entry["file"], hashlib.sha256()
            place = (self._root / self._name).resolve()
            if not place.is_relative_to(self._root.resolve()):
                raise RunError(f"{self._name}: leads out of the run folder")
            place.parent.mkdir(parents=True, exist_ok=True)
            self._close()
            self._out = place.open("wb")
        elif "part" in entry and self._out is not None:
            part = base64.b64decode(entry["part"])
            self._out.write(part)
            self._digest.update(part)
        elif "sha256" in entry:
            self._close()
            if self._digest.hexdigest() != entry["sha256"]:
                raise RunError(f"{self._name}: is not what the cluster has; pull again")
            self._count += 1
        elif "end" in entry:
            self._end = entry["end"]

    def whole(self) -> int:
        """How many files there are, all of which have arrived.

        Raises:
            RunError: the lines ended early.
        """
        self._close()
        if self._count != self._end:
            raise RunError("what the cluster sent ended early; pull again")
        return self._count

    def _close(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None


def main() -> None:
    runs, study = sys.argv[1:]
    root = place_of(runs) / study
    if not (root / "study.yaml").is_file():
        sys.exit(f"{root}: is no run folder on this node of the cluster")
    hand(root, print)


if __name__ == "__main__":
    main()
