"""The commands as a user types them: what they print, and the status they end with."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.cli import main

STUDIES = Path(__file__).parents[1] / "studies"


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    code = "from hpsearch.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120)


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The command in this process; its exit status."""
    monkeypatch.setattr(sys, "argv", ["hpsearch", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_commands_are_these(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    assert all(command in shown for command in ("launch", "trial", "status", "predict"))


def test_trial_trains_one_trial_without_ray(tmp_path: Path) -> None:
    study = tmp_path / "s.yaml"
    study.write_text("name: s\ndata: {source: 'sklearn:iris'}\nparams: {epochs: 3, width: 8, lr: 1e-2}\n")
    code = "import sys\nfrom hpsearch.cli import main\ntry: main()\nfinally: assert 'ray' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code, "trial", str(study), "2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "epoch 3: training loss" in done.stdout
    assert "trial 2: best at epoch" in done.stdout
    assert list(tmp_path.iterdir()) == [study]


def test_a_trial_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "trial", str(STUDIES / "diabetes.yaml"), "32") == 2
    assert "there is no trial 32; choose from 0 to 31" in capsys.readouterr().err


def test_status_of_what_is_no_run_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert call(monkeypatch, "status", str(tmp_path)) == 2
    assert "is not a run folder" in capsys.readouterr().err


def test_launch_status_and_predict_from_the_command_line(tmp_path: Path) -> None:
    """A regression from a CSV of one's own, in a process of its own with its own Ray."""
    from sklearn.datasets import load_diabetes

    frame = load_diabetes(as_frame=True).frame
    frame.to_csv(tmp_path / "patients.csv", index=False)
    study = tmp_path / "s.yaml"
    study.write_text(
        "name: s\ndata: {source: patients.csv, target: target}\nsearch: {trials: 4, block: 2}\n"
        "params: {epochs: 2, width: [8, 16], lr: {low: 1e-3, high: 1e-2, log: true}}\n"
        "squeeze: {student: {trials: 1, longer: 1}}\n"
    )
    done = run("launch", str(study), "--runs", str(tmp_path / "runs"), "--workers", "1", "--skip-checks")
    assert done.returncode == 0, done.stderr
    assert "task: regression" in done.stdout
    assert "ensemble of" in done.stdout
    assert "\x1b" not in done.stdout  # plain lines when the output is no terminal
    assert done.stderr == ""
    status = run("status", str(tmp_path / "runs" / "s"), "--json")
    assert json.loads(status.stdout)["trials"]["complete"] == 4
    out = tmp_path / "predictions.csv"
    assert (
        run(
            "predict", str(tmp_path / "runs/s/export"), str(tmp_path / "patients.csv"), "--out", str(out)
        ).returncode
        == 0
    )
    assert len(out.read_text().splitlines()) == len(frame) + 1


def test_a_trial_beyond_the_studys_and_of_another_seed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(STUDIES / "diabetes.yaml")
    assert call(monkeypatch, "trial", path, "32", "--trials", "33") == 0
    first = capsys.readouterr().out
    assert call(monkeypatch, "trial", path, "32", "--trials", "33", "--seed", "1") == 0
    assert first != capsys.readouterr().out
    assert call(monkeypatch, "check", path, "--trials", "0") == 2
    assert "--trials: must be an integer from 1" in capsys.readouterr().err
