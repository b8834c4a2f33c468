"""A launch's other processes are killed while legs train: a worker, the ledger, a node."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from launches import Process, beats, check_same, finish, launch, logs, named, training, wait_for

from hpsearch.folder import Folder
from hpsearch.search.packing import read

TIMES = [pytest.param(1, id="once"), pytest.param(5, id="five times", marks=pytest.mark.slow)]


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


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("break_it", [kill_a_worker, kill_the_ledger], ids=["worker", "ledger"])
def test_a_search_survives(break_it, times: int, small: Path, whole: Folder, tmp_path: Path) -> None:
    broken = Folder(tmp_path / "small")
    process = launch(small, tmp_path, "--plan", str(whole.plan))
    killed: Counter[int] = Counter()
    for _ in range(times):
        break_it(process, broken, killed)
    status, out, err = finish(process)
    assert status == 0, out + err
    assert err == ""
    check_same(whole, broken, trials=8)
    assert read(broken.plan) == read(whole.plan)
    if break_it is kill_a_worker:
        assert "failed (1 of 3): the worker died" in out
        assert "it is tried again" in (broken.root / "logs" / "launch.log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 5])
def test_a_search_survives_a_node(times: int, small: Path, whole: Folder, tmp_path: Path) -> None:
    broken = Folder(tmp_path / "small")
    script = Path(__file__).with_name("two_nodes.py")
    command = [sys.executable, str(script), str(small), str(broken.root), str(whole.plan), str(times)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    status, out, err = finish(launch(small, tmp_path))  # squeezes what the two nodes trained
    assert status == 0, out + err
    check_same(whole, broken, trials=8)
