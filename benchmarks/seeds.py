"""A whole launch over several seeds: what the ensemble and the student are worth on the test part.

    .venv/bin/python benchmarks/seeds.py studies/digits.yaml --seeds 5

The split stays the study's; the seed changes the draws, the nets' first weights and the order of examples.
Differences are paired by seed, with Student's t interval.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats


def launch(study: Path, seed: int, runs: Path) -> dict[str, Any]:
    code = "from hpsearch.cli import main; main()"
    command = [sys.executable, "-c", code, "launch", str(study), "--skip-checks"]
    command += ["--seed", str(seed), "--runs", str(runs / str(seed))]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (summary,) = (runs / str(seed)).glob("*/summary.json")
    return json.loads(summary.read_text())


def interval(values: list[float]) -> str:
    mean, error = np.mean(values), stats.sem(values)
    half = stats.t.ppf(0.975, len(values) - 1) * error if len(values) > 1 else np.nan
    return f"{mean:+.4f} (95 % {mean - half:+.4f} to {mean + half:+.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory(prefix="seeds-") as folder:
        for seed in range(options.seeds):
            summary = launch(options.study, seed, Path(folder))
            found.append({
                "best": summary["best"]["test"], "ensemble": summary["ensemble"]["test"],
                "student": summary["student"]["test"], "alone": summary["student"]["alone"]["test"],
            })  # fmt: skip
            texts = [
                f"{who} " + " ".join(f"{v:.4f}" for v in scores.values()) for who, scores in found[-1].items()
            ]
            print(f"seed {seed}: {'; '.join(texts)}; {summary['seconds']['total']:.0f} s", flush=True)
    for metric in found[0]["best"]:
        for who in found[0]:
            print(f"{who} {metric}: mean {np.mean([f[who][metric] for f in found]):.4f}")
        for a, b in (("ensemble", "best"), ("student", "alone"), ("student", "best")):
            print(f"{a} - {b}, {metric}: {interval([f[a][metric] - f[b][metric] for f in found])}")


if __name__ == "__main__":
    main()
