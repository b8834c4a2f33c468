"""The search and the whole pipeline on real Ray: same plan same bits, stop and go on, what is on disk."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

import hpsearch
from hpsearch import pipeline
from hpsearch.errors import RunError, UserError
from hpsearch.folder import Folder
from hpsearch.pack import checkpoint
from hpsearch.prepare import prepare
from hpsearch.prepared import Overrides
from hpsearch.search import ledger
from hpsearch.search.packing import Plan, read
from hpsearch.search.progress import Quiet

STUDY = """
name: small
data: {source: "sklearn:digits"}
search: {trials: 12, block: 4, metric: accuracy}
params:
  epochs: 3
  width: [16, 32]
  depth: [1, 2]
  norm: [none, batch]
  batch_size: 64
  lr: {low: 1e-3, high: 1e-2, log: true}
  dropout: {low: 0, high: 0.3}
squeeze: {ensemble: 3, student: {trials: 2, longer: 1}}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "small.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def run(study: Path, ray_cluster: None) -> Folder:
    """The study, launched to its end."""
    return pipeline.launch(study, study.parent / "runs", skip_checks=True)


def rows_of(folder: Folder) -> dict[int, checkpoint.RowState]:
    files = sorted((folder.root / "rows").glob("*.safetensors"))
    return {state.record.trial: state for path in files for state in checkpoint.load(path)}


def same(a: dict[int, checkpoint.RowState], b: dict[int, checkpoint.RowState]) -> None:
    assert a.keys() == b.keys()
    for trial, state in a.items():
        assert state.record.curve == b[trial].record.curve
        for name, tensor in state.tensors.items():
            np.testing.assert_array_equal(
                tensor.numpy(), b[trial].tensors[name].numpy(), err_msg=f"{trial} {name}"
            )


def test_the_run_folder_holds_what_the_contract_names(run: Folder) -> None:
    summary = json.loads(run.summary.read_text())
    assert summary["trials"] == {"complete": 12, "pruned": 0, "failed": 0, "waiting": 0}
    assert summary["test_scored"] == 1
    assert set(summary["best"]["test"]) == {"accuracy", "log_loss"}
    assert len(summary["ensemble"]["members"]) == len(summary["ensemble"]["weights"]) <= 3
    assert sum(summary["ensemble"]["weights"]) == pytest.approx(1)
    assert set(summary["ensemble"]["gain"]) == {"value", "low", "high", "naive"}
    assert set(summary["student"]) >= {"validation", "test", "parameters", "alone"}
    trials = pd.read_csv(run.trials)
    assert list(trials.columns[:5]) == ["number", "state", "value", "seconds", "epochs"]
    assert list(trials.columns[5:]) == [
        f"params.{n}" for n in ("epochs", "width", "depth", "norm", "batch_size", "lr", "dropout")
    ]
    assert list(trials["number"]) == list(range(12))


def test_the_best_trials_value_is_what_its_stored_prediction_scores(run: Folder, study: Path) -> None:
    summary = json.loads(run.summary.read_text())
    state = rows_of(run)[summary["best"]["trial"]]
    y = prepare(study).arrays.validation.y
    hits = state.tensors["best.prediction"].numpy().argmax(1) == y
    assert hits.mean() == pytest.approx(summary["best"]["validation"]["accuracy"])


def test_predict_gives_the_accuracy_that_the_summary_states(run: Folder, study: Path, tmp_path: Path) -> None:
    test = prepare(study).dataset.test

    x = load_digits().data[test.index]
    predicted = hpsearch.load(run.export).predict(x)
    summary = json.loads(run.summary.read_text())
    hits = predicted["prediction"].astype(str).to_numpy() == test.y.astype(str)
    assert hits.mean() == pytest.approx(summary["ensemble"]["test"]["accuracy"])


