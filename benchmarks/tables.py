"""The `cocktail` space on tables with published figures, against tuned gradient boosting, at equal wall-clock.

    .venv/bin/python benchmarks/tables.py --data DIR                       # six sets, balanced accuracy
    .venv/bin/python benchmarks/tables.py --data DIR --sets concrete kin8nm   # published splits, RMSE

DIR has a folder a set: data.csv (target last), meta.json, splits.npz. Classification: stratified splits drawn
here, 60 % training, 20 % validation, 20 % test. Both contestants train on the training part, choose on the
validation part and are scored once on the test part. scikit-learn's HistGradientBoosting has balanced class
weights and early stopping, and is tuned by random search for the same time. Differences are paired by split,
with Student's t interval.

The space was chosen on splits 0 to 9; those reported begin at 100.
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
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import balanced_accuracy_score, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

SETS = ("adult", "credit-g", "kc1", "phoneme", "vehicle", "anneal")
PUBLISHED = {  # Kadra et al. 2021, Table 2, balanced accuracy in %; Lakshminarayanan et al. 2017, Table 1, RMSE
    "adult": {"cocktail": 82.44, "xgboost": 79.82}, "anneal": {"cocktail": 89.27, "xgboost": 85.42},
    "credit-g": {"cocktail": 74.64, "xgboost": 68.93}, "kc1": {"cocktail": 74.38, "xgboost": 66.85},
    "phoneme": {"cocktail": 86.62, "xgboost": 87.97}, "vehicle": {"cocktail": 82.58, "xgboost": 74.97},
    "concrete": {"deep ensembles": 6.03}, "kin8nm": {"deep ensembles": 0.09},
}  # fmt: skip
SQUEEZE_S = 20.0  # of a launch's time that is no search: start, last epochs, ensemble, export


class Set:
    """A data set with its parts for one split."""

    def __init__(self, folder: Path, split: int) -> None:
        self.meta = json.loads((folder / "meta.json").read_text())
        self.table = pd.read_csv(folder / "data.csv", keep_default_na=False, na_values=[""])
        self.target = self.meta["target"]
        self.classification = self.meta["task"] == "classification"
        rows = np.arange(len(self.table))
        y = self.table[self.target]
        if self.classification:
            rest, test = train_test_split(rows, test_size=0.2, random_state=split, stratify=y)
        else:
            splits = np.load(folder / "splits.npz")
            rest, test = splits[f"train_{split}"], splits[f"test_{split}"]
        stratify = y.iloc[rest] if self.classification else None
        train, validation = train_test_split(rest, test_size=0.25, random_state=split, stratify=stratify)
        self.parts = {"train": train, "validation": validation, "test": test}

    def score(self, part: str, prediction: np.ndarray) -> float:
        truth = self.table[self.target].iloc[self.parts[part]]
        if self.classification:
            return float(balanced_accuracy_score(truth.astype(str), prediction.astype(str)))
        return float(root_mean_squared_error(truth, prediction))


def hpsearch(data: Set, seconds: float, seed: int, space: str) -> dict[str, Any]:
    """A launch in a process of its own; its summary's scores on the test part."""
    with tempfile.TemporaryDirectory(prefix="tables-") as folder:
        part = np.empty(len(data.table), dtype=object)
        for name, rows in data.parts.items():
            part[rows] = name
        data.table.assign(part_=part).to_csv(Path(folder) / "data.csv", index=False)
        study = {
            "name": "tables", "seed": seed,
            "data": {
                "source": "data.csv", "target": data.target, "split": {"column": "part_"},
                "task": data.meta["task"], "categorical": data.meta["categorical"],
            },
            "search": {
                "trials": 240, "block": 8, "space": space, "timeout": f"{max(seconds - SQUEEZE_S, 5):.0f}s",
                "metric": "balanced_accuracy" if data.classification else "rmse",
            },
            "params": {"class_weights": 1.0} if data.classification else {},  # balanced, as the peer's are
            "squeeze": {"ensemble": 10, "student": None},
        }  # fmt: skip
        path = Path(folder) / "study.yaml"
        path.write_text(yaml.safe_dump(study))
        code = "from hpsearch.cli import main; main()"
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "-c", code, "launch", str(path), "--runs", folder, "--skip-checks"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        took = time.monotonic() - began
        summary = json.loads((Path(folder) / "tables" / "summary.json").read_text())
    metric = summary["metric"]
    return {
        "ensemble": summary["ensemble"]["test"][metric], "best": summary["best"]["test"][metric],
        "validation": summary["ensemble"]["validation"][metric], "trials": summary["trials"]["complete"],
        "seconds": took,
    }  # fmt: skip


