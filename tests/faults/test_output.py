"""A launch whose reader leaves, whose output is closed, whose TMPDIR is long, and what Ray prints itself."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from launches import LONGER, SMALL, checkpoints, family, named, wait_for

from hpsearch.folder import Folder
from hpsearch.run import open_run
from hpsearch.search.shelf import Shelf

HPSEARCH = str(Path(sys.executable).with_name("hpsearch"))
RAW = re.compile(r"Traceback|\(raylet\)|\.cc:\d+|^\[\d{4}-\d\d-\d\d|ray\.", re.MULTILINE)


def start(study: Path, runs: Path, *options: str, **environment: str) -> "subprocess.Popen[str]":
    command = [HPSEARCH, "launch", str(study), "--runs", str(runs), "--skip-checks", *options]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | environment,
    )  # fmt: skip


def left(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Its exit status and its standard error, long after nobody reads its standard output."""
    assert process.stderr is not None
    text = process.stderr.read()
    return process.wait(120), text


@pytest.mark.slow
def test_a_reader_that_leaves_stops_the_search(tmp_path: Path) -> None:
    """`launch | head -3`, in the middle of the search."""
    study, folder = tmp_path / "longer.yaml", Folder(tmp_path / "longer")
    study.write_text(LONGER)
    process = start(study, tmp_path)
    wait_for(lambda: checkpoints(folder), process)
    processes = family(process)
    assert process.stdout is not None
    process.stdout.close()
    status, said = left(process)
    assert status == 141
    assert said.startswith("Stopped, since nothing reads the output any more.") and len(said.splitlines()) == 1
    assert any(record.epoch > 0 for head in Shelf.look(folder).heads.values() for record in head.records)
    assert "running" not in set(open_run(folder.root).trials["state"])
    wait_for(lambda: not [p for p in processes if psutil.pid_exists(p.pid)], patience_s=30)


@pytest.mark.slow
def test_a_closed_output_and_a_long_folder_stop_nothing(tmp_path: Path) -> None:
    study, place = tmp_path / "small.yaml", tmp_path / ("long" * 30)
    study.write_text(SMALL)
    place.mkdir()
    line = f'exec "{HPSEARCH}" launch "{study}" --runs "{tmp_path}" --skip-checks >&-'
    done = subprocess.run(
        ["sh", "-c", line], stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(place)}
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "standard output: cannot be written: it is closed; the work goes on, and its log is in the run folder"
    ]
    assert Folder(tmp_path / "small").summary.is_file()
    assert not list(place.glob("hp-*"))


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["raylet", "gcs_server"])
def test_ray_s_own_words_do_not_reach_the_terminal(killed: str, tmp_path: Path) -> None:
    study, folder = tmp_path / "longer.yaml", Folder(tmp_path / "longer")
    study.write_text(LONGER)
    process = start(study, tmp_path)
    wait_for(lambda: checkpoints(folder), process)
    for one in named(process, f"/{killed}"):
        if killed in one.name():
            one.kill()
    try:
        _, said = process.communicate(timeout=240)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 1
    assert not RAW.search(said), said
    assert len(said.splitlines()) <= 1, said
