"""Wrong input through the command line: status 2, one message that names the place, nothing written."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml

from hpsearch import begun
from hpsearch.cli import main
from hpsearch.folder import Folder
from hpsearch.lock import hold
from hpsearch.prepare import prepare
from hpsearch.search.ledger import Ledger
from hpsearch.search.messages import Entry
from hpsearch.space import drawn_and_fixed

BASE: dict[str, Any] = {
    "name": "a", "data": {"source": "good.csv", "target": "y"}, "search": {"trials": 4},
    "params": {"lr": [0.1, 0.2], "epochs": 1, "batch_size": 16},
}  # fmt: skip
GOOD = [f"{i},{i % 7},{'no' if i % 2 else 'yes'}" for i in range(60)]
FILES = {
    "good.csv": GOOD, "rare.csv": [*GOOD, "1,2,once"], "text.csv": [*GOOD, "1,oops,no"],
    "nan.csv": [*GOOD, "1,2,"], "empty.csv": [], "long.csv": [*GOOD, "1,2,no,4"], "none": [],
    "bad.json": ["{"], "twice.csv": [], "semicolons.csv": ["1;2;no"],
}  # fmt: skip
CODE = """
import numpy as np
from torch import nn

def fails(input_shape, outputs): raise ValueError("as it was told")
def too_wide(input_shape, outputs): return nn.Linear(2, outputs + 1)
def nan(): return np.full((60, 2), np.nan), np.arange(60) % 2
def fractions(): return np.ones((60, 2)), np.arange(60) / 7
"""


def begin(folder: Path, stack: ExitStack) -> None:
    """A run of the sound study that was stopped when its trials were drawn."""
    run, sound = Folder(folder / "runs" / "a"), prepare(folder / "sound.yaml")
    run.create()
    begun.enter(run, sound, print)
    ledger = Ledger(str(run.ledger), sound.study.name, "minimize")
    ledger.begin([Entry(p, *drawn_and_fixed(sound.space, p, n)) for n, p in enumerate(sound.draws)])


def begin_and_hold(folder: Path, stack: ExitStack) -> None:
    begin(folder, stack)
    stack.enter_context(hold(folder / "runs" / "a"))


def begin_without_origin(folder: Path, stack: ExitStack) -> None:
    begin(folder, stack)
    Folder(folder / "runs" / "a").origin.unlink()


def begin_and_forget(folder: Path, stack: ExitStack) -> None:
    begin_without_origin(folder, stack)
    Folder(folder / "runs" / "a").study.unlink()


def begin_with_a_stranger(folder: Path, stack: ExitStack) -> None:
    begin(folder, stack)
    export = Folder(folder / "runs" / "a").export
    export.mkdir()
    (export / "mine.csv").write_text("mine", encoding="utf-8")


def begin_with_a_link(folder: Path, stack: ExitStack) -> None:
    begin(folder, stack)
    (folder / "mine.txt").write_text("mine", encoding="utf-8")
    (folder / "runs" / "a" / "logs" / "leg-00000.log").symlink_to(folder / "mine.txt")


def a_file_for_runs(folder: Path, stack: ExitStack) -> None:
    (folder / "runs").write_text("mine", encoding="utf-8")


class Case(NamedTuple):
    """What is said of a study that differs from the sound one in some keys, or has this text."""

    said: str
    study: dict[str, Any] | str = {}  # noqa: RUF012
    options: tuple[str, ...] = ()
    place: str = "s.yaml"
    before: Callable[[Path, ExitStack], None] | None = None


def data(**changes: Any) -> dict[str, Any]:
    return {"data": BASE["data"] | changes}


def search(**changes: Any) -> dict[str, Any]:
    return {"search": BASE["search"] | changes}


def params(**entries: Any) -> dict[str, Any]:
    return {"params": entries}


RANGE = {"low": 0, "high": 0.5}
PREFIX = "name: a\ndata: {source: good.csv, target: y}\n"
CASES = {
    "GPUs that are not there": Case("gpus_per_pack: this machine has", {"resources": {"gpus_per_pack": 64}}),
    "an unknown key": Case("parms: unknown key; did you mean params?", {"parms": {}}),
    "an unknown net": Case("net: 'mpl' is not known; did you mean mlp? Choose from mlp", {"net": "mpl"}),
    "an unknown parameter": Case("params.lrr: is not a parameter; did you mean lr?", params(lrr=1)),
    "an unknown metric": Case("search.metric: 'acuracy' is not known", search(metric="acuracy")),
    "a metric without a direction": Case("search.direction: my:score needs it", search(metric="my:score")),
    "a direction without a metric": Case("is for a metric of your own", search(direction="maximize")),
    "weights that are not there": Case("init_from: none.safetensors: no such", {"init_from": "none.safetensors"}),
    "frozen without weights": Case("frozen_epochs: is for nets that start from weights", params(frozen_epochs=1)),
    "a weight of nothing extra": Case("params.extra_weight: is for extra training data", params(extra_weight=1)),
    "extra data that are not there": Case("no such file", data(extra="none.csv"), (), "none.csv"),
    "an objective that is not there": Case("there is no module 'mine'", {"objective": "mine:f"}),
    "low above high": Case("params.lr: low must be below high", params(lr={"low": 0.1, "high": 0.01})),
    "a log range at zero": Case("a log range must begin above 0", params(weight_decay=RANGE | {"log": True})),
    "an empty list": Case("params.lr: the list of choices is empty", params(lr=[])),
    "a double choice": Case("params.lr: the choice 0.1 stands twice", params(lr=[0.1, 0.1])),
    "a choice of the wrong kind": Case("params.lr: must be a number, got 'fast'", params(lr=[0.1, "fast"])),
    "a list within a list": Case("params.lr", params(lr=[0.1, [0.2]])),
    "a number too large": Case("params.lr", params(lr=10**400)),
    "a condition on nothing": Case("has no parameter 'depth'", params(lr={"value": 1, "when": {"depth": 2}})),
    "conditions in a circle": Case(
        "params: the conditions of skip, norm go round in a circle",
        params(skip={"value": True, "when": {"norm": "none"}}, norm={"value": "none", "when": {"skip": True}}),
    ),
    "a condition that never holds": Case("lr.when", params(skip=True, lr={"value": 1, "when": {"skip": []}})),
    "no trials": Case("search.trials: ", search(trials=0)),
    "a batch above the rows": Case("the training part has 36 rows, got 64", params(batch_size=[8, 64])),
    "a larger batch by enqueue": Case(
        "got 4096", search(enqueue=[{"batch_size": 4096}]) | params(batch_size=[8, 16])
    ),
    "another task's loss by enqueue": Case(
        "'squared' is not for classification",
        search(enqueue=[{"loss": "squared"}]) | params(loss=["cross_entropy", "focal"], batch_size=8),
    ),
    "batch norm of one example": Case("norm: batch needs two", params(norm=["none", "batch"], batch_size=[1, 8])),
    "no trials by option": Case("--trials: must be an integer from 1, got 0", options=("--trials", "0")),
    "a negative seed": Case("seed: ", {"seed": -1}),
    "a negative seed by option": Case("--seed: must be an integer from 0, got -1", options=("--seed", "-1")),
    "no workers by option": Case("--workers: must be an integer from 1, got 0", options=("--workers", "0")),
    "an unknown pruner": Case("search.prune: 'hyperband' is not known", search(prune="hyperband")),
    "a bad timeout": Case("search.timeout: must be a positive number and a unit", search(timeout="5 weeks")),
    "a bad timeout by option": Case("--timeout: must be a positive number", options=("--timeout", "soon")),
    "a path for a name": Case("name: must be letters", {"name": "../a"}),
    "a tag": Case("is not plain YAML", f"{PREFIX}seed: !!python/object/apply:os.system [id]\n"),
    "a tag with nonsense": Case("is not plain YAML", f"{PREFIX}seed: !!bool maybe\n"),
    "a key that stands twice": Case("the key 'seed' stands twice", f"{PREFIX}seed: 1\nseed: 2\n"),
    "a list for a study": Case("must be a mapping", "- a\n"),
    "no study": Case("no such file", options=(), place="none.yaml"),
    "no data": Case("no such file", data(source="none.csv"), place="none.csv"),
    "an unknown kind of file": Case("'none' must be sklearn:NAME, module:name, a folder", data(source="none")),
    "a loader that is not there": Case("data.source: there is no module 'my_data'", data(source="my_data:load")),
    "a folder without pictures": Case("has no pictures in folders named", {"data": {"source": "images/"}}),
    "a folder with a corrupt picture": Case("cat/1.png cannot be read", {"data": {"source": "corrupt/"}}),
    "a factory that fails": Case("failed: ValueError: as it was told", {"net": "own_code:fails"}),
    "a net of the wrong shape": Case("its output must be [4, 2], got [4, 3]", {"net": "own_code:too_wide"}),
    "a loader that gives NaN": Case("x holds NaN or infinity", {"data": {"source": "own_code:nan"}}),
    "labels as fractions": Case(
        "60 distinct numbers, with fractions", {"data": {"source": "own_code:fractions", "task": "classification"}}
    ),
    "a store that nobody knows": Case("data.source: nowhere://a.csv cannot be read", data(source="nowhere://a.csv")),
    "a password": Case(
        "data.source: holds a password; a store's keys belong into the environment, or into its own files, "
        "got 's3://…@bucket/a.csv'", data(source="s3://key:secret@bucket/a.csv"),
    ),
    "nothing in a store": Case("memory://a.csv: no such file or folder", data(source="memory://a.csv")),
    "a size of what is no picture": Case("data.size: is for folders of pictures", data(size=32)),
    "no target column": Case("data.target: no column 'z' in good.csv; choose from", data(target="z")),
    "no target": Case("data.target: is required for a table", data(target=None)),
    "a class with one row": Case("data.target: the class 'once' has 1 row", data(source="rare.csv")),
    "text among numbers": Case("the column 'b' holds numbers, but row 60 has 'oops'", data(source="text.csv")),
    "a missing target": Case("data.target: 1 rows have no target, the first is row 60", data(source="nan.csv")),
    "a table without rows": Case("data.source: empty.csv has no rows", data(source="empty.csv")),
    "a row that is too long": Case(
        "line 62 has 4 cells, and its header 3", data(source="long.csv"), place="long.csv"
    ),
    "a target that is dropped": Case("data.drop: 'y' is the target, which is no input", data(drop=["a", "y"])),
    "nothing for a value": Case("params.batch_size: must be a whole number", params(batch_size=None)),
    "a list of parameters": Case("params: must be a mapping, got", {"params": [1]}),
    "a list of values": Case(
        "of 60 classes: if they are values, data.task: regression", data(target="a", task="classification")
    ),
    "trick on numbers, without any": Case("params.noise: acts on numbers, and these data have none",
                                          data(categorical=["a", "b"]) | params(batch_size=8, noise=0.1)),
    "a column that stands twice": Case("has the column 'b' twice", data(source="twice.csv"), place="twice.csv"),
    "semicolons for commas": Case("the single column 'a;b;y'", data(source="semicolons.csv"), (), "semicolons"),
    "words to regress on": Case("Words are classes: leave data.task out", data(task="regression")),
    "YAML that breaks off": Case("line 4, column 1: is not plain YAML", f"{PREFIX}seed: [1\n"),
    "pickled objects": Case("Object arrays cannot be loaded", {"data": {"source": "bomb.npz"}}, place="bomb.npz"),
    "nothing left to train": Case("must leave rows", data(split={"validation": 0.5, "test": 0.5})),
    "a share beside a column": Case("data.split: validation does not act beside column",
                                    data(split={"column": "b", "validation": 0.3})),
    "a seed beside time": Case("seed does not act beside time", data(split={"time": "a", "seed": 3})),
    "the scale of no waves": Case("periodic_scale: acts with periodic alone, which no trial has",
                                  params(periodic=[0], periodic_scale=0.1)),
    "another task's metric": Case("search.metric: 'rmse' is for regression", search(metric="rmse")),
    "a net of images for a table": Case("net: resnet is for images, and these data are tables", {"net": "resnet"}),
    "a trick of images for a table": Case("params.flip: is for images", params(flip=0.5)),
    "another task's parameter": Case("label_smoothing: is for classification",
                                     {**data(target="b", task="regression"), **params(label_smoothing=0.1)}),
    "no plan": Case("no such file", options=("--plan", "none.json"), place="none.json"),
    "a broken plan": Case("is not a plan", options=("--plan", "bad.json"), place="bad.json"),
    "a folder for a plan": Case("", options=("--plan", "images"), place="images"),
    "a file for the runs folder": Case("", place="runs", before=a_file_for_runs),
    "another seed in the run": Case("It differs in seed: 0 → 1", {"seed": 1}, (), "a", begin),
    "a range more in the run": Case('params.dropout: none → {"low": 0, "high": 0.5}', params(
        **BASE["params"] | {"dropout": {"low": 0, "high": 0.5}}), (), "a", begin),
    "a value more in the run": Case("params.dropout: none → 0", params(
        **BASE["params"] | {"dropout": 0}), (), "a", begin),
    "another space in the run": Case("in params.lr", params(**BASE["params"] | {"lr": 1}), (), "a", begin),
    "other data in the run": Case("differs in data.source", data(source="rare.csv", target="b"), (), "a", begin),
    "fewer trials than drawn": Case("search.trials: 4 are drawn already, got 3", search(trials=3), before=begin),
    "a run that is held": Case("the run is held by another launch (process", {}, (), "a", begin_and_hold),
    "a link among the run's files": Case("is a link", {}, (), "leg", begin_with_a_link),
    "a run that forgot its study": Case("is missing or broken", {}, (), "a", begin_and_forget),
    "a file in the export": Case("holds 'mine.csv'", {}, (), "export", begin_with_a_stranger),
    "a run without its origin": Case("", {}, (), "a", begin_without_origin),
}  # fmt: skip
NOT_BUILT = {
    "search.prune": "asha", "search.sampler": "tpe", "search.spare": 0.1,
    "storage.trials": "postgresql://host/trials",
    "track": "mlflow",
}  # fmt: skip
for key, value in NOT_BUILT.items():
    section, _, name = key.rpartition(".")
    changed = {section: {**BASE.get(section, {}), name: value}} if section else {name: value}
    CASES[f"{key}: {value}"] = Case(f"{key}: ", changed)


def place_files(folder: Path, case: Case) -> None:
    for name, rows in FILES.items():
        header = {"twice.csv": "a,b,b,y", "semicolons.csv": "a;b;y"}.get(name, "a,b,y")
        lines = [header, *rows] if name.endswith("csv") else rows
        (folder / name).write_text("\n".join(lines), encoding="utf-8")
    (folder / "images").mkdir()
    for kind in ("cat", "dog"):
        (folder / "corrupt" / kind).mkdir(parents=True)
        (folder / "corrupt" / kind / "1.png").write_bytes(b"\x89PNG\r\n")
    (folder / "own_code.py").write_text(CODE, encoding="utf-8")
    np.savez(folder / "bomb.npz", x=np.array([[object()]] * 9), y=np.arange(9))
    for name, study in {"sound.yaml": {}, "s.yaml": case.study}.items():
        text = study if isinstance(study, str) else yaml.safe_dump(BASE | study, sort_keys=False)
        (folder / name).write_text(text, encoding="utf-8")


def files(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in [folder, *folder.rglob("*")]}


def refused(status: object, err: str, case: Case) -> None:
    assert "Traceback" not in err
    assert status == 2, err
    assert len(err.strip().splitlines()) == 1
    assert case.said in err
    assert case.place in err.split(": ")[0]


def arguments(case: Case) -> list[str]:
    return ["launch", case.place if case.place == "none.yaml" else "s.yaml", "--runs", "runs", *case.options]


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_wrong_input_is_one_message_and_nothing_written(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place_files(tmp_path, case)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["hpsearch", *arguments(case)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setitem(sys.modules, "ray", None)  # wrong input is refused before Ray is even imported
    with ExitStack() as stack:
        if case.before is not None:
            case.before(tmp_path, stack)
        before = files(tmp_path)
        with pytest.raises(SystemExit) as caught:
            main()
        assert files(tmp_path) == before
    refused(caught.value.code, capsys.readouterr().err, case)


@pytest.mark.parametrize("name", ["pickled objects", "fewer trials than drawn"])
def test_wrong_input_to_the_real_command(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    place_files(tmp_path, case)
    with ExitStack() as stack:
        if case.before is not None:
            case.before(tmp_path, stack)
    before = files(tmp_path)
    command = [sys.executable, "-c", "from hpsearch.cli import main; main()", *arguments(case)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert files(tmp_path) == before
    refused(done.returncode, done.stderr, case)
