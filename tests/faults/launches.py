"""Launches in processes of their own, for tests that break them: start, wait, kill, compare."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from hpsearch.folder import Folder
from hpsearch.pack import checkpoint
from hpsearch.run import open_run
from hpsearch.search.shelf import Shelf

SMALL = """
name: small
data: {source: "sklearn:digits"}
search: {trials: 8, block: 4, metric: accuracy}
params: {epochs: 60, width: [64, 128], batch_size: 32, lr: {low: 1e-3, high: 1e-2, log: true}, dropout: 0.2}
squeeze: {student: null}
resources: {checkpoint: 0.5s}
"""

MEDIUM = SMALL.replace("name: small", "name: medium").replace("trials: 8", "trials: 32").replace("60", "120")
LONGER = MEDIUM.replace("name: medium", "name: longer").replace("trials: 32", "trials: 48").replace("120", "400")

Process = subprocess.Popen[str]


def launch(study: Path, runs: Path, *options: str) -> Process:
    """`hpsearch launch` in a session of its own, so that a signal can go to all of its processes."""
    code = "from hpsearch.cli import main; main()"
    command = [sys.executable, "-c", code, "launch", str(study), "--runs", str(runs), "--skip-checks", *options]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(process: Process, patience_s: float = 240) -> tuple[int, str, str]:
    """Waits for its end: exit status, standard output, standard error."""
    out, err = process.communicate(timeout=patience_s)
    return process.returncode, out, err


def undisturbed(text: str, path: Path) -> Folder:
    """The run of this study, written to `path`, that nobody broke."""
    path.write_text(text)
    status, out, err = finish(launch(path, path.parent / "whole"))
    assert status == 0, out + err
    return Folder(path.parent / "whole" / path.stem)


def wait_for(condition: Callable[[], Any], process: Process | None = None, patience_s: float = 120) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"the launch ended before it could be broken: {process.communicate()}")
        assert time.monotonic() < end, "the condition was never met"
        time.sleep(0.02)


def logs(folder: Folder) -> str:
    return "".join(path.read_text() for path in sorted((folder.root / "logs").glob("leg-*.log")))


def beats(folder: Folder) -> int:
    """How often legs have told that they are on their way."""
    return logs(folder).count("% done")


def checkpoints(folder: Folder) -> int:
    """How often legs have stored their rows on the way."""
    return logs(folder).count("stored after")


def training(folder: Folder) -> dict[int, int]:
    """The legs that train and have told so, and their processes."""
    found = {}
    for path in (folder.root / "logs").glob("leg-*.log"):
        attempt = re.split(r"(?=leg \d+, process \d+ on \S+: trials)", path.read_text())[-1]
        pid = re.match(r"leg \d+, process (\d+)", attempt)
        going = "% done" in attempt and not re.search(r"trained \d+ row-epochs", attempt)
        if pid and going and psutil.pid_exists(int(pid[1])):
            found[int(path.stem.removeprefix("leg-"))] = int(pid[1])
    return found


def row_epochs(folder: Folder) -> int:
    """Epochs that were trained, of all rows, in all attempts; a kill hides those of its last half second."""
    total = 0
    for attempt in re.split(r"leg \d+, process \d+ on \S+: trials", logs(folder)):
        total += max(map(int, re.findall(r"(\d+) row-epochs", attempt)), default=0)
    return total


def family(process: Process) -> list[psutil.Process]:
    """The launch's process and all that it started, wherever they hang in the tree."""
    found = [p for p in psutil.process_iter(["pid"]) if _session(p.pid) == process.pid]
    children = psutil.Process(process.pid).children(recursive=True) if psutil.pid_exists(process.pid) else []
    return list({p.pid: p for p in [*found, *children]}.values())


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def alive(processes: list[psutil.Process]) -> list[str]:
    """Those that still run, in words."""
    names = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                names.append(f"{process.pid} {' '.join(process.cmdline())[:80]}")
        except psutil.Error:
            continue
    return names


def named(process: Process, word: str) -> list[psutil.Process]:
    """Processes of a launch whose command line has this word."""
    found = []
    for child in family(process):
        try:
            if word in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


def kill(process: Process) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def results(folder: Folder) -> dict[int, tuple[list[list[float]], np.ndarray]]:
    """Each trial's curve and best prediction."""
    shelf = Shelf.look(folder)
    return {
        state.record.trial: (state.record.curve, state.tensors["best.prediction"].numpy())
        for leg, head in shelf.heads.items()
        for state in checkpoint.load(folder.rows(leg), {t for t in head.stored if shelf.rows().get(t) == leg})
    }


def summary(folder: Folder) -> dict[str, Any]:
    """The summary without its seconds."""
    value: dict[str, Any] = json.loads(folder.summary.read_text())
    del value["seconds"]
    return value


def check_same(whole: Folder, broken: Folder, trials: int) -> None:
    """No trial is lost, none is there twice, all are complete, and what was computed is the same to the bit."""
    states = open_run(broken.root).trials
    assert list(states["number"]) == list(range(trials))
    assert set(states["state"]) == {"complete"}
    columns = [c for c in pd.read_csv(whole.trials).columns if c != "seconds"]
    pd.testing.assert_frame_equal(pd.read_csv(whole.trials)[columns], pd.read_csv(broken.trials)[columns])
    one, other = results(whole), results(broken)
    assert one.keys() == other.keys()
    for trial, (curve, prediction) in one.items():
        assert other[trial][0] == curve
        np.testing.assert_array_equal(other[trial][1], prediction)
    assert summary(whole) == summary(broken)
