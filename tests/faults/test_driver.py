"""The launch's own process is killed or stopped, and the study launched again."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from launches import (
    Process,
    alive,
    beats,
    check_same,
    checkpoints,
    family,
    finish,
    kill,
    launch,
    row_epochs,
    wait_for,
)

from hpsearch.folder import Folder
from hpsearch.run import open_run
from hpsearch.search.shelf import Shelf

DIGITS = Path(__file__).parents[2] / "studies" / "digits.yaml"
LONG = """
name: long
data: {source: "sklearn:digits"}
search: {trials: 200, block: 8, metric: accuracy}
params:
  epochs: 60
  width: [64, 128]
  depth: [1, 2]
  norm: [none, batch]
  batch_size: 64
  lr: {low: 1e-3, high: 1e-2, log: true}
  dropout: {low: 0, high: 0.5}
squeeze: {student: {trials: 2, longer: 1}}
resources: {checkpoint: 0.3s}
"""


def killed_after_a_checkpoint(study: Path, runs: Path, folder: Folder, *options: str) -> bool:
    """Launches, waits until legs train and have stored rows, kills; False where the study was finished before."""
    before = checkpoints(folder), beats(folder)
    process = launch(study, runs, *options)
    while checkpoints(folder) == before[0] or beats(folder) == before[1]:
        if process.poll() is not None:
            assert process.returncode == 0
            return False
        time.sleep(0.02)
    kill(process)
    return True


def test_a_killed_launch_goes_on_to_the_same_results(small: Path, whole: Folder, tmp_path: Path) -> None:
    broken, plan = Folder(tmp_path / "small"), ("--plan", str(whole.plan))
    assert killed_after_a_checkpoint(small, tmp_path, broken, *plan)
    stored = [record for head in Shelf.look(broken).heads.values() for record in head.records]
    assert any(0 < record.epoch < 60 for record in stored)
    status, out, err = finish(launch(small, tmp_path, *plan))
    assert status == 0, out + err
    assert err == ""
    assert "rows go on from disk" in "".join(p.read_text() for p in (broken.root / "logs").glob("leg-*"))
    check_same(whole, broken, trials=8)


@pytest.mark.slow
def test_a_killed_launch_leaves_no_worker(small: Path, tmp_path: Path) -> None:
    """Ray's two agents, which hold neither a GPU nor a file of ours, look for the dead cluster for a minute."""
    folder = Folder(tmp_path / "small")
    process = launch(small, tmp_path)
    wait_for(lambda: beats(folder), process)
    processes = family(process)
    assert len(processes) > 4
    kill(process)
    wait_for(lambda: all("Agent" in name for name in alive(processes)), patience_s=30)


@pytest.mark.parametrize(
    ("signals", "group", "status", "again"),
    [
        ([signal.SIGINT], True, 130, False),  # a terminal sends Ctrl-C to every process
        pytest.param([signal.SIGINT], True, 130, True, marks=pytest.mark.slow),
        pytest.param([signal.SIGINT, signal.SIGINT], True, 130, True, marks=pytest.mark.slow),
        pytest.param([signal.SIGTERM], False, 143, True, marks=pytest.mark.slow),
    ],
    ids=["Ctrl-C", "Ctrl-C, launched again", "Ctrl-C twice", "SIGTERM"],
)
def test_a_stopped_launch_stores_its_rows_and_leaves_no_process(
    signals: list[signal.Signals],
    group: bool,
    status: int,
    again: bool,
    small: Path,
    whole: Folder,
    tmp_path: Path,
) -> None:
    folder, plan = Folder(tmp_path / "small"), ("--plan", str(whole.plan))
    process = launch(small, tmp_path, *plan)
    wait_for(lambda: checkpoints(folder), process)
    processes = family(process)
    began = time.monotonic()
    for number in signals:
        (os.killpg if group else os.kill)(process.pid, number)
        time.sleep(0.1)
    ended, out, err = finish(process)
    assert ended == status, out + err
    assert "Stopped. What was trained is on disk" in out
    assert err == ""
    wait_for(lambda: not alive(processes), patience_s=max(0.1, 10 - (time.monotonic() - began)))
    stored = [record for head in Shelf.look(folder).heads.values() for record in head.records]
    assert any(0 < record.epoch < 60 for record in stored)
    if len(signals) == 1:
        assert "running" not in set(open_run(folder.root).trials["state"])
    if again:
        assert finish(launch(small, tmp_path))[0] == 0
        check_same(whole, folder, trials=8)


@pytest.mark.slow
def test_a_stop_before_the_search_ends_it_too(small: Path, tmp_path: Path) -> None:
    process = launch(small, tmp_path)
    wait_for((tmp_path / "small" / "study.yaml").exists, process)
    os.kill(process.pid, signal.SIGTERM)
    assert finish(process)[0] == 143


def test_a_second_launch_is_told_who_holds_the_run(small: Path, tmp_path: Path) -> None:
    process: Process = launch(small, tmp_path)
    wait_for((tmp_path / "small" / "study.yaml").exists, process)
    status, _, err = finish(launch(small, tmp_path))
    assert status == 2
    assert f"held by another launch (process {process.pid} on " in err
    kill(process)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "4"])
def test_any_number_of_workers_gives_the_same_bits(
    workers: str, small: Path, whole: Folder, tmp_path: Path
) -> None:
    assert finish(launch(small, tmp_path, "--plan", str(whole.plan), "--workers", workers))[0] == 0
    check_same(whole, Folder(tmp_path / "small"), trials=8)


@pytest.mark.slow
def test_twenty_kills_lose_nothing(tmp_path: Path) -> None:
    study = tmp_path / "long.yaml"
    study.write_text(LONG)
    whole, broken = Folder(tmp_path / "whole" / "long"), Folder(tmp_path / "broken" / "long")
    assert finish(launch(study, tmp_path / "whole"), 600)[0] == 0
    plan, kills = ("--plan", str(whole.plan)), 0
    while kills < 20 and killed_after_a_checkpoint(study, tmp_path / "broken", broken, *plan):
        kills += 1
    assert finish(launch(study, tmp_path / "broken", *plan), 600)[0] == 0
    check_same(whole, broken, trials=200)
    ratio = row_epochs(broken) / row_epochs(whole)
    sys.stderr.write(f"{kills} kills; row-epochs {row_epochs(broken)} against {row_epochs(whole)}: {ratio:.3f}\n")
    assert kills == 20
    assert ratio <= 1.3


@pytest.mark.slow
def test_digits_killed_three_times_equals_the_undisturbed_run(tmp_path: Path) -> None:
    whole, broken = Folder(tmp_path / "whole" / "digits"), Folder(tmp_path / "broken" / "digits")
    assert finish(launch(DIGITS, tmp_path / "whole"))[0] == 0
    for _ in range(3):
        process = launch(DIGITS, tmp_path / "broken", "--plan", str(whole.plan))
        before = beats(broken)
        wait_for(lambda before=before: beats(broken) > before, process)
        kill(process)
    assert finish(launch(DIGITS, tmp_path / "broken"))[0] == 0
    check_same(whole, broken, trials=64)
