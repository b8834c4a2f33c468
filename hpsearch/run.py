"""A run folder, opened for reading: `hpsearch.open_run("runs/digits")`."""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from hpsearch.deploy import advise
from hpsearch.errors import DamagedError, UserError
from hpsearch.files import read_json
from hpsearch.folder import Folder
from hpsearch.lock import is_held
from hpsearch.search import ledger
from hpsearch.search.progress import stage_of
from hpsearch.study import Study, load_study


@dataclass(frozen=True)
class Run:
    """A study that was launched: its study, trials, results and files, as they stand on disk."""

    folder: Folder

    @cached_property
    def study(self) -> Study:
        try:
            return load_study(self.folder.study)
        except UserError as error:
            raise UserError(f"{error}; launching its study again writes it anew") from None

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial: number, state, value, seconds, epochs, best_epoch, failure, params.NAME."""
        rows = self._rows()
        return pd.DataFrame(
            [
                {
                    "number": row["number"],
                    "state": row["state"],
                    "value": row["value"],
                    **{
                        key: (row["outcome"] or {}).get(key)
                        for key in ("seconds", "epochs", "best_epoch", "failure")
                    },
                    **{f"params.{name}": value for name, value in row["params"].items()},
                }
                for row in rows
            ]
        )

    def _rows(self) -> list[dict[str, Any]]:
        try:
            return ledger.read(self.folder.ledger, self.study.name)
        except DamagedError as error:
            raise UserError(f"{error}; launching again sets it aside and goes on from the rows on disk") from None

    @property
    def summary(self) -> dict[str, Any] | None:
        """`summary.json`, or None before the run has ended."""
        if not self.folder.summary.exists():
            return None
        try:
            value: dict[str, Any] = read_json(self.folder.summary)
        except DamagedError as error:
            raise UserError(f"{error}; launching again makes it anew") from None
        return value

    @property
    def ensemble(self) -> dict[str, Any] | None:
        """Members, weights and scores of the ensemble, or None before there is one."""
        return self.summary and self.summary["ensemble"]

    @property
    def export(self) -> Path:
        return self.folder.export

    def status(self) -> dict[str, Any]:
        """Where the run stands: trials by state, the best value, whether a launch is at it and in which stage,
        whether it is over, and what to deploy of it then."""
        rows, total = self._rows(), self.study.search.trials
        held = is_held(self.folder.root)
        states = [row["state"] if held or row["state"] != "running" else "waiting" for row in rows]
        values = [row["value"] for row in rows if row["value"] is not None]
        up = bool(values) and ledger.direction(self.folder.ledger, self.study.name) == "maximize"
        best = (max if up else min)(values, default=None)
        finished = self.summary is not None and "waiting" not in states and len(states) == total
        advice = advise(self.summary, self.folder.root) if self.summary is not None and finished else None
        return {
            "study": self.study.name,
            "trials": {s: states.count(s) for s in ("complete", "pruned", "failed", "running", "waiting")},
            "total": total,
            "best": best,
            "launched": held,
            "stage": self._stage() if held else None,
            "finished": finished,
            "deploy": None if advice is None else asdict(advice),
        }

    def _stage(self) -> str | None:
        log = self.folder.log
        return stage_of(log.read_text(encoding="utf-8", errors="replace")) if log.exists() else None


def open_run(path: str | Path) -> Run:
    """Opens a run folder.

    Raises:
        UserError: it is not one.
    """
    folder = Folder(Path(path))
    if not folder.study.is_file():
        raise UserError(f"{path}: is not a run folder: it has no study.yaml")
    return Run(folder)
