"""Writes that are whole or not there, full disks, and damaged files."""

import errno
import json
from pathlib import Path

import pytest

from hpsearch.errors import DamagedError, DiskFullError
from hpsearch.files import read_json, set_aside, write_json, write_text, write_with


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


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_told_and_the_old_file_is_whole(tmp_path: Path, error: Exception) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def write(beside: Path) -> None:
        raise error

    with pytest.raises(DiskFullError, match=r"a\.txt: cannot be written: no space left on the disk"):
        write_with(path, write)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_set_aside_is_kept_under_a_name_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    asides = []
    for text in ("one", "two", "three"):
        path.write_text(text, encoding="utf-8")
        asides.append(set_aside(path))
    assert [aside.read_text(encoding="utf-8") for aside in asides] == ["one", "two", "three"]
    assert not path.exists()
    assert all(aside.name.startswith("a.json.damaged-") for aside in asides)


@pytest.mark.parametrize("data", [b"", b"{", b"\0" * 16, b"\xff\xfe"])
def test_json_that_cannot_be_read_is_damaged(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(DamagedError, match=r"a\.json: is no JSON"):
        read_json(tmp_path / "a.json")
