"""A metric of the user's own: in training, in the choice of the best, and in what is reported."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import hpsearch
from hpsearch.errors import UserError
from hpsearch.metrics import METRICS as KNOWN
from hpsearch.pack.train import Pack, Settings
from hpsearch.prepare import prepare

METRICS = """
import sys

import numpy as np
import torch


def twos(probability, target):
    '''Recall of the digit two.'''
    return (probability[target == 2].argmax(1) == 2).mean()


def unlike(probability, target):
    return 1 - twos(probability, target)


def raises(probability, target):
    return probability[:, 11]


def nan(probability, target):
    return float("nan")


def finite(probability, target):
    if not np.isfinite(probability).all():
        raise ValueError("Input contains NaN")
    return twos(probability, target)


def words(probability, target):
    return "good"


def off(value, target):
    return np.abs(value - target).max()


def sorts(probability, target):
    target.sort()
    probability[:] = 0
    return twos(probability, target)


def centred(value, target):
    value -= value.mean()
    torch.from_numpy(target).sub_(target.mean())
    return np.abs(value - target).mean()


def leaves(probability, target):
    sys.exit(0)
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("sys.dont_write_bytecode", True)

    def write(metric: str, direction: str = "maximize", source: str = "sklearn:digits") -> Path:
        (tmp_path / "my_metrics.py").write_text(METRICS)
        text = f"name: m\ndata: {{source: '{source}'}}\n"
        text += f"search: {{trials: 4, metric: 'my_metrics:{metric}', direction: {direction}}}\n"
        text += (
            "params: {epochs: 3, lr: {low: 1e-3, high: 1e-2, log: true}, batch_size: 32}\nsqueeze: {student: null}"
        )
        (tmp_path / "m.yaml").write_text(text)
        return tmp_path / "m.yaml"

    return write


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize(("name", "direction", "pick"), [("twos", "maximize", max), ("unlike", "minimize", min)])
def test_it_chooses_the_best_and_is_reported(
    name: str, direction: str, pick: Any, write: Any, tmp_path: Path
) -> None:
    run = hpsearch.launch(write(name, direction), runs=tmp_path / "runs", skip_checks=True)
    metric = f"my_metrics:{name}"
    assert run.summary is not None
    assert (run.summary["metric"], run.summary["direction"]) == (metric, direction)
    assert run.summary["best"]["validation"][metric] == pick(run.trials["value"])
    dataset = prepare(tmp_path / "m.yaml").dataset
    from sklearn.datasets import load_digits

    exported = hpsearch.load(run.export)
    found = exported.predict(load_digits().images[dataset.test.index].astype(np.float32))
    recall = (found["prediction"].astype(int)[dataset.test.y == 2] == 2).mean()
    expected = recall if name == "twos" else 1 - recall
    assert run.summary["ensemble"]["test"][metric] == pytest.approx(expected)


def test_a_regressions_metric_sees_values_in_their_units(write: Any) -> None:
    prepared = prepare(write("off", "minimize", "sklearn:diabetes"))
    assert prepared.arrays.metric == "my_metrics:off"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raises", "failed: IndexError: index 11 is out of bounds"),
        ("nan", "gave NaN for a constant prediction"),
        ("leaves", "my_metrics:leaves called sys.exit(0) (line "),
        ("words", "failed: ValueError: could not convert string to float: 'good'"),
        ("absent", "has no function 'absent'; choose from centred, finite, leaves, nan, off, raises"),
    ],
)
def test_one_that_does_not_work_is_refused(name: str, said: str, write: Any) -> None:
    path = write(name)
    with pytest.raises(UserError) as caught:
        prepare(path)
    assert str(caught.value).startswith(f"{path}: search.metric: ")
    assert said in str(caught.value)


def test_a_row_that_diverged_does_not_fail_the_others(write: Any) -> None:
    prepared = prepare(write("finite"))
    rows = [prepared.params(0) | {"lr": lr} for lr in (1e-3, 1e30)]
    settings = Settings(0, prepared.net.factory(), "loop")
    pack = Pack.start(settings, prepared.arrays, [0, 1], rows)
    pack.train()
    failures = {state.record.trial: state.record.failure for state in pack.done}
    assert failures[0] is None
    assert str(failures[1]).startswith("the training loss became ")


@pytest.mark.parametrize(
    ("name", "direction", "source", "said"),
    [
        ("sorts", "maximize", "sklearn:digits", "changes its prediction and its target in place; it gets copies"),
        (
            "centred",
            "minimize",
            "sklearn:diabetes",
            "changes its prediction and its target in place; it gets copies",
        ),
        ("twos", "maximize", "sklearn:digits", None),
    ],
)
def test_a_metric_that_writes_gets_copies(
    name: str, direction: str, source: str, said: str | None, write: Any
) -> None:
    notes: list[str] = []
    prepared = prepare(write(name, direction, source), tell=notes.append)
    assert [note for note in notes if "in place" in note] == (
        [f"metric: my_metrics:{name} {said}"] if said else []
    )
    y, target = torch.from_numpy(prepared.arrays.validation.y.copy()), prepared.arrays.target
    prediction = torch.randn((2, len(y), *([target.outputs] if target.classes else [])), dtype=torch.float64)
    before = prediction.clone(), y.clone()
    scores = [KNOWN[prepared.arrays.metric].score(prediction, y) for _ in range(2)]
    assert torch.equal(*scores)
    assert torch.equal(prediction, before[0]) and torch.equal(y, before[1])
