"""What a run leaves for people and programs to read: `trials.csv` and `summary.json`."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from hpsearch.files import finite, read_json, write_json, write_text
from hpsearch.folder import Folder
from hpsearch.metrics import METRICS
from hpsearch.prepared import Prepared
from hpsearch.squeeze.squeeze import Squeezed

_STAGES = ("check", "search", "squeeze", "export", "report", "total")


def write_trials(folder: Folder, rows: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    """`trials.csv`: number, state, value, seconds, epochs, then `params.NAME` for each that the study names."""
    table = [
        {
            "number": row["number"],
            "state": row["state"],
            "value": row["value"],
            "seconds": row["outcome"] and row["outcome"]["seconds"],
            "epochs": row["outcome"] and row["outcome"]["epochs"],
            **{f"params.{name}": row["params"].get(name) for name in names},
        }
        for row in rows
    ]
    write_text(folder.trials, pd.DataFrame(table).to_csv(index=False))


def count_states(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Trials by state; one that runs waits for its end."""
    states = ["waiting" if row["state"] == "running" else row["state"] for row in rows]
    return {state: states.count(state) for state in ("complete", "pruned", "failed", "waiting")}


def write_summary(
    folder: Folder,
    prepared: Prepared,
    rows: Sequence[dict[str, Any]],
    squeezed: Squeezed,
    no_export: str | None,
    seconds: Mapping[str, float],
) -> None:
    """`summary.json`. `no_export` says why there is no export, where there is none."""
    lost = sorted(folder.root.glob(f"{folder.summary.name}.damaged-*"))  # each was written after a scoring
    before = read_json(folder.summary)["test_scored"] if folder.summary.exists() else len(lost)
    metric = prepared.arrays.metric
    summary = {
        "study": prepared.study.name,
        "metric": metric,
        "direction": METRICS[metric].direction,
        "trials": count_states(rows),
        "folds": prepared.study.search.folds,
        "best": squeezed.best,
        "prolonged": squeezed.prolonged,
        "ensemble": squeezed.ensemble,
        "student": squeezed.student,
        "again": squeezed.again,
        "no_export": no_export,
        "test_scored": before + (squeezed.best["test"] is not None or squeezed.ensemble is not None),
        "seconds": {stage: round(seconds[stage], 2) if stage in seconds else None for stage in _STAGES},
    }
    write_json(folder.summary, finite(summary))
