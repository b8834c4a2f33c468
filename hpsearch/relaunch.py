"""Launching a study again: what a run keeps of its first command line, and the command that goes on with it."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hpsearch.commands import proposed
from hpsearch.errors import DamagedError, UserError
from hpsearch.files import read_json
from hpsearch.folder import Folder
from hpsearch.prepared import Overrides
from hpsearch.storage import is_url, place_of
from hpsearch.study import Study, load_study

SENDER = "HPSEARCH_SENT_BY"  # in a cluster job's environment: the version that sent it


@dataclass(frozen=True)
class Launch:
    """A launch as it was asked for."""

    study: Path
    runs: str | None = None
    overrides: Overrides = field(default_factory=Overrides)
    plan: Path | None = None
    skip_checks: bool = False
    address: str | None = None

    @property
    def command(self) -> str:
        """The command line that asks for the same."""
        given = self.overrides
        return proposed(
            "launch", self.study, trials=given.trials, timeout=given.timeout, runs=self.runs, seed=given.seed,
            workers=given.workers, plan=self.plan, skip_checks=self.skip_checks, address=self.address,
        )  # fmt: skip

    def check_command(self, root: Path) -> str:
        """The command line that shows all verdicts on the same study."""
        given = self.overrides
        return proposed("check", self.study, runs=root.parent, trials=given.trials, seed=given.seed)

    def recorded(self, raw: Study) -> dict[str, Any]:
        """What a run keeps of it, independent of the working directory; `raw`: the study without changes."""
        runs = self.runs if self.runs is None or is_url(self.runs) else str(place_of(self.runs).resolve())
        runs = str(Path("runs").resolve()) if runs is None and raw.storage.path is None else runs
        return {
            "study": None if SENDER in os.environ else str(self.study.absolute()), "runs": runs,
            "address": self.address, "trials": raw.search.trials, "seed": raw.seed,
        }  # fmt: skip


def kept(folder: Folder, raw: Study, overrides: Overrides, tell: Callable[[str], None]) -> Overrides:
    """The changes of this command line, and those of the run's earlier ones that it does not name.

    Kept are more trials than the study file has, and the seed. Where the file was edited since, it counts.
    """
    launched = _launched(folder)
    if launched is None or not folder.study.is_file():
        return overrides
    try:
        study = load_study(folder.study)
    except UserError:
        return overrides
    more, fewer = study.search.trials, raw.search.trials
    if more > fewer and overrides.trials is None and launched.get("trials") == fewer:
        tell(f"search.trials: {more}, as this run was launched before; the study file has {fewer}")
        overrides = replace(overrides, trials=more)
    if study.seed != raw.seed and overrides.seed is None and launched.get("seed") == raw.seed:
        tell(f"seed: {study.seed}, as this run was launched before; the study file has {raw.seed}")
        overrides = replace(overrides, seed=study.seed)
    return overrides


def command(root: Path) -> str | None:
    """The command that goes on with a run, as far as the run says where its study is."""
    launched = _launched(Folder(root)) or {}
    study = launched.get("study")
    if not isinstance(study, str) or not Path(study).is_file():
        return None
    return proposed("launch", study, runs=launched.get("runs"), address=launched.get("address"))


def again(root: Path) -> str:
    """How to go on with a run, as the end of a sentence."""
    found = command(root)
    if found is not None:
        return f"go on with: {found}"
    return f"{'submit' if SENDER in os.environ else 'launch'} its study again to go on"


def _launched(folder: Folder) -> dict[str, Any] | None:
    try:
        found = read_json(folder.origin)["launched"]
    except (OSError, DamagedError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None
