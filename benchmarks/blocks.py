"""What sharing a structure within blocks costs and gains: `search.block` 1, 4, 8, 16.

    .venv/bin/python benchmarks/blocks.py --data DIR --seeds 10

Each seed and block searches the same space twice: for the same time (`--seconds` of search) and for the same
number of trials. Told are the best validation score and the distinct structures among finished trials, and
differences to block 8, paired by seed, with Student's t interval. DIR holds phoneme/data.csv and meta.json; else
digits alone is searched.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy import stats

BLOCKS = (1, 4, 8, 16)
AGAINST = 8
STRUCTURE = ("width", "depth", "norm", "activation", "batch_size")
SPACE = {
    "epochs": 20, "width": [32, 64, 128], "depth": [1, 2, 3], "norm": ["none", "batch", "layer"],
    "activation": ["relu", "gelu"], "batch_size": [32, 64], "lr": {"low": 3e-4, "high": 3e-2, "log": True},
    "optimizer": ["adam", "adamw"], "weight_decay": {"low": 1e-5, "high": 1e-1, "log": True},
    "dropout": {"low": 0.0, "high": 0.5}, "label_smoothing": {"low": 0.0, "high": 0.1},
    "schedule": ["constant", "cosine"],
}  # fmt: skip


def search(data: dict[str, Any], metric: str, block: int, seed: int, trials: int, seconds: float | None) -> Any:
    """A launch; its best validation score, the structures among finished trials, the trials and the seconds."""
    with tempfile.TemporaryDirectory(prefix="blocks-") as folder:
        wanted = {"trials": trials, "block": block, "metric": metric}
        if seconds is not None:
            wanted["timeout"] = f"{seconds:.0f}s"
        study = {
            "name": "blocks", "seed": seed, "data": data, "search": wanted, "params": SPACE,
            "squeeze": {"ensemble": 1, "student": None},
        }  # fmt: skip
        path = Path(folder) / "study.yaml"
        path.write_text(yaml.safe_dump(study))
        code, began = "from hpsearch.cli import main; main()", time.monotonic()
        command = [sys.executable, "-c", code, "launch", str(path), "--runs", folder, "--skip-checks"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took, run = time.monotonic() - began, Path(folder) / "blocks"
        table = pd.read_csv(run / "trials.csv").query("state == 'complete'")
        best = json.loads((run / "summary.json").read_text())["best"]["validation"][metric]
    structures = table[[f"params.{name}" for name in STRUCTURE]].drop_duplicates()
    return best, len(structures), len(table), took


def interval(values: np.ndarray) -> str:
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values) if len(values) > 1 else np.nan
    return f"{values.mean():+.4f} (95 % {values.mean() - half:+.4f} to {values.mean() + half:+.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", nargs="+", choices=("digits", "phoneme"), help="default: those that there are")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30, help="of the search, at equal wall-clock")
    parser.add_argument("--trials", type=int, default=64, help="at equal trials")
    options = parser.parse_args()
    sets: dict[str, tuple[dict[str, Any], str]] = {"digits": ({"source": "sklearn:digits"}, "accuracy")}
    if options.data is not None:
        meta = json.loads((options.data / "phoneme" / "meta.json").read_text())
        source = str((options.data / "phoneme" / "data.csv").resolve())
        sets["phoneme"] = ({"source": source, "target": meta["target"]}, "balanced_accuracy")
    if not sets.keys() >= set(options.sets or ()):
        parser.error("--sets phoneme: is in --data, which is not given")
    for name in options.sets or sets:
        data, metric = sets[name]
        for way, trials, seconds in (("clock", 1024, options.seconds), ("trials", options.trials, None)):
            rows = []
            for seed in range(options.seeds):
                rows.append([search(data, metric, block, seed, trials, seconds) for block in BLOCKS])
                told = ", ".join(f"{best:.4f} ({count} trials)" for best, _, count, _ in rows[-1])
                print(f"{name}, equal {way}, seed {seed}, blocks {BLOCKS}: {told}", flush=True)
            found = np.array(rows)
            for i, block in enumerate(BLOCKS):
                best, structures, count, took = found[:, i].mean(0)
                difference = found[:, i, 0] - found[:, BLOCKS.index(AGAINST), 0]
                print(
                    f"{name}, equal {way}, block {block}: best {metric} {best:.4f}, {structures:.1f} structures, "
                    f"{count:.0f} trials, {took:.0f} s; against block {AGAINST}: {interval(difference)}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
