"""What the squeeze is worth on test parts: the best single, the mean of the best five, the ensemble, the student.

    .venv/bin/python benchmarks/squeeze.py --data DIR
    .venv/bin/python benchmarks/squeeze.py --data DIR --sets digits phoneme --seeds 5 --out squeeze.json
    .venv/bin/python benchmarks/squeeze.py --read squeeze.json

DIR has a folder a set, as in tables.py. Each seed has a split of its own and draws of its own; everything is
compared within a seed, with Student's t interval over seeds. The metric is log loss or RMSE: lower is better, and
a difference above zero is a gain. The gain that a launch itself tells, cross-fitted on validation, and the naive
one, on the rows that chose, are held against the gain on the test part.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy import stats
from tables import Set

SETS = ("digits", "credit-g", "phoneme", "concrete", "kin8nm", "adult")
TRIALS = {"adult": 24}  # of others 48
PUBLISHED = ("concrete", "kin8nm")  # whose splits are numbered from 0
WHO = ("single", "top", "uncalibrated", "ensemble", "student", "alone")
Run = Callable[[str, Path | None, int], dict[str, Any]]  # of a set, the folder of all, a seed
Tell = Callable[[dict[str, Any]], str]
Report = Callable[[list[dict[str, Any]]], None]
DIGITS = yaml.safe_load((Path(__file__).parents[1] / "studies" / "digits.yaml").read_text())


def study_of(name: str, folder: Path, data: Path | None, seed: int) -> dict[str, Any]:
    """The study, its data written beside it."""
    squeeze = {"ensemble": 5, "student": {"trials": 8, "size": 0.25}}
    search: dict[str, Any] = {"trials": TRIALS.get(name, 48), "block": 8}
    if name == "digits":
        source = {"source": "sklearn:digits", "split": {"seed": seed}}
        return {
            "name": "squeeze", "seed": seed, "data": source, "params": DIGITS["params"],
            "search": search | {"metric": "log_loss"}, "squeeze": squeeze,
        }  # fmt: skip
    assert data is not None
    table = Set(data / name, seed)
    part = np.empty(len(table.table), dtype=object)
    for which, rows in table.parts.items():
        part[rows] = which
    table.table.assign(part_=part).to_csv(folder / "data.csv", index=False)
    source = {
        "source": "data.csv", "target": table.target, "split": {"column": "part_"}, "task": table.meta["task"],
        "categorical": table.meta["categorical"],
    }  # fmt: skip
    search |= {"space": "cocktail", "metric": "log_loss" if table.classification else "rmse"}
    return {"name": "squeeze", "seed": seed, "data": source, "search": search, "squeeze": squeeze}


def run(name: str, data: Path | None, seed: int) -> dict[str, Any]:
    """A launch in a process of its own, and what its summary says."""
    with tempfile.TemporaryDirectory(prefix="squeeze-") as place:
        folder, began = Path(place), time.monotonic()
        path = folder / "study.yaml"
        path.write_text(yaml.safe_dump(study_of(name, folder, data, seed)))
        code = "from hpsearch.cli import main; main()"
        command = [sys.executable, "-c", code, "launch", str(path), "--runs", place, "--skip-checks"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        summary = json.loads((folder / "squeeze" / "summary.json").read_text())
    ensemble, student = summary["ensemble"], summary["student"]
    told = {
        "single": summary["best"], "top": ensemble["top"], "uncalibrated": ensemble["uncalibrated"],
        "ensemble": ensemble, "student": student, "alone": student["alone"],
    }  # fmt: skip
    return {
        "set": name, "seed": seed, "metric": summary["metric"], "seconds": time.monotonic() - began,
        "test": {who: told[who]["test"] for who in WHO}, "share": student["share"],
        "gain": ensemble["gain"], "temperature": ensemble["temperature"], "members": len(ensemble["members"]),
    }  # fmt: skip


def interval(values: list[float]) -> str:
    """The mean and Student's 95 % interval."""
    found = np.array(values)
    if len(found) < 2:
        return f"{found.mean():+.4f}"
    half = stats.t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / len(found) ** 0.5
    return f"{found.mean():+.4f} ({found.mean() - half:+.4f} to {found.mean() + half:+.4f})"


def report(results: list[dict[str, Any]]) -> None:
    """A table for the log: means, and differences that are paired by seed."""
    names = list(dict.fromkeys(result["set"] for result in results))
    print(f"| test log loss or RMSE | {' | '.join(WHO)} |\n|---|{'---|' * len(WHO)}")
    for name in names:
        own = [result for result in results if result["set"] == name]
        cells = [np.mean([result["test"][who][result["metric"]] for result in own]) for who in WHO]
        print(f"| {name} | {' | '.join(f'{cell:.4f}' for cell in cells)} |")
    pairs = {
        "ensemble over single": ("single", "ensemble"), "ensemble over top": ("top", "ensemble"),
        "calibrating": ("uncalibrated", "ensemble"), "student over its net alone": ("alone", "student"),
        "student over single": ("single", "student"),
    }  # fmt: skip
    print(f"\n| gain | {' | '.join(pairs)} |\n|---|{'---|' * len(pairs)}")
    for name in names:
        own = [result for result in results if result["set"] == name]
        cells = [
            interval([r["test"][worse][r["metric"]] - r["test"][better][r["metric"]] for r in own])
            for worse, better in pairs.values()
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    bias: dict[str, list[float]] = {"value": [], "naive": []}
    for result in results:
        metric, test = result["metric"], result["test"]
        scale = (
            1.0 if metric == "log_loss" else test["single"][metric]
        )  # RMSE by share, so that sets can be pooled
        true = test["single"][metric] - test["uncalibrated"][metric]
        for which, found in bias.items():
            found.append((result["gain"][which] - true) / scale)
    print(f"\nreported gain less the gain on test, over all sets and seeds: {interval(bias['value'])}")
    print(f"naive gain less the gain on test:                             {interval(bias['naive'])}")


def told(result: dict[str, Any]) -> str:
    scores = ", ".join(f"{who} {result['test'][who][result['metric']]:.4f}" for who in WHO)
    return f"{result['set']} seed {result['seed']}: {scores} ({result['seconds']:.0f} s)"


def over_seeds(doc: str | None, sets: Sequence[str], run: Run, told: Tell, report: Report) -> None:
    """The command line of a benchmark that has a result for each set and seed."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", nargs="+", default=sets, choices=sets)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=100, help="the first seed; those below are for tuning")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--read", type=Path, help="report results that are there")
    given = parser.parse_args()
    if given.read:
        report(json.loads(given.read.read_text()))
        return
    results: list[dict[str, Any]] = []
    for name in given.sets:
        first = 0 if name in PUBLISHED else given.first
        for seed in range(first, first + given.seeds):
            results.append(run(name, given.data, seed))
            print(told(results[-1]), flush=True)
            if given.out:
                given.out.write_text(json.dumps(results))
    report(results)


if __name__ == "__main__":
    over_seeds(__doc__, SETS, run, told, report)
