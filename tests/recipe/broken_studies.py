"""A catalogue of broken studies: each with one fault, and the check that has to find it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

ROWS = 300


@dataclass(frozen=True)
class Fault:
    """`data` gives a table with the target `y`, or arrays x and y; `net` is one of `broken_nets`."""

    name: str
    finds: str
    data: Callable[[np.random.Generator], Any]
    study: dict[str, Any] = field(default_factory=dict)
    net: str = ""


def blobs(rng: np.random.Generator, rows: int = ROWS, classes: int = 3) -> pd.DataFrame:
    """Classes that four numbers and a word tell apart nearly always."""
    y = rng.integers(classes, size=rows)
    x = rng.normal(size=(rows, 4)) + 2 * np.eye(4)[y % 4]
    table = pd.DataFrame(x, columns=list("abcd"))
    table["w"] = np.where(rng.random(rows) < 0.8, np.array(["p", "q", "r", "s"])[y % 4], "t")
    table["y"] = np.array(["one", "two", "three", "four"])[y]
    return table


def values(rng: np.random.Generator, rows: int = ROWS) -> pd.DataFrame:
    """A value that is a curved function of three numbers."""
    x = rng.normal(size=(rows, 3))
    y = x[:, 0] + np.sin(2 * x[:, 1]) + 0.1 * rng.normal(size=rows)
    return pd.DataFrame(x, columns=list("abc")).assign(y=y)


def _with(
    make: Callable[..., pd.DataFrame], change: Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]
) -> Any:
    return lambda rng: change(make(rng), rng)


def _parts(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return table.assign(
        part=np.array(["train", "train", "train", "validation", "test"])[np.arange(len(table)) % 5]
    )


def _cities(rng: np.random.Generator) -> pd.DataFrame:
    """Fifteen classes, each with two words of its own."""
    y = rng.integers(15, size=300)
    word = [f"{'north' if side else 'south'} of {c}" for c, side in zip(y, rng.integers(2, size=300), strict=True)]
    return pd.DataFrame({"a": rng.normal(size=300), "place": word, "y": [f"region {c}" for c in y]})


def _copied_across(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """A tenth of the rows stands again further down; the split is drawn."""
    return pd.concat([table[:-30], table[:30]], ignore_index=True)


def _copied_within(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    table = _parts(table, rng)
    train = table[table.part == "train"]
    table.loc[train.index[-30:], list("abcdwy")] = train.iloc[:30][list("abcdwy")].to_numpy()
    return table


def _conflicting(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    again = table[:30].copy()
    again["y"] = again.y.map({"one": "two", "two": "three", "three": "one"})
    return pd.concat([table[30:], again, table[:30]], ignore_index=True)


def _flipped(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    x = rng.normal(size=(len(table), 4)) + 6 * np.eye(4)[table.y.map({"one": 0, "two": 1, "three": 2})]
    wrong = rng.random(len(table)) < 0.05
    names = table.y.where(~wrong, table.y.map({"one": "two", "two": "three", "three": "one"}))
    return table.assign(a=x[:, 0], b=x[:, 1], c=x[:, 2], d=x[:, 3], y=names)


def _shuffled(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return table.assign(y=rng.permutation(table.y))


def _shifted(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Labels that are the next row's."""
    return table.assign(y=np.roll(table.y, 1))


