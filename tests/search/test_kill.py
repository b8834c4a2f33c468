"""A launch that is killed with SIGKILL while its legs train, and launched again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpsearch.folder import Folder
from hpsearch.pack import checkpoint
from hpsearch.run import open_run

SMALL = """
name: killed
data: {source: "sklearn:digits"}
search: {trials: 8, block: 4, metric: accuracy}
params: {epochs: 60, width: [64, 128], batch_size: 32, lr: {low: 1e-3, high: 1e-2, log: true}, dropout: 0.2}
squeeze: {student: null}
"""
DIGITS = Path(__file__).parents[2] / "studies" / "digits.yaml"


def launch(study: Path, runs: Path, plan: Path | None = None) -> "subprocess.Popen[bytes]":
    command = [
        sys.executable,
        "-c",
        "from hpsearch.cli import main; main()",
        "launch",
        str(study),
        "--runs",
        str(runs),
    ]
    command += ["--plan", str(plan)] if plan else []
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[bytes]", patience_s: float = 120) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        assert process.poll() is None, "the launch ended before it could be killed"
        assert time.monotonic() < end, "the condition was never met"
        time.sleep(0.02)


def beats(folder: Folder) -> int:
    """How often legs have told that they are on their way."""
    return sum(path.read_text().count("% done") for path in (folder.root / "logs").glob("leg-*.log"))


def kill_while_legs_train(study: Path, runs: Path, folder: Folder, plan: Path) -> None:
    before = beats(folder)
    process = launch(study, runs, plan)
    wait_for(lambda: beats(folder) > before, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def results(folder: Folder) -> dict[int, tuple[list[list[float]], np.ndarray]]:
    """Each trial's curve and best prediction; a trial that is stored twice fails the test."""
    found = {}
    for path in sorted((folder.root / "rows").glob("*.safetensors")):
        for state in checkpoint.load(path):
            assert state.record.trial not in found
            found[state.record.trial] = (state.record.curve, state.tensors["best.prediction"].numpy())
    return found


def check_killed_equals_undisturbed(study: Path, name: str, trials: int, kills: int, tmp_path: Path) -> None:
    whole, killed = Folder(tmp_path / "whole" / name), Folder(tmp_path / "killed" / name)
    assert launch(study, tmp_path / "whole").wait() == 0
    for _ in range(kills):
        kill_while_legs_train(study, tmp_path / "killed", killed, whole.plan)
    assert launch(study, tmp_path / "killed", whole.plan).wait() == 0
    states = open_run(killed.root).trials
    assert list(states["number"]) == list(range(trials))
    assert set(states["state"]) == {"complete"}
    columns = [c for c in pd.read_csv(whole.trials).columns if c != "seconds"]
    pd.testing.assert_frame_equal(pd.read_csv(whole.trials)[columns], pd.read_csv(killed.trials)[columns])
    one, other = results(whole), results(killed)
    assert one.keys() == other.keys() == set(range(trials))
    for trial, (curve, prediction) in one.items():
        assert other[trial][0] == curve
        np.testing.assert_array_equal(other[trial][1], prediction)
    summaries = [json.loads(folder.summary.read_text()) for folder in (whole, killed)]
    for summary in summaries:
        del summary["seconds"]
    assert summaries[0] == summaries[1]


def test_a_killed_launch_goes_on_to_the_same_results(tmp_path: Path) -> None:
    study = tmp_path / "killed.yaml"
    study.write_text(SMALL)
    check_killed_equals_undisturbed(study, "killed", trials=8, kills=1, tmp_path=tmp_path)


def test_ctrl_c_stores_the_rows_and_the_next_launch_goes_on_from_them(tmp_path: Path) -> None:
    """A terminal sends Ctrl-C to every process of the launch, so the test does too."""
    study, folder = tmp_path / "killed.yaml", Folder(tmp_path / "runs" / "killed")
    study.write_text(SMALL)
    process = launch(study, tmp_path / "runs")
    wait_for(lambda: beats(folder) > 0, process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait() == 130
    stored = [r for path in (folder.root / "rows").glob("*") for r in checkpoint.records(path)]
    assert any(0 < record.epoch < 60 for record in stored)
    assert "running" not in set(open_run(folder.root).trials["state"])
    assert launch(study, tmp_path / "runs").wait() == 0
    assert "rows go on from disk" in "".join(p.read_text() for p in (folder.root / "logs").glob("leg-*.log"))
    assert set(open_run(folder.root).trials["state"]) == {"complete"}


@pytest.mark.slow
def test_digits_killed_three_times_equals_the_undisturbed_run(tmp_path: Path) -> None:
    check_killed_equals_undisturbed(DIGITS, "digits", trials=64, kills=3, tmp_path=tmp_path)
