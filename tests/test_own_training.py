"""A training function of the user's own: ledger, resume and ensemble as for built-in training."""

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hpsearch
from hpsearch.errors import RunError, UserError
from hpsearch.folder import Folder
from hpsearch.pack.checkpoint import Record, RowState
from hpsearch.prepare import prepare
from hpsearch.search.objective import run_objective

sys.path.insert(0, str(Path(__file__).parent / "faults"))
from launches import finish, launch, wait_for

TRAIN = """
import ctypes
import json
import subprocess
import sys
import time

import numpy as np


def curve(params, trial):
    '''Goes on from its own file; its value is best in the middle.'''
    state = trial.folder / "state.json"
    epoch = json.loads(state.read_text()) if state.exists() else 0
    while epoch < 6:
        epoch += 1
        time.sleep(params.get("pause", 0.0))
        trial.report(value=params["lr"] - abs(epoch - 3) / 100, step=epoch)
        state.write_text(json.dumps(epoch))
        (trial.folder / f"epoch-{epoch}").write_text("")
        if epoch == 1:
            (trial.folder / "first").symlink_to("epoch-1")  # as checkpoints' "latest" is
        if trial.should_stop():
            return


def falls(params, trial):
    state = trial.folder / "epoch"
    for epoch in range(int(state.read_text()) + 1 if state.exists() else 1, 6):
        trial.report(value=0.9 if epoch == 1 else 0.5, step=epoch)
        state.write_text(str(epoch))
        if trial.should_stop():
            return


def returns(params, trial):
    return params["lr"] * (2 if params["kind"] == "double" else 1) * params.get("factor", 1)


def asks_nobody(params, trial):
    trial.report(value=1.0, step=1)
    trial.report(value=2.0, step=2)
    return 2.0


def classifies(params, trial):
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from hpsearch.data.splits import by_share

    digits = load_digits()
    parts = by_share(digits.target, 0.2, 0.2, 0, True)
    x, y = digits.data / 16, digits.target
    columns = np.random.default_rng(trial.number).permutation(64)[:40]
    net = LogisticRegression(C=params["c"], max_iter=300).fit(x[parts["train"]][:, columns], y[parts["train"]])
    probability = {part: net.predict_proba(x[rows][:, columns]) for part, rows in parts.items()}
    accuracy = (probability["validation"].argmax(1) == y[parts["validation"]]).mean()
    trial.report(value=accuracy, step=1)
    trial.save_predictions(probability["validation"], probability["test"])


def helper(number):
    raise RuntimeError(f"as it was told at {hex(number)}") from ValueError("the cause")


def fails(params, trial):
    kind = params["kind"]
    calls = trial.folder / "calls"
    calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
    if kind == "raise":
        print("printed by the function")
        print("warned by the function", file=sys.stderr)
        subprocess.run(["echo", "printed by a child"])
        ctypes.CDLL(None).puts(b"printed by C")
        helper(id(params))
    if kind == "varies":
        raise [ValueError, KeyError, RuntimeError][len(calls.read_text()) - 1]("another one each time")
    if kind == "nan":
        trial.report(value=float("nan"), step=4)
    if kind == "shape":
        trial.save_predictions(np.zeros(3), np.zeros(3))
    if kind == "silent":
        return None
    return 1.0
"""


def write(folder: Path, name: str, params: str, **keys: str) -> Path:
    (folder / "my_train.py").write_text(TRAIN)
    lines = {"search": "{trials: 6, metric: score, direction: maximize}", **keys, "params": params}
    text = f"name: own\nobjective: my_train:{name}\n" + "".join(
        f"{key}: {value}\n" for key, value in lines.items()
    )
    (folder / "own.yaml").write_text(text)
    return folder / "own.yaml"


@pytest.fixture(autouse=True)
def _no_litter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)


