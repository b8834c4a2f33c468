"""A run that one process holds."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hpsearch.errors import UserError
from hpsearch.lock import hold, refuse_held


@contextmanager
def another_process_holds(root: Path) -> Iterator[subprocess.Popen[str]]:
    code = (
        "import sys, pathlib; from hpsearch.lock import hold\n"
        "with hold(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_run_is_held_by_one_process_and_the_second_is_told_by_which(tmp_path: Path) -> None:
    with another_process_holds(tmp_path) as process:
        for _ in range(2):  # a refusal does not wipe out the name of the holder
            with (
                pytest.raises(UserError, match=rf"held by another launch \(process {process.pid} on "),
                hold(tmp_path),
            ):
                pass
    with hold(tmp_path):
        pass


def test_a_holder_that_is_killed_lets_go(tmp_path: Path) -> None:
    with another_process_holds(tmp_path) as process:
        process.kill()
        process.wait()
        with hold(tmp_path):
            pass


def test_a_holder_that_fails_lets_go(tmp_path: Path) -> None:
    with pytest.raises(KeyError), hold(tmp_path):
        raise KeyError
    with hold(tmp_path):
        pass


def test_a_run_is_held_against_this_process_too(tmp_path: Path) -> None:
    with hold(tmp_path), pytest.raises(UserError, match="held by another launch"), hold(tmp_path):
        pass


def test_a_look_refuses_a_held_run_and_leaves_no_trace(tmp_path: Path) -> None:
    refuse_held(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with another_process_holds(tmp_path) as process:
        before = (tmp_path / ".lock").read_bytes()
        with pytest.raises(UserError, match=rf"held by another launch \(process {process.pid} on "):
            refuse_held(tmp_path)
        assert (tmp_path / ".lock").read_bytes() == before
    refuse_held(tmp_path)  # what a dead process left is no lock
