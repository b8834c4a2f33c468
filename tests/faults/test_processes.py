"""A launch's other processes are killed while legs train: a worker, the ledger, a node."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from launches import LONGER, Process, beats, check_same, finish, launch, logs, named, training, wait_for

from hpsearch.folder import Folder
from hpsearch.search.packing import read


def kill_a_worker(process: Process, folder: Folder, killed: Counter[int]) -> None:
    """One whose leg was killed at most once: at the third time a leg is split, and the plan another."""

    def next_leg() -> int | None:
        return next((leg for leg in training(folder) if killed[leg] < 2), None)

    wait_for(lambda: next_leg() is not None, process)
    leg = next_leg()
    assert leg is not None
    killed[leg] += 1
    os.kill(training(folder)[leg], signal.SIGKILL)
    attempts = logs(folder).count("process")
    wait_for(lambda: logs(folder).count("process") > attempts, process)


def kill_the_ledger(process: Process, folder: Folder, killed: Counter[int]) -> None:
    told = beats(folder)
    wait_for(lambda: beats(folder) > told and named(process, "_LedgerActor"), process)
    (ledger,) = named(process, "_LedgerActor")
    ledger.kill()
    ledger.wait()


BREAKS = {"worker": kill_a_worker, "ledger": kill_the_ledger}


def check_survives(break_it, times: int, study: Path, whole: Folder, runs: Path) -> None:
    broken, killed = Folder(runs / whole.root.name), Counter[int]()
    process = launch(study, runs, "--plan", str(whole.plan))
    for _ in range(times):
        break_it(process, broken, killed)
    status, out, err = finish(process)
    assert status == 0, out + err
    assert err == ""
    check_same(whole, broken, trials=len(read(whole.plan).trials))
    assert read(broken.plan) == read(whole.plan)
    if break_it is kill_a_worker:
        assert out.count(" of 3): the worker died") == times
        assert "it is tried again" in (broken.root / "logs" / "launch.log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("break_it", BREAKS.values(), ids=BREAKS)
def test_a_search_survives(break_it, small: Path, whole: Folder, tmp_path: Path) -> None:
    check_survives(break_it, 1, small, whole, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("break_it", BREAKS.values(), ids=BREAKS)
def test_a_search_survives_five_times(break_it, medium: tuple[Path, Folder], tmp_path: Path) -> None:
    check_survives(break_it, 5, *medium, tmp_path)


@pytest.mark.slow
def test_a_search_survives_five_nodes(tmp_path: Path) -> None:
    """A new node's first worker trains after a quarter of a minute, so this takes minutes."""
    study, whole, broken = tmp_path / "s.yaml", Folder(tmp_path / "whole/longer"), Folder(tmp_path / "longer")
    study.write_text(LONGER)
    assert finish(launch(study, tmp_path / "whole"))[0] == 0
    script = Path(__file__).with_name("two_nodes.py")
    command = [sys.executable, str(script), str(study), str(broken.root), str(whole.plan), "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    status, out, err = finish(launch(study, tmp_path))  # squeezes what the two nodes trained
    assert status == 0, out + err
    check_same(whole, broken, trials=48)
