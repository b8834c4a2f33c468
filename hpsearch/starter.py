"""Writes a commented study file for somebody's data: a start that runs."""

import json
import os
import re
from pathlib import Path

from hpsearch.data.load import Dataset, load
from hpsearch.errors import UserError
from hpsearch.files import write_text
from hpsearch.study import Data

_UNEVEN = 0.2  # a class of less than this share of an even one asks for a balanced metric


def write_study(source: str, target: str | None, out: Path | None) -> Path:
    """Looks at the data and writes a study file beside the reader; gives its path.

    Raises:
        UserError: the data cannot be read, or the file is there already.
    """
    name = _name(source)
    path = out or Path(f"{name}.yaml")
    if path.exists():
        raise UserError(f"{path}: is there already; give --out another name")
    given = source if source.startswith("sklearn:") else os.path.relpath(source, path.parent)
    if source.endswith("/"):
        given += "/"
    dataset = load(Data(source=given, target=target), path.parent, "init")
    write_text(path, _study(name, given, target, dataset))
    return path


def _name(source: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(source.removeprefix("sklearn:")).stem).strip("._-")
    return stem or "study"


def _study(name: str, source: str, target: str | None, dataset: Dataset) -> str:
    metric, others = _metric(dataset)
    commented = [
        (f"name: {_quoted(name)}", "the run folder is runs/NAME"),
        ("seed: 0", "of the draws, first weights, orders and masks"),
        ("data:", ""),
        (f"  source: {_quoted(source)}", ""),
        *([(f"  target: {_quoted(target)}", "")] if target else []),
        (f"  task: {dataset.target.task}", ""),
        ("  split: {validation: 0.2, test: 0.2, seed: 0}", "or {column: …}, {group: …}, {time: …}"),
        (f"net: {'resnet' if dataset.kind == 'images' else 'mlp'}", "or a factory of your own: my_nets:build"),
        ("search:", ""),
        ("  trials: 64", "raise it later: a longer study begins with the same trials"),
        ("  block: 8", "trials that share their structure"),
        (f"  metric: {metric}", others),
        ("  space: recipe", "see it with: hpsearch space recipe"),
        ("params:", "take the place of the space's: a scalar is fixed, a list a choice, a mapping a range"),
        ("  lr: {low: 3e-4, high: 1e-2, log: true}", ""),
        ("squeeze:", ""),
        ("  ensemble: 5", "most members"),
        ("  student: {trials: 4}", "null: none"),
    ]
    lines = [f"# {note}" for note in dataset.notes]
    lines += [f"{text:<46}  # {comment}" if comment else text for text, comment in commented]
    return "\n".join(lines) + "\n"


def _metric(dataset: Dataset) -> tuple[str, str]:
    if dataset.target.task == "regression":
        return "rmse", "or mae, r2"
    y = dataset.train.y
    share = min((y == c).mean() for c in range(dataset.target.outputs)) * dataset.target.outputs
    if share < _UNEVEN * 2:
        return "balanced_accuracy", "the classes are uneven; or accuracy, auroc, log_loss, f1"
    return "accuracy", "or balanced_accuracy, auroc, log_loss, f1"


def _quoted(word: str) -> str:
    """A word in YAML: as it is where it is plain."""
    return word if re.fullmatch(r"[A-Za-z][A-Za-z0-9_./:-]*", word) else json.dumps(word, ensure_ascii=False)
