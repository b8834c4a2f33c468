"""The whole squeeze on real launches: trials that go on, luck, folds, ablation, exports of each net."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss

import hpsearch
from hpsearch import pipeline
from hpsearch.cli import main
from hpsearch.deploy import export_command
from hpsearch.errors import UserError
from hpsearch.folder import Folder
from hpsearch.metrics import METRICS
from hpsearch.pack import checkpoint
from hpsearch.prepare import prepare
from hpsearch.search.progress import Quiet
from hpsearch.squeeze.candidates import Candidate, rows_of
from hpsearch.terminal import _closing_lines as closing_lines

STUDY = """
name: squeezed
data: {source: "sklearn:digits"}
search: {trials: 6, block: 3, metric: log_loss}
params:
  epochs: 4
  width: [24, 32]
  batch_size: 64
  lr: {low: 1e-3, high: 1e-2, log: true}
  schedule: [constant, cyclic]
  cycles: 2
  dropout: [0.0, 0.2]
squeeze: {ensemble: 3, prolong: 1, seeds: 2, student: {trials: 2, size: 0.25, longer: 1}}
"""
FOLDED = STUDY.replace("squeezed", "folded").replace("trials: 6", "trials: 3, folds: 3").replace("seeds: 2, ", "")


def launched(text: str, folder: Path) -> Folder:
    path = folder / "study.yaml"
    path.write_text(text)
    return pipeline.launch(path, folder / "runs", skip_checks=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Folder:
    return launched(STUDY, tmp_path_factory.mktemp("squeezed"))


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Folder:
    return launched(FOLDED, tmp_path_factory.mktemp("folded"))


def summary(folder: Folder) -> dict:
    return json.loads(folder.summary.read_text())


def test_trials_go_on_at_two_rates_and_count_where_they_are_better(run: Folder) -> None:
    told = summary(run)["prolonged"]
    assert [one["schedule"] for one in told] == ["constant", "cosine"] * 3
    assert all(one["epochs"] == 8 for one in told)
    assert all(one["after"] is None or one["after"] < one["before"] for one in told)
    assert any(one["after"] is not None for one in told)  # four epochs are too few
    best = summary(run)["best"]
    assert best["kind"] == "prolonged"
    assert best["epoch"] > 4
    assert best["validation"]["log_loss"] == pytest.approx(
        min(one["after"] for one in told if one["after"]), rel=1e-5
    )


def test_a_trial_that_goes_on_begins_where_it_ended(run: Folder) -> None:
    before = {state.record.trial: state for path in run.rows_of_legs().values() for state in checkpoint.load(path)}
    told = summary(run)["prolonged"]
    for path in run.prolonged.rows_of_legs().values():
        for state in checkpoint.load(path):
            first = before[told[state.record.trial]["trial"]].record
            assert state.record.curve[: len(first.curve)] == first.curve
            assert state.record.epoch == 8


def test_the_ensemble_comes_with_its_evidence(run: Folder) -> None:
    ensemble = summary(run)["ensemble"]
    assert [point["size"] for point in ensemble["curve"]] == [1, 2, 3]
    assert set(ensemble["fitted"]) == {
        "single", "top", "ensemble", "single, calibrated", "ensemble, calibrated",
    }  # fmt: skip
    for name in ("top", "uncalibrated"):
        assert set(ensemble[name]["test"]) == {"log_loss"}
    assert ensemble["temperature"] > 0
    assert ensemble["soup"]["test"]["log_loss"] > 0


def test_luck_is_told_for_the_best_and_the_ensemble_as_the_search_trained_them(run: Folder) -> None:
    again = summary(run)["again"]
    for name in ("best", "ensemble"):
        assert again[name]["seeds"] == 2
        for part in ("validation", "test"):
            told = again[name][part]
            assert len(told["again"]) == 2
            assert told["luck"] == pytest.approx(np.mean(told["again"]) - told["won"])
    trials = hpsearch.open_run(run.root).trials.set_index("number")
    won = trials.loc[summary(run)["best"]["trial"], "value"]  # not what it came to when it went on
    assert again["best"]["validation"]["won"] == pytest.approx(won, rel=1e-5)


def test_the_student_is_a_quarter_of_the_best(run: Folder) -> None:
    student = summary(run)["student"]
    assert 0.1 < student["share"] <= 0.25
    assert student["temperature"] > 0
    assert set(student["alone"]["test"]) == {"log_loss"}


@pytest.mark.parametrize("what", ["ensemble", "student", "best"])
def test_each_net_is_exported_and_predicts_what_was_scored(what: str, run: Folder, tmp_path: Path) -> None:
    pipeline.export_run(run.root, tmp_path / what, what)
    model = hpsearch.load(tmp_path / what)
    dataset = prepare(run.study, home=Path(json.loads(run.origin.read_text())["base"])).dataset
    x, y = load_digits(return_X_y=True)
    rows = dataset.test.index
    frame = model.predict(x[rows].reshape(-1, *model.schema.shape).astype(np.float32))
    probability = frame[[f"probability.{name}" for name in model.about["classes"]]].to_numpy(np.float64)
    assert log_loss(y[rows], probability / probability.sum(1, keepdims=True), labels=range(10)) == pytest.approx(
        summary(run)[what]["test"]["log_loss"], abs=1e-4
    )
    assert model.about["what"] == what
    assert model.about["calibration"]["temperature"] == summary(run)[what].get("temperature", 1.0)


@pytest.mark.parametrize("what", ["best", "student"])
def test_the_command_that_the_launch_proposes_works(
    what: str, run: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(export_command(summary(run), run.root, what))
    monkeypatch.setattr("sys.argv", words[words.index("export") - 1 :])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert hpsearch.load(Path(words[words.index("--to") + 1])).about["what"] == what
    status = hpsearch.open_run(run.root).status()
    assert status["deploy"]["what"] in ("ensemble", "best")
    assert status["deploy"]["why"] in "".join(closing_lines(summary(run), run.root))


def test_the_launchs_own_export_is_the_ensembles(run: Folder, tmp_path: Path) -> None:
    pipeline.export_run(run.root, tmp_path / "ensemble", "ensemble")
    for name in ("model.safetensors", "preprocess.json"):
        assert (tmp_path / "ensemble" / name).read_bytes() == (run.export / name).read_bytes()


def test_what_cannot_be_exported_is_refused(run: Folder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--what: 'teacher' is not known; choose from best, ensemble, student"):
        pipeline.export_run(run.root, tmp_path / "a", "teacher")
    with pytest.raises(UserError, match="is not a run folder"):
        pipeline.export_run(tmp_path, tmp_path / "a", "best")
    assert not (tmp_path / "a").exists()
    with pytest.raises(UserError, match="lies in the run folder"):
        pipeline.export_run(run.root, run.export, "student")


def test_an_unfinished_run_has_no_ladder(run: Folder, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "study.yaml").write_text(run.study.read_text())
    with pytest.raises(UserError, match="run: is not finished; launch its study again"):
        pipeline.ablate(tmp_path / "run", seeds=2)


def test_the_ladder_has_each_trick_with_its_interval(run: Folder) -> None:
    effects, means = pipeline.ablate(run.root, seeds=2)
    told = json.loads((run.ablation.root / "ablation.json").read_text())
    assert told["metric"] == "log_loss"
    assert means == told["means"]
    assert set(told["finished"].values()) == {2}
    assert {effect.trick for effect in effects} <= {"dropout", "schedule"}
    for effect in effects:
        for found in (effect.taken_away, effect.added):
            assert found is not None
            assert found[1] <= found[0] <= found[2]
        name = effect.trick
        assert effect.taken_away[0] == pytest.approx(told["means"][f"without {name}"] - told["means"]["best"])
        assert effect.added[0] == pytest.approx(told["means"]["baseline"] - told["means"][f"with {name}"])


def test_a_cross_validated_trial_is_judged_on_what_its_nets_have_not_seen(folded: Folder) -> None:
    found = summary(folded)
    prepared = prepare(folded.study, home=Path(json.loads(folded.origin.read_text())["base"]))
    arrays = prepared.searched
    assert len(arrays.validation.y) == len(prepared.arrays.train.y) + len(prepared.arrays.validation.y)
    states = [s for path in folded.rows_of_legs().values() for s in checkpoint.load(path)]
    assert sorted(state.record.name for state in states) == [f"{t}.{f}" for t in range(3) for f in range(3)]
    run = hpsearch.open_run(folded.root)
    for trial, value in zip(run.trials["number"], run.trials["value"], strict=True):
        prediction = np.empty((len(arrays.validation.y), 10))
        for state in (state for state in states if state.record.trial == trial):
            prediction[arrays.folds == state.record.fold] = np.exp(state.tensors["best.prediction"].numpy())
        prediction /= prediction.sum(1, keepdims=True)
        assert log_loss(arrays.validation.y, prediction, labels=range(10)) == pytest.approx(value, rel=1e-4)
    kinds = {member["kind"] for member in found["ensemble"]["members"]}
    assert kinds <= {"folds", "snapshot", "prolonged"}
    gain = found["best"]["validation"]["log_loss"] - found["ensemble"]["uncalibrated"]["validation"]["log_loss"]
    assert gain == pytest.approx(found["ensemble"]["gain"]["naive"], abs=1e-5)
    assert METRICS["log_loss"].direction == found["direction"]


def test_the_export_of_a_cross_validated_ensemble_has_every_folds_net(folded: Folder) -> None:
    about = json.loads((folded.export / "manifest.json").read_text())
    members = summary(folded)["ensemble"]["members"]
    assert len(about["members"]) == 3 * len(members)
    assert sum(member["weight"] for member in about["members"]) == pytest.approx(1)
    model = hpsearch.load(folded.export)
    prepared = prepare(folded.study, home=Path(json.loads(folded.origin.read_text())["base"]))
    x, y = load_digits(return_X_y=True)
    rows = prepared.dataset.test.index
    frame = model.predict(x[rows].reshape(-1, *model.schema.shape).astype(np.float32))
    assert accuracy_score(y[rows], frame["prediction"].astype(int)) > 0.8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "params: {pieces: 4}",
            "params.pieces: looks at rows that search.folds hold out; leave out",
        ),
        ("params: {train_share: 0.5}", "params.train_share: looks at rows"),
        ("search: {folds: 1}", "search.folds: must be at least 2, got 1"),
        ("squeeze: {prolong: 0}", "squeeze.prolong: must be above 0, got 0"),
        ("squeeze: {student: {size: 2}}", "squeeze.student.size: must be at most 1, got 2"),
        ("squeeze: {seeds: 0}", "squeeze.seeds: must be at least 1, got 0"),
    ],
)
def test_what_does_not_go_together_is_refused(change: str, said: str, tmp_path: Path) -> None:
    section = change.partition(":")[0]
    lines = ["name: s", "data: {source: 'sklearn:wine'}", change]
    lines += ["search: {folds: 3}"] if section == "params" else []
    (tmp_path / "s.yaml").write_text("\n".join(lines))
    with pytest.raises(UserError, match=said):
        prepare(tmp_path / "s.yaml")


def test_a_study_that_is_extended_has_a_student_of_its_new_ensemble(run: Folder, tmp_path: Path) -> None:
    root = tmp_path / "squeezed"
    shutil.copytree(run.root, root)
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.replace("trials: 6", "trials: 9"))
    before = json.loads(Folder(root).student.origin.read_text())
    folder = pipeline.launch(path, tmp_path, skip_checks=True)
    after = json.loads(folder.student.origin.read_text())
    assert summary(folder)["test_scored"] == 2
    assert (after["said"] == before["said"]) == (summary(folder)["ensemble"] == summary(run)["ensemble"])
    assert after["said"] != before["said"]


FAILING = """
import math
from pathlib import Path

