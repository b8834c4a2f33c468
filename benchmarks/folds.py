"""Cross-validated trials against one split at equal wall-clock, on small tables.

    .venv/bin/python benchmarks/folds.py --data DIR
    .venv/bin/python benchmarks/folds.py --read folds.json

DIR has a folder a set, as in tables.py. On each outer split a study of the `cocktail` space with `folds: 5` comes
first, and the same study with one validation part then has as long for its search, and as many trials as it
can train in that time. Both join an ensemble of five; log loss on the outer test part, paired by split, with
Student's t interval. A gain above zero is one of the folds.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from squeeze import interval, over_seeds, study_of

SETS = ("credit-g", "vehicle")
WHO = ("best", "ensemble")
FOLDS, TRIALS, MANY = 5, 16, 2000
PARAMS = {"pieces": "off"}  # which looks at rows that folds hold out: so neither side has it


def launch(name: str, data: Path | None, seed: int, search: dict[str, Any]) -> dict[str, Any]:
    """A launch in a process of its own; its summary."""
    with tempfile.TemporaryDirectory(prefix="folds-") as place:
        folder = Path(place)
        study = study_of(name, folder, data, seed)
        study["search"] |= search
        study |= {"params": PARAMS, "squeeze": {"ensemble": 5, "student": "off"}}
        path = folder / "study.yaml"
        path.write_text(yaml.safe_dump(study))
        code = "from hpsearch.cli import main; main()"
        command = [sys.executable, "-c", code, "launch", str(path), "--runs", place, "--skip-checks"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        summary: dict[str, Any] = json.loads((folder / "squeeze" / "summary.json").read_text())
        return summary


def compare(name: str, data: Path | None, seed: int) -> dict[str, Any]:
    folds = launch(name, data, seed, {"folds": FOLDS, "trials": TRIALS})
    seconds = folds["seconds"]["search"]
    single = launch(name, data, seed, {"trials": MANY, "timeout": f"{seconds:.0f}s"})
    told = {"folds": folds, "one split": single}
    return {
        "set": name, "seed": seed, "seconds": {kind: found["seconds"]["search"] for kind, found in told.items()},
        "trials": {kind: found["trials"]["complete"] for kind, found in told.items()},
        "test": {kind: {who: found[who]["test"]["log_loss"] for who in WHO} for kind, found in told.items()},
    }  # fmt: skip


def report(results: list[dict[str, Any]]) -> None:
    print("| set | of | one split | folds | gain of the folds |\n|---|---|---|---|---|")
    for name in dict.fromkeys(result["set"] for result in results):
        own = [result for result in results if result["set"] == name]
        for who in WHO:
            one, folds = ([r["test"][kind][who] for r in own] for kind in ("one split", "folds"))
            gains = interval([a - b for a, b in zip(one, folds, strict=True)])
            print(f"| {name} | {who} | {sum(one) / len(own):.4f} | {sum(folds) / len(own):.4f} | {gains} |")


if __name__ == "__main__":
    over_seeds(__doc__, SETS, compare, json.dumps, report)
