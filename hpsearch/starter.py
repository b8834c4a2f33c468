"""Writes a commented study file for somebody's data: a start that runs."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hpsearch.core_yaml import read_yaml
from hpsearch.data.load import Dataset, load
from hpsearch.data.sources import names_code
from hpsearch.errors import UserError
from hpsearch.output import check_output, is_stream, real_path, write_output
from hpsearch.storage import is_url
from hpsearch.study import Data

_UNEVEN = 0.2  # a class of less than this share of an even one asks for a balanced metric


def write_study(source: str, target: str | None, out: Path | None, told: Mapping[str, Any] | None = None) -> Path:
    """Looks at the data, writes a study file and returns its path.

    `told`: what else the study says of its data, by the keys of `data`.

    Raises:
        UserError: the data cannot be read, the file is there already, or its folder is not.
    """
    told = told or {}
    if names_code(source):
        raise UserError(f"{source}: is a loader of your own, and init reads files; docs/own.md has such a study")
    path = out or Path(f"{_name(source)}.yaml")
    check_output(path)
    if is_stream(path):
        home, name = Path.cwd(), _name(source)
    else:
        home, name = real_path(path, "--out").parent, _name(path.name)  # of its own, so is the run folder
        if path.exists():
            raise UserError(f"{path}: is there already; give --out another name")
    given = source if source.startswith("sklearn:") or is_url(source) else _seen_from(home, source)
    try:
        data = Data(source=given, target=target, **told)
    except ValidationError as error:
        raise UserError(f"--{error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}") from None
    dataset = load(data, home, "init")
    write_output(path, [_study(name, given, target, told, dataset)])
    return path


def _seen_from(home: Path, source: str) -> str:
    """The path from a folder to the data; links on the way count as where they lead, as opening the path does."""
    path = os.path.relpath(Path(source).parent.resolve() / Path(source).name, home)
    return f"{path}/" if source.endswith("/") else path


def _name(source: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(source.removeprefix("sklearn:")).stem).strip("._-")
    return stem or "study"


def _study(name: str, source: str, target: str | None, told: Mapping[str, Any], dataset: Dataset) -> str:
    metric, others = _metric(dataset)
    commented = [
        (f"name: {_quoted(name)}", "the run folder is runs/NAME"),
        ("seed: 0", "of the draws, first weights, orders and masks"),
        ("data:", ""),
        (f"  source: {_quoted(source)}", ""),
        *([(f"  target: {_quoted(target)}", "")] if target else []),
        *((f"  {key}: {_as_json(value)}", "") for key, value in told.items()),
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
        ("  student: {trials: 8}", "off: none"),
    ]
    lines = [f"# {' '.join(note.split())}" for note in dataset.notes]
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
    """A word in YAML: as it is where it then reads as itself."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_./:-]*", word) and not word.endswith(":")
    return word if plain and read_yaml(f"key: {word}", "init")["key"] == word else _as_json(word)


def _as_json(value: Any) -> str:
    """A value as JSON, which is YAML, but that some of its letters are YAML's line breaks."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)
