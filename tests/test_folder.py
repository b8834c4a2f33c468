"""Writes that are whole or not there, and a run that one process holds."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from hpsearch.errors import UserError
from hpsearch.folder import Folder, hold, write_json, write_text, write_with


class TornError(Exception):
    pass


def half(beside: Path) -> None:
    beside.write_text("ha", encoding="utf-8")
    raise TornError


def test_a_written_file_is_there_alone_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "a.txt"
    write_text(path, "é\n")
    write_text(path, "ü\n")
    assert path.read_bytes() == "ü\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(TornError):
        write_with(path, half)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_first_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TornError):
        write_with(tmp_path / "a.txt", half)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def write(beside: Path) -> None:
        assert beside.parent == path.parent  # else replacing it would be a copy
        beside.write_text("new", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "old"

    write_with(path, write)
    assert path.read_text(encoding="utf-8") == "new"


def test_an_open_file_is_not_changed_under_its_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with path.open(encoding="utf-8") as reader:
        write_text(path, "new")
        assert reader.read() == "old"


def test_a_written_file_can_be_read_by_others(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "x")
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


def test_json_is_strict(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": [1, None, "é"]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": [1, None, "é"]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": [1, None, "é"]}


def test_every_path_of_a_run_lies_within_it_and_no_two_are_one(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    names = [name for name, value in vars(Folder).items() if isinstance(value, property)]
    paths = [getattr(folder, name) for name in names]
    paths = [path.root if isinstance(path, Folder) else path for path in paths]
    paths += [folder.rows(1), folder.rows(2), folder.leg_log(1)]
    assert len(set(paths)) == len(paths)
    assert all(path.is_relative_to(tmp_path) and path != tmp_path for path in paths)
    assert [field.name for field in fields(Folder)] == ["root"]


@contextmanager
def another_process_holds(root: Path) -> Iterator[subprocess.Popen[str]]:
    code = (
        "import sys, pathlib; from hpsearch.folder import hold\n"
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
    with pytest.raises(TornError), hold(tmp_path):
        raise TornError
    with hold(tmp_path):
        pass


def test_a_run_is_held_against_this_process_too(tmp_path: Path) -> None:
    with hold(tmp_path), pytest.raises(UserError, match="held by another launch"), hold(tmp_path):
        pass