@pytest.mark.usefixtures("ray_cluster")
def test_its_values_choose_the_best_and_its_curves_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path, "curve", "{lr: {low: 0.1, high: 0.9}, layers: {low: 1, high: 5}}")
    run = hpsearch.launch(path, runs=tmp_path / "runs", skip_checks=True)
    assert run.summary is not None
    assert run.summary["trials"] == {"complete": 6, "pruned": 0, "failed": 0, "waiting": 0}
    best = run.trials.loc[run.trials["value"].idxmax()]
    assert run.summary["best"] == {
        "trial": best["number"],
        "validation": {"score": best["params.lr"]},
        "test": None,
    }
    assert (run.summary["ensemble"], run.summary["student"], run.summary["test_scored"]) == (None, None, 0)
    assert "training function of your own" in run.summary["no_export"]
    assert set(run.trials["best_epoch"]) == {3}
    assert set(run.trials["epochs"]) == {6}
    assert run.trials["params.layers"].map(type).eq(int).all()
    assert (run.folder.trial(2) / "epoch-6").exists()
    before = run.folder.log.read_text().count("epoch 6")
    again = hpsearch.launch(path, runs=tmp_path / "runs", skip_checks=True)
    assert again.summary == run.summary
    assert again.folder.log.read_text().count("epoch 6") == before


@pytest.mark.usefixtures("ray_cluster")
def test_what_it_returns_is_its_value_and_conditions_leave_params_out(tmp_path: Path) -> None:
    params = "{lr: {low: 0.1, high: 0.9}, kind: [single, double], factor: {value: 10, when: {kind: double}}}"
    run = hpsearch.launch(write(tmp_path, "returns", params), runs=tmp_path / "runs", skip_checks=True)
    for _, trial in run.trials.iterrows():
        assert trial["value"] == pytest.approx(
            trial["params.lr"] * (20 if trial["params.kind"] == "double" else 1)
        )


@pytest.mark.usefixtures("ray_cluster")
def test_saved_predictions_are_ensembled(tmp_path: Path) -> None:
    path = write(
        tmp_path, "classifies", "{c: {low: 0.01, high: 10, log: true}}", data="{source: 'sklearn:digits'}",
        search="{trials: 6, metric: accuracy}",
    )  # fmt: skip
    run = hpsearch.launch(path, runs=tmp_path / "runs", skip_checks=True)
    assert run.summary is not None
    assert run.summary["test_scored"] == 1
    ensemble, best = run.summary["ensemble"], run.summary["best"]
    assert ensemble["validation"]["accuracy"] >= best["validation"]["accuracy"] == run.trials["value"].max()
    assert ensemble["test"]["accuracy"] > 0.9
    assert ensemble["test"].keys() == {"accuracy", "log_loss"}
    assert json.loads(run.folder.members.read_text()) == ensemble