def boosting(data: Set, seconds: float, seed: int) -> dict[str, Any]:
    """Random search over HistGradientBoosting; the best by the validation part."""
    rng = np.random.default_rng(seed)
    x, y = data.table.drop(columns=data.target), data.table[data.target]
    y = y.astype(str) if data.classification else y
    words = data.meta["categorical"]
    x = x.assign(**{name: x[name].astype(str).where(x[name].notna()) for name in words})
    fit, held = ((x.iloc[rows], y.iloc[rows]) for rows in (data.parts["train"], data.parts["validation"]))
    best, tried, end = None, 0, time.monotonic() + seconds
    while best is None or time.monotonic() < end:
        params = {
            "learning_rate": float(10 ** rng.uniform(-2, -0.3)),
            "max_leaf_nodes": round(2 ** rng.uniform(2, 7)),
            "min_samples_leaf": round(2 ** rng.uniform(0, 6.5)),
            "l2_regularization": float(10 ** rng.uniform(-6, 1)),
            "max_features": float(rng.uniform(0.3, 1)),
            "max_iter": 500, "early_stopping": True, "n_iter_no_change": 20,
            "random_state": int(rng.integers(1e9)),
        }  # fmt: skip
        kind = HistGradientBoostingClassifier if data.classification else HistGradientBoostingRegressor
        if data.classification:
            params["class_weight"] = "balanced"
        encoder = make_column_transformer(
            (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan), words),
            remainder="passthrough",
        )
        words_first = list(range(len(words))) or None
        net = make_pipeline(encoder, kind(categorical_features=words_first, **params))
        net.fit(*fit)
        value = data.score("validation", net.predict(held[0]))
        sign = 1 if data.classification else -1
        tried += 1
        if best is None or sign * value > sign * best[0]:
            best = value, net
    prediction = best[1].predict(x.iloc[data.parts["test"]])
    return {"test": data.score("test", prediction), "validation": best[0], "trials": tried}


def interval(values: list[float]) -> str:
    if len(values) < 2:
        return "no interval of one split"
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"95 % {np.mean(values) - half:+.4f} to {np.mean(values) + half:+.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--splits", type=int, nargs="+", help="100 to 104, adult 100 and 101, published 0 to 4")
    parser.add_argument("--seconds", type=float, help="for each contestant; default: 120, adult 300")
    parser.add_argument("--space", default="cocktail")
    parser.add_argument("--alone", action="store_true", help="without gradient boosting")
    options = parser.parse_args()
    means = {}
    for name in options.sets:
        seconds = options.seconds or (300 if name == "adult" else 120)
        regression = name in ("concrete", "kin8nm")
        splits = options.splits or (range(5) if regression else range(100, 102 if name == "adult" else 105))
        alone = options.alone or regression
        ours, theirs = [], []
        for split in splits:
            data = Set(options.data / name, split)
            one = hpsearch(data, seconds, split, options.space)
            ours.append(one["ensemble"])
            told = (
                f"{name} split {split}: ensemble {one['ensemble']:.4f} (best {one['best']:.4f}, validation "
                f"{one['validation']:.4f}, {one['trials']} trials, {one['seconds']:.0f} s)"
            )
            if not alone:
                other = boosting(data, seconds, split)
                theirs.append(other["test"])
                tested, chosen_by = other["test"], other["validation"]
                told += f"; boosting {tested:.4f} (validation {chosen_by:.4f}, {other['trials']} trials)"
            print(told, flush=True)
        told = f"{name}: ensemble {np.mean(ours):.4f}"
        if not alone:
            difference = list(np.subtract(ours, theirs))
            means[name] = np.mean(difference)
            told += f", boosting {np.mean(theirs):.4f}, difference {means[name]:+.4f} ({interval(difference)})"
        print(f"{told}; published {PUBLISHED[name]}", flush=True)
    if means:
        print(f"mean difference over sets: {np.mean(list(means.values())):+.4f}")


if __name__ == "__main__":
    main()
