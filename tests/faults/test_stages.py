"""The launch ends while it squeezes, distils or exports, and the study is launched again."""

import json
import os
import signal
from pathlib import Path

import pytest
from launches import SMALL, finish, kill, launch, named, summary, undisturbed, wait_for

from hpsearch import pipeline
from hpsearch.errors import RunError
from hpsearch.folder import Folder
from hpsearch.run import open_run

TAUGHT = SMALL.replace("name: small", "name: taught").replace("student: null", "student: {trials: 2, longer: 1}")
REGRESSION = """
name: sugar
data: {source: "sklearn:diabetes"}
search: {trials: 6, block: 3, metric: r2}
params: {epochs: 20, width: 16, batch_size: 32, lr: {low: 1e-3, high: 1e-2, log: true}}
squeeze: {student: {trials: 2, longer: 1}}
"""


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Folder]:
    """A study with a student, and its undisturbed run."""
    path = tmp_path_factory.mktemp("stages") / "taught.yaml"
    return path, undisturbed(TAUGHT, path)


def in_stage(folder: Folder, stage: str) -> bool:
    return folder.log.exists() and f"stage: {stage}" in folder.log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["squeeze", "distil", "export"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_a_launch_that_ends_in_a_stage_goes_on_from_it(
    stage: str, number: signal.Signals, taught: tuple[Path, Folder], tmp_path: Path
) -> None:
    study, whole = taught
    broken, plan = Folder(tmp_path / "taught"), ("--plan", str(whole.plan))
    process = launch(study, tmp_path, *plan)
    wait_for(lambda: in_stage(broken, stage), process)
    os.killpg(process.pid, number) if number == signal.SIGINT else kill(process)
    status, out, err = finish(process)
    assert status == (130 if number == signal.SIGINT else -signal.SIGKILL), out + err
    assert "Traceback" not in err
    before = (broken.root / "logs").glob("leg-*.log")
    trained = {path.name: path.read_text() for path in before}
    status, out, err = finish(launch(study, tmp_path, *plan))
    assert status == 0, out + err
    assert {path.name: path.read_text() for path in (broken.root / "logs").glob("leg-*.log")} == trained
    assert summary(broken)["ensemble"] == summary(whole)["ensemble"]
    assert summary(broken)["test_scored"] == 1
    assert summary(broken)["student"].keys() == summary(whole)["student"].keys()
    assert {path.name for path in broken.root.rglob(".*")} <= {".lock", ".ledger.journal.owner"}


@pytest.mark.slow
def test_more_trials_after_a_kill_while_distilling(taught: tuple[Path, Folder], tmp_path: Path) -> None:
    """The students are of the new ensemble."""
    study, whole = taught
    broken = Folder(tmp_path / "taught")
    process = launch(study, tmp_path, "--plan", str(whole.plan))
    wait_for(lambda: in_stage(broken, "distil") and named(process, "ray::"), process)
    kill(process)
    status, out, err = finish(launch(study, tmp_path, "--trials", "12"))
    assert status == 0, out + err
    assert list(open_run(broken.root).trials["state"]) == ["complete"] * 12
    teacher = json.loads(broken.student.origin.read_text())["teacher"]
    ensemble = summary(broken)["ensemble"]
    assert teacher == [ensemble[name] for name in ("members", "weights", "temperature")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ledger.journal", "plan.json", "origin.json", "rows/00000.safetensors"])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_damage_in_the_students_search_is_made_good(
    name: str, damage: str, taught: tuple[Path, Folder], tmp_path: Path
) -> None:
    study, whole = taught
    broken = Folder(tmp_path / "taught")
    process = launch(study, tmp_path, "--plan", str(whole.plan))
    wait_for(lambda: in_stage(broken, "export"), process)
    kill(process)
    path = broken.student.root / name
    assert path.exists()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    status, out, err = finish(launch(study, tmp_path, "--plan", str(whole.plan)))
    assert status == 0, out + err
    assert summary(broken)["student"] is not None
    assert summary(broken)["ensemble"] == summary(whole)["ensemble"]


@pytest.mark.slow
def test_a_regression_killed_in_its_squeeze_goes_on(tmp_path: Path) -> None:
    study = tmp_path / "sugar.yaml"
    study.write_text(REGRESSION)
    folder = Folder(tmp_path / "sugar")
    process = launch(study, tmp_path)
    wait_for(lambda: in_stage(folder, "squeeze"), process)
    kill(process)
    status, out, err = finish(launch(study, tmp_path))
    assert status == 0, out + err
    found = summary(folder)
    assert found["metric"] == "r2"
    assert found["ensemble"]["validation"].keys() == {"r2", "rmse"}
    assert list(open_run(folder.root).trials["state"]) == ["complete"] * 6


def test_a_study_whose_trials_all_fail_says_so(ray_cluster: None, tmp_path: Path) -> None:
    study = tmp_path / "failing.yaml"
    study.write_text(
        SMALL.replace("name: small", "name: failing").replace(
            "lr: {low: 1e-3, high: 1e-2, log: true}", "optimizer: sgd, lr: 1e9"
        )
    )
    for _ in range(2):  # launching again changes nothing
        with pytest.raises(
            RunError, match="all 8 trials that ended have failed; the first: the training loss became"
        ):
            pipeline.launch(study, tmp_path, skip_checks=True)
    found = open_run(tmp_path / "failing")
    assert list(found.trials["state"]) == ["failed"] * 8
    assert found.status()["finished"] is False


def test_a_run_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    """To root nothing is read-only, so a file stands where the folder should."""
    study = tmp_path / "small.yaml"
    study.write_text(SMALL)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "small").write_text("")
    status, _, err = finish(launch(study, tmp_path / "runs"))
    assert status == 2
    assert len(err.splitlines()) == 1
    assert str(tmp_path / "runs" / "small") in err