def test_same_plan_and_seed_give_the_same_bits_with_one_worker(run: Folder, study: Path, tmp_path: Path) -> None:
    prepared = prepare(study)
    alone = Folder(tmp_path / "alone")
    rows = pipeline.search(alone, prepared, 1, read(run.plan), Quiet())
    assert [row["params"] for row in rows] == [row["params"] for row in ledger.read(run.ledger, "small")]
    same(rows_of(run), rows_of(alone))


def test_a_finished_study_is_left_as_it_is(run: Folder, study: Path) -> None:
    before = run.summary.read_bytes()
    pipeline.launch(study, study.parent / "runs", skip_checks=True)
    assert run.summary.read_bytes() == before


def test_a_run_keeps_the_plan_that_it_has(run: Folder, study: Path, tmp_path: Path) -> None:
    before = run.summary.read_bytes()
    pipeline.launch(study, study.parent / "runs", plan=run.plan, skip_checks=True)
    first, *others = read(run.plan).legs
    Plan((replace(first, threads=first.threads + 1), *others)).write(tmp_path / "other.json")
    with pytest.raises(UserError, match=r"--plan: .*plan\.json is another one, which this run goes by"):
        pipeline.launch(study, study.parent / "runs", plan=tmp_path / "other.json", skip_checks=True)
    assert run.summary.read_bytes() == before


def test_a_timeout_leaves_trials_waiting_and_the_next_launch_finishes_them(
    run: Folder, study: Path, tmp_path: Path
) -> None:
    plan = run.plan
    with pytest.raises(RunError, match="no trial finished in the time given"):
        pipeline.launch(study, tmp_path, Overrides(timeout="0.001s"), plan, skip_checks=True)
    assert hpsearch.open_run(tmp_path / "small").status()["trials"]["waiting"] == 12
    folder = pipeline.launch(study, tmp_path, skip_checks=True)
    same(rows_of(run), rows_of(folder))


def assert_students_learn_from_the_new_ensemble(folder: Folder) -> None:
    summary, origin = (json.loads(path.read_text()) for path in (folder.summary, folder.student.origin))
    assert origin["teacher"][0] == summary["ensemble"]["members"]
    best = rows_of(folder)[summary["best"]["trial"]].record.params
    students = rows_of(folder.student)
    assert sorted(students) == [0, 1, 2, 3]
    assert all(state.record.params["width"] < best["width"] for state in students.values())
    assert students[0].record.params["lr"] == best["lr"]


def test_a_longer_study_keeps_its_trials_and_says_that_the_test_was_scored_again(
    run: Folder, study: Path, tmp_path: Path
) -> None:
    folder = pipeline.launch(study, tmp_path, Overrides(trials=4), skip_checks=True)
    before = rows_of(folder)
    pipeline.launch(study, tmp_path, Overrides(trials=6), skip_checks=True)
    after = rows_of(folder)
    same(before, {trial: after[trial] for trial in before})
    summary = json.loads(folder.summary.read_text())
    assert summary["trials"]["complete"] == 6
    assert summary["test_scored"] == 2
    assert_students_learn_from_the_new_ensemble(folder)
    with pytest.raises(UserError, match="6 are drawn already, got 5"):
        pipeline.launch(study, tmp_path, Overrides(trials=5), skip_checks=True)


def test_a_run_opens_as_a_table(run: Folder) -> None:
    opened = hpsearch.open_run(run.root)
    assert len(opened.trials) == 12
    assert set(opened.trials["state"]) == {"complete"}
    assert opened.status()["finished"]
    assert opened.ensemble is not None
    assert opened.trials["value"].max() == pytest.approx(opened.status()["best"])


@pytest.mark.slow  # half a minute of waiting
def test_fewer_workers_come_up_than_the_plan_is_for(study: Path, tmp_path: Path, ray_cluster: None) -> None:
    """As where a node of a cluster has gone: those who have tried their nets out make room for the others."""
    folder = pipeline.launch(study, tmp_path, Overrides(workers=4), skip_checks=True)
    assert {row["state"] for row in ledger.read(folder.ledger, "small")} == {"complete"}