def _other_classes(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    table = _parts(table, rng)
    few = table.index[table.y == "one"][:10]
    return table.assign(
        part=np.where(table.y == "one", np.where(table.index.isin(few), "train", "validation"), table.part)
    )


def _drifting(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    time = np.arange(len(table))
    return table.assign(time=time, a=table.a + time / 50)


def _imbalanced(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return table[(table.y != "one") | (np.arange(len(table)) < 20)]


def _standardised(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    numbers = table[list("abcd")]
    return table.assign(**((numbers - numbers.mean()) / numbers.std(ddof=0)))


def _outlier(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    table = _parts(table, rng)
    table.loc[5, "b"] = 12345.0  # of training
    return table


_CODES = {"one": 1, "two": 2, "three": 3}


def _coded(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return table.assign(y=table.y.map(_CODES))


def _as_a_number(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return table.assign(code=table.y.map(_CODES) + 0.01 * rng.normal(size=len(table)))


def _hardly_known(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return table.assign(e=table.a.where(rng.random(len(table)) < 0.2))


def images(rng: np.random.Generator, rows: int = 200) -> tuple[np.ndarray, np.ndarray]:
    y = rng.integers(3, size=rows)
    x = rng.random((rows, 1, 8, 8))
    for k in range(3):
        x[y == k, 0, 2 * k : 2 * k + 3] += 2
    return x.astype(np.float32), y


def _brighter(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A third of the images once more, brighter."""
    x, y = images(rng)
    return np.concatenate([x, 1.3 * x[:60] + 0.2]), np.concatenate([y, y[:60]])


_COLUMN = {"split": {"column": "part"}}
FAULTS = [
    Fault("rows copied across the split", "D2.leakage", _with(blobs, _copied_across)),
    Fault("extra data with the test rows in them", "D2.extra", blobs, {"data": {"extra": "data.csv"}}),
    Fault("rows copied in training", "D2.duplicates", _with(blobs, _copied_within), {"data": _COLUMN}),
    Fault("equal rows with other labels", "D2.conflicts", _with(blobs, _conflicting)),
    Fault("5 % flipped labels", "D2.labels", _with(blobs, _flipped)),
    Fault("shuffled labels", "R7", _with(blobs, _shuffled)),
    Fault("labels of the next row", "R7", _with(blobs, _shifted)),
    Fault("the target as a number", "D1.leakage", _with(blobs, _as_a_number)),
    Fault("the target in other words", "D1.leakage", _with(blobs, lambda t, _: t.assign(group="g" + t.y))),
    Fault("the target of many classes in other words", "D1.leakage", _cities),
    Fault("the value in other units", "D1.leakage", _with(values, lambda t, _: t.assign(inches=t.y / 2.54))),
    Fault(
        "names", "D1.identifiers", _with(blobs, lambda t, _: t.assign(name=[f"row {i}" for i in range(len(t))]))
    ),
    Fault("row numbers", "D1.identifiers", _with(blobs, lambda t, _: t.assign(number=np.arange(len(t)) + 1000))),
    Fault("a constant column", "D1.constant", _with(blobs, lambda t, _: t.assign(unit="cm"))),
    Fault("constant inputs", "D1.constant", _with(values, lambda t, _: t.assign(a=1.0, b=2.0, c=3.0))),
    Fault("a column that is hardly known", "D1.missing", _with(blobs, _hardly_known)),
    Fault("a decimal point", "D1.outliers", _with(blobs, _outlier), {"data": _COLUMN}),
    Fault("inputs that drift", "D1.drift", _with(blobs, _drifting), {"data": {"split": {"time": "time"}}}),
    Fault("validation of another class", "D1.drift", _with(blobs, _other_classes), {"data": _COLUMN}),
    Fault("a rare class", "D1.classes", _with(blobs, _imbalanced)),
    Fault("a heavy tail", "D1.target", _with(values, lambda t, _: t.assign(y=np.exp(3 * t.y)))),
    Fault("classes as values", "D1.target", _with(blobs, _coded), {"data": {"task": "regression"}}),
    Fault("scaled before the split", "D1.normalised", _with(blobs, _standardised)),
    Fault("images again, brighter", "D2.near", _brighter),
    Fault("softmax twice", "R4", blobs, net="SoftmaxTwice"),
    Fault("softmax twice, seen by overfitting", "R8", blobs, net="SoftmaxTwice"),
    Fault("a softplus after the last layer", "R4", values, net="SoftplusAtTheEnd"),
    Fault("a relu after the last layer", "R4", blobs, net="ReluAtTheEnd"),
    Fault("a relu after the last layer, of values", "R4", values, net="ReluAtTheEnd"),
    Fault("a tanh after the last layer", "R4", blobs, net="TanhAtTheEnd"),
    Fault("the last bias at 10", "R5", blobs, net="LastBiasAtTen"),
    Fault("a rate a hundred times too high", "O2", blobs, {"params": {"lr": 0.3}}),
    Fault("a rate far too low", "O2", blobs, {"params": {"lr": 1e-8}}),
    Fault("no constant rate", "O4", blobs, {"params": {"schedule": ["cosine", "step"]}}),
    Fault("nets too narrow", "O5", values, {"params": {"width": [2, 3], "depth": 1}}),
    Fault("outputs far too large", "R5", blobs, net="HugeOutputs"),
    Fault("a net that gives NaN", "R3", blobs, net="GivesNaN"),
    Fault("a net that gives NaN, in training", "R2", blobs, net="GivesNaN"),
    Fault("dead units", "G13.dead", blobs, net="DeadUnits"),
    Fault("saturated units", "G13.saturated", blobs, net="SaturatedUnits"),
    Fault("vanishing gradients", "G13.gradients", blobs, net="vanishing"),
    Fault("a wrong view", "R12", blobs, net="WrongView"),
    Fault("attention over the batch", "R12", blobs, net="AttentionOverTheBatch"),
    Fault("centred by the batch", "R12", blobs, net="CentredByTheBatch"),
    Fault("batch norm left in evaluation", "R3.norms", blobs, net="NormLeftInEvaluation"),
    Fault("the batch's statistics in evaluation", "R3", blobs, net="BatchStatisticsInEvaluation"),
    Fault("dropout in evaluation", "R3", blobs, net="DropoutInEvaluation"),
    Fault("augmentation on validation", "R3", blobs, net="AugmentsAlways"),
    Fault("frozen weights", "R2.frozen", blobs, net="Frozen"),
    Fault("a detached layer", "R2.frozen", blobs, net="Detached"),
    Fault("inputs that get lost", "R7", blobs, net="LosesItsInputs"),
    Fault("NumPy's randomness", "R1", blobs, net="NumpysRandomness"),
    Fault("weights drawn by NumPy", "R1", blobs, net="DrawnByNumpy"),
]

# What is worth a look and no failure, as the page of the checks has it.
WARNED = {
    "rows copied in training", "5 % flipped labels", "names", "row numbers", "a constant column",
    "a column that is hardly known", "a decimal point", "inputs that drift", "a rare class", "a heavy tail",
    "classes as values", "scaled before the split", "images again, brighter", "no constant rate",
    "nets too narrow", "frozen weights",
}  # fmt: skip

# What cannot be seen from outside a training function of the user's own.
MISSED = {
    "a gradient that is not zeroed": "the gradients of an objective are its own",
    "predictions not transformed back": "an objective's predictions come in the units it says",
    "augmentation on an objective's validation": "an objective loads and changes its data itself",
}


def write(fault: Fault, folder: Path, seed: int = 0) -> Path:
    """The study of a fault, with its data and its code."""
    made = fault.data(np.random.default_rng(seed))
    data: dict[str, Any]
    if isinstance(made, pd.DataFrame):
        made.to_csv(folder / "data.csv", index=False)
        data = {"source": "data.csv", "target": "y"}
    else:
        np.savez(folder / "data.npz", x=made[0], y=made[1])
        data = {"source": "data.npz"}
    study = {"name": "broken", "seed": seed, **fault.study, "data": data | fault.study.get("data", {})}
    if fault.net:
        shutil.copy(Path(__file__).with_name("broken_nets.py"), folder)
        study["net"] = f"broken_nets:{fault.net}"
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    return folder / "study.yaml"