@pytest.mark.usefixtures("ray_cluster")
def test_a_trial_whose_function_fails_fails_with_the_reason(tmp_path: Path) -> None:
    params = "{kind: [raise, nan, silent, fine, varies]}"
    path = write(tmp_path, "fails", params, search="{trials: 12, metric: score, direction: minimize}")
    run = hpsearch.launch(path, runs=tmp_path / "runs", skip_checks=True)
    said = {"raise": "RuntimeError: as it was told", "varies": "RuntimeError: another one",
            "nan": "score became nan in step 4", "silent": "it reported no value and returned none"}  # fmt: skip
    for _, trial in run.trials.iterrows():
        kind = trial["params.kind"]
        assert trial["state"] == ("complete" if kind == "fine" else "failed")
        assert kind == "fine" or said[kind] in trial["failure"]
    assert run.trials["params.kind"].nunique() == 5
    first = run.trials[["params.kind", "number"]].groupby("params.kind").first()["number"]
    calls = {kind: len((run.folder.trial(number) / "calls").read_text()) for kind, number in first.items()}
    assert calls == {"raise": 2, "varies": 3, "nan": 1, "silent": 1, "fine": 1}
    failure = run.trials.set_index("number")["failure"][first["raise"]]
    log = Path(failure.rpartition("its traceback: ")[2])
    assert f"{tmp_path / 'my_train.py'}:" in failure  # the user's line
    assert log.parent == run.folder.root / "logs"
    text = log.read_text()
    for line in ("printed by the function", "warned by the function", "printed by a child", "printed by C",
                 "ValueError: the cause", "in helper", "in fails"):  # fmt: skip
        assert text.count(line) == 2, line
    assert "Traceback (most recent call last)" in run.folder.leg_log(first["nan"]).read_text()
    path = write(tmp_path, "fails", "{kind: shape}").rename(tmp_path / "all.yaml")
    path.write_text(path.read_text().replace("name: own", "name: all"))
    with pytest.raises(
        RunError, match="all 6 trials that ended have failed; the first: save_predictions: the study"
    ):
        hpsearch.launch(path, runs=tmp_path / "runs", skip_checks=True)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_a_stopped_trial_goes_on_where_its_own_file_says(number: signal.Signals, tmp_path: Path) -> None:
    path = write(tmp_path, "curve", "{lr: {low: 0.1, high: 0.9}, pause: 0.4}",
                 search="{trials: 2, metric: score, direction: maximize}")  # fmt: skip
    folder = Folder(tmp_path / "runs" / "own")
    process = launch(path, tmp_path / "runs")
    wait_for(lambda: (folder.trial(0) / "epoch-2").exists(), process)
    os.killpg(process.pid, number)
    status, out, err = finish(process)
    assert status == (130 if number == signal.SIGINT else -9), out + err
    finished = hpsearch.open_run(folder.root).trials["state"]
    assert "complete" not in set(finished)
    times = {path: path.stat().st_mtime_ns for path in folder.root.glob("trials/*/epoch-[12]")}
    status, out, err = finish(launch(path, tmp_path / "runs"))
    assert status == 0, out + err
    assert set(hpsearch.open_run(folder.root).trials["state"]) == {"complete"}
    assert {path: path.stat().st_mtime_ns for path in times} == times  # not made again
    assert (folder.trial(1) / "epoch-6").exists()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"net": "resnet"}, "net: is for built-in training, and the study has an objective; leave it out"),
        ({"init_from": "w.safetensors"}, "init_from: is for built-in training"),
        ({"search": "{trials: 2}"}, "search.metric: is required: what the objective reports"),
        ({"search": "{metric: score}"}, "search.direction: score needs it; choose from maximize, minimize"),
        ({"search": "{metric: accuracy, direction: maximize}"}, "search.direction: is for a metric of your own"),
        (
            {"search": "{direction: maximize}", "data": "{source: 'sklearn:iris'}"},
            "search.direction: is for a metric of your own",
        ),
        ({"search": "{metric: score, direction: maximize, block: 4}"}, "search.block: is for built-in training"),
        ({"squeeze": "{student: {trials: 3}}"}, "squeeze.student: is for built-in training"),
        ({"search": "{metric: rmse}", "data": "{source: 'sklearn:iris'}"}, "'rmse' is for regression"),
    ],
)
def test_what_does_not_go_with_it_is_refused(keys: dict[str, str], said: str, tmp_path: Path) -> None:
    path = write(tmp_path, "returns", "{lr: 1, kind: single}", **keys)
    with pytest.raises(UserError) as caught:
        prepare(path)
    assert said in str(caught.value)


def test_its_parameters_are_called_as_it_likes(tmp_path: Path) -> None:
    path = write(tmp_path, "returns", "{lr: 1, frozen_epochs: [1, 2], extra_weight: 3}")
    assert prepare(path).params(0)["extra_weight"] == 3