from torch import nn


def build(input_shape, outputs, width):
    if Path(__file__).with_name("no-more").exists():
        raise RuntimeError("no more nets")
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), width), nn.Linear(width, outputs))
"""


class At(Quiet):
    """Does something when a stage begins."""

    def __init__(self, stage: str, do: Callable[[], object]) -> None:
        self.told: list[str] = []
        self._stage, self._do = stage, do

    def note(self, text: str) -> None:
        self.told.append(text)

    def stage(self, name: str) -> None:
        if name == self._stage:
            self._do()


@pytest.mark.parametrize(("stage", "said"), [("distil", "there is no student"), ("refit", "the ensemble stays")])
def test_what_came_to_nothing_is_told_and_the_study_ends(
    stage: str, said: str, ray_cluster: None, tmp_path: Path
) -> None:
    (tmp_path / "my_nets.py").write_text(FAILING)
    text = STUDY.replace("params:", "net: my_nets:build\nparams:").replace("  dropout: [0.0, 0.2]\n", "")
    squeeze = {"distil": "student: {trials: 1, size: 1, longer: 1}", "refit": "student: off, refit: true"}[stage]
    text = re.sub("squeeze: .*", f"squeeze: {{ensemble: 2, {squeeze}}}", text).replace("trials: 6", "trials: 2")
    (tmp_path / "study.yaml").write_text(text)
    flag = tmp_path / "no-more"
    reporter = At(stage, lambda: flag.write_text(""))
    folder = pipeline.launch(tmp_path / "study.yaml", tmp_path / "runs", reporter=reporter, skip_checks=True)
    assert any(said in text for text in reporter.told)
    assert summary(folder)["student"] is None
    assert summary(folder)["ensemble"]["test"] is not None
    assert "before_refit" not in summary(folder)["ensemble"]
    flag.unlink()
    again = At("none", lambda: None)
    pipeline.launch(tmp_path / "study.yaml", tmp_path / "runs", reporter=again, skip_checks=True)
    assert any("this study is finished" in text for text in again.told)


def test_a_buffer_of_any_name_is_part_of_a_net() -> None:
    tensors = {f"best.{name}": torch.ones(1) for name in ("theta", "prediction", "buffer.prediction")}
    row = checkpoint.RowState(checkpoint.Record(0, {"epochs": 1}), tensors)
    (found,) = rows_of(Candidate(0, 1, (row,), np.zeros(1), {}))
    assert found.tensors.keys() == {"best.theta", "best.buffer.prediction", "best.prediction"}
