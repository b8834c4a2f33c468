"""The private folder of a launch: its rights, its length, what of it is left."""

import os
import stat
from pathlib import Path

import pytest

from hpsearch import pipeline
from hpsearch.errors import UserError
from hpsearch.scratch import check_temporary_folder, scratch

SOCKET = 107  # bytes of a socket's path
RAY = "r/session_2026-12-31_23-59-59_999999_4194304/sockets/plasma_store"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files whose path is too long for sockets."""
    place = tmp_path / ("long" * 30)
    place.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(place))  # Python keeps what TMPDIR was first
    return place


def test_it_is_private_and_goes(place: Path) -> None:
    with scratch() as own:
        assert stat.S_IMODE(own.stat().st_mode) == 0o700
        assert own.resolve().parent == place.resolve()
        (own / "deep").mkdir()
        link = own.parent
    assert not own.exists() and not link.exists()
    assert list(place.iterdir()) == []


def test_sockets_fit_below_a_long_path(place: Path) -> None:
    with scratch() as own:
        assert len(os.fsencode(own / RAY)) <= SOCKET
        assert stat.S_IMODE(own.parent.stat().st_mode) == 0o700


def test_a_short_path_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    with scratch() as own:
        assert own.parent == Path("/tmp") and not own.is_symlink()


def test_those_of_killed_launches_are_removed(place: Path) -> None:
    (place / "hp-left").mkdir()
    (place / "hp-left" / "hpsearch.lock").write_text("")
    (place / "hp-mine").mkdir()  # without a lock it is somebody else's
    with scratch() as first, scratch() as second:
        assert first.exists() and second.exists()
        assert sorted(path.name for path in place.iterdir())[:1] != ["hp-left"]
        assert not (place / "hp-left").exists()
    assert [path.name for path in place.iterdir()] == ["hp-mine"]


@pytest.mark.parametrize("name", ["TMPDIR", "RAY_TMPDIR"])
@pytest.mark.parametrize("kind", ["nothing", "a file"])
def test_a_folder_that_is_none_is_refused(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv(name, str(tmp_path / kind))
    study = tmp_path / "s.yaml"
    study.write_text("name: s\ndata: {source: 'sklearn:iris'}\n")
    with pytest.raises(UserError, match=f"^{name}: .*: no such folder. Make it, or unset {name}$"):
        pipeline.launch(study, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_folder_without_rights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(UserError, match=r"^TMPDIR: .*: cannot be written"):
        check_temporary_folder()


def test_another_programs_folder_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder may begin with the same letters and hold a lock of its own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", None)
    theirs = tmp_path / "hp-printer"
    theirs.mkdir()
    (theirs / "lock").write_text("theirs")
    with scratch():
        pass
    assert (theirs / "lock").read_text() == "theirs"