def test_a_study_without_data_needs_an_objective(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("name: s\nparams: {lr: 1}")
    with pytest.raises(UserError, match=r"data\.source is required"):
        prepare(tmp_path / "s.yaml")


def test_predictions_are_held_against_the_data(tmp_path: Path) -> None:
    from hpsearch.search.objective import Trial, TrialFailedError

    prepared = prepare(write(tmp_path, "classifies", "{c: 1}", data="{source: 'sklearn:iris'}",
                             search="{metric: accuracy}"))  # fmt: skip
    before = RowState(Record(0, {}, own=True), {})

    def begun() -> Trial:  # a refusal fails a trial for good
        return Trial(tmp_path, before, prepared.arrays, prepared.dataset.test.y, lambda state: True)

    trial, even = begun(), np.full((30, 3), 1 / 3)
    trial.save_predictions(even, even)
    assert trial.predictions["test.prediction"].exp().sum(1).tolist() == pytest.approx([1] * 30)
    assert set(trial.predictions) == {"best.prediction", "test.prediction"}
    wrong: Any
    for wrong, said in (
        (even[:29], r"validation must be \[30, 3\], got \[29, 3\]"),
        (even * 2, "must be probabilities, whose rows sum to 1"),
        (even * np.nan, "validation holds NaN or infinity"),
        (even.astype(complex), "validation must be an array of numbers, got complex128"),
        (np.ma.masked_greater(even, 0.1), "validation has masked values; predict every row"),
        ([[0.1], [0.2, 0.3]], "validation must be an array of numbers, got list"),
        ("even", "validation must be an array of numbers, got <U4"),
    ):
        with pytest.raises(TrialFailedError, match=said):
            begun().save_predictions(wrong, even)
    with pytest.raises(TrialFailedError, match="test must be"):
        begun().save_predictions(even, even[:29])


def called(tmp_path: Path, name: str, states: list[RowState], going_on: Callable[[RowState], bool]) -> RowState:
    """One call of a training function, which goes on from the last of these states."""
    prepared = prepare(write(tmp_path, name, "{lr: 1}"))
    assert prepared.objective is not None
    before = states[-1] if states else RowState(Record(0, {"lr": 1}, own=True), {})
    log, test_y = logging.getLogger("test"), prepared.dataset.test.y
    return run_objective(prepared.objective, before, Folder(tmp_path), prepared.arrays, test_y, going_on, log)


def test_what_was_reported_before_a_stop_counts_when_it_goes_on(tmp_path: Path) -> None:
    first = called(tmp_path, "falls", [], lambda state: state.record.epoch < 3)
    assert not first.record.ended
    assert [entry[0] for entry in first.record.curve] == [1, 2, 3]
    second = called(tmp_path, "falls", [first], lambda state: True)
    assert second.record.ended
    assert [entry[0] for entry in second.record.curve] == [1, 2, 3, 4, 5]
    assert (second.record.best["score"], second.record.best_epoch) == (0.9, 1)


def test_what_was_reported_counts_no_longer_where_it_begins_anew(tmp_path: Path) -> None:
    first = called(tmp_path, "falls", [], lambda state: state.record.epoch < 3)
    (Folder(tmp_path).trial(0) / "epoch").unlink()
    second = called(tmp_path, "falls", [first], lambda state: True)
    assert [entry[0] for entry in second.record.curve] == [1, 2, 3, 4, 5]


def test_a_function_that_never_asks_and_ends_all_the_same_has_ended(tmp_path: Path) -> None:
    state = called(tmp_path, "asks_nobody", [], lambda state: False)
    assert state.record.ended
    assert state.record.best["score"] == 2.0


def test_one_trial_of_it_in_this_process(tmp_path: Path) -> None:
    from hpsearch.search.progress import Quiet
    from hpsearch.trial import run_trial

    record = run_trial(write(tmp_path, "curve", "{lr: {low: 0.1, high: 0.9}}"), 1, Quiet())
    assert (record.best_epoch, len(record.curve)) == (3, 6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my_train.py", "own.yaml"]
