"""Rows of nodes that do not see the run folder; the actor is in this process."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hpsearch.folder import Folder
from hpsearch.search.relay import Files, Mark, Relay


@pytest.fixture
def run(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "run")
    folder.create()
    return folder


def relay(run: Folder, word: str | None = None) -> Relay:
    """Of a node that sees the run folder, or of one whose folder has another word, which is another one."""
    files, mark = Files(str(run.root)), Mark.put(run)

    def call(method: str, /, *arguments: Any) -> Any:
        return getattr(files, method)(*arguments)

    return Relay(mark if word is None else Mark(mark.root, word), call)


def test_where_the_run_folder_is_seen_it_is_worked_in(run: Folder) -> None:
    assert relay(run).folder.root == run.root


def test_files_come_and_go(run: Folder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    away = relay(run, "another")
    assert away.folder.root != run.root
    run.rows(1).write_bytes(b"one")
    away.folder.rows(2).write_bytes(b"of an earlier leg")
    away.fetch([away.folder.rows(1), away.folder.rows(2)])
    assert away.folder.rows(1).read_bytes() == b"one"
    assert not away.folder.rows(2).exists()
    away.folder.rows(1).write_bytes(b"more")
    away.send(away.folder.rows(1))
    away.send(away.folder.rows(9))  # nothing was stored
    assert run.rows(1).read_bytes() == b"more"
    away.leave()
    assert not away.folder.root.exists()
    assert run.rows(1).exists()


def test_each_worker_of_a_node_has_a_folder_of_its_own_and_dead_ones_leave_none(
    run: Folder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead = subprocess.Popen(["true"])
    dead.wait()
    others = [tmp_path / f"hpsearch-relay-word-{pid}" for pid in (dead.pid, os.getppid())]
    for place in others:
        place.mkdir()
    away = relay(run, "another")
    assert [place.exists() for place in others] == [False, True]
    assert str(os.getpid()) in away.folder.root.name
    away.leave()
    assert others[1].exists()


def test_nothing_leads_out_of_the_run_folder(run: Folder) -> None:
    with pytest.raises(AssertionError, match="elsewhere"):
        Files(str(run.root)).write("../elsewhere", b"")
