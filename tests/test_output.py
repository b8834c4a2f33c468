"""Output files of all kinds: links, pipes, terminals, what is write-protected, what is no file."""

import os
import pty
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpsearch.errors import RunError, UserError
from hpsearch.output import check_output, is_standard_output, is_stream, write_output

LINES = ["prediction\n", "é\n", "b\n"]
TEXT = "".join(LINES)


class Reader(threading.Thread):
    """Reads a pipe to its end, as `cat` does."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.path, self.data = path, b""
        self.start()

    def run(self) -> None:
        self.data = self.path.read_bytes()

    def read(self) -> str:
        self.join(20)
        assert not self.is_alive(), "the reader still waits"
        return self.data.decode()


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_pipe_gets_the_text_and_stays(pipe: Path) -> None:
    reader = Reader(pipe)
    write_output(pipe, LINES)
    assert reader.read() == TEXT
    assert pipe.is_fifo()


def test_a_link_to_a_pipe_streams(pipe: Path) -> None:
    link = pipe.with_name("link")
    link.symlink_to(pipe.name)
    reader = Reader(pipe)
    write_output(link, LINES)
    assert reader.read() == TEXT
    assert link.is_symlink() and pipe.is_fifo()


def test_a_failure_frees_the_reader(pipe: Path) -> None:
    def chunks() -> Iterator[str]:
        raise UserError("row 1 is wrong")
        yield ""

    reader = Reader(pipe)
    with pytest.raises(UserError, match="row 1"):
        write_output(pipe, chunks())
    while reader.is_alive():  # it may have come a moment too late
        os.close(os.open(pipe, os.O_RDWR))
        reader.join(0.05)
    assert reader.data == b""


def test_a_reader_that_leaves_is_one_message(pipe: Path) -> None:
    def chunks() -> Iterator[str]:
        yield "first\n"
        gone.wait(20)
        yield "second\n"

    gone = threading.Event()

    def leave() -> None:
        with pipe.open("rb") as file:
            file.readline()
        gone.set()

    threading.Thread(target=leave, daemon=True).start()
    with pytest.raises(RunError, match=r"pipe: the reader has closed it before the end"):
        write_output(pipe, chunks())


def test_a_terminal_is_written_to_and_stays(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    link = tmp_path / "out.csv"
    link.symlink_to(os.ttyname(theirs))
    write_output(link, ["a,b\n"])
    assert os.read(ours, 100) == b"a,b\r\n"
    assert stat.S_ISCHR(os.fstat(theirs).st_mode) and link.is_symlink()
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("there", [True, False], ids=["a file", "nothing"])
@pytest.mark.parametrize("steps", [1, 3])
def test_links_are_followed_and_stay(there: bool, steps: int, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    target = tmp_path / "far" / "target.csv"
    if there:
        target.write_text("old")
    before = Path("far/target.csv")
    for step in range(steps):
        (tmp_path / f"link{step}").symlink_to(before)
        before = tmp_path / f"link{step}"
    write_output(before, LINES)
    assert target.read_text(encoding="utf-8") == TEXT
    assert all((tmp_path / f"link{step}").is_symlink() for step in range(steps))
    assert [path.name for path in target.parent.iterdir()] == ["target.csv"]


@pytest.mark.parametrize(("umask", "bits"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_a_new_file_has_the_umask_s_permissions(umask: int, bits: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_output(tmp_path / "a.csv", LINES)
    finally:
        os.umask(before)
    assert mode(tmp_path / "a.csv") == bits


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o755])
def test_a_replaced_file_keeps_its_permissions(bits: int, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("secret")
    path.chmod(bits)
    write_output(path, LINES)
    assert (mode(path), path.read_text(encoding="utf-8")) == (bits, TEXT)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_replaced_file_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("theirs")
    os.chown(path, 12345, 12346)
    write_output(path, LINES)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)


def test_other_names_of_a_file_keep_its_old_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("old")
    (tmp_path / "b.csv").hardlink_to(tmp_path / "a.csv")
    write_output(tmp_path / "a.csv", LINES)
    assert (tmp_path / "b.csv").read_text() == "old"


def make_circle(path: Path) -> None:
    path.symlink_to("other")
    path.with_name("other").symlink_to(path.name)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        before = Path.cwd()
        os.chdir(path.parent)  # a socket's path has 107 bytes at most
        try:
            made.bind(path.name)
        finally:
            os.chdir(before)


def make_protected(path: Path) -> None:
    path.write_text("kept")
    path.chmod(0o444)


def make_folder_link(path: Path) -> None:
    path.with_name("folder").mkdir()
    path.symlink_to("folder")


PLACES = {
    "a folder": (Path.mkdir, "is a folder"),
    "a link to a folder": (make_folder_link, "is a folder"),
    "a circle of links": (make_circle, "its links lead in a circle"),
    "a socket": (make_socket, "is a socket"),
    "a protected file": (make_protected, "it is write-protected"),
    "a link into nowhere": (lambda path: path.symlink_to("none/target"), "there is no folder .*none"),
}


@pytest.mark.parametrize("name", PLACES)
def test_other_places_are_refused_by_name(name: str, tmp_path: Path) -> None:
    make, reason = PLACES[name]
    path = tmp_path / "out.csv"
    make(path)
    before = sorted((entry.name, entry.lstat().st_mode) for entry in tmp_path.iterdir())
    for refuse in (check_output, lambda path: write_output(path, LINES)):
        with pytest.raises(UserError, match=f"^--out: {path}: .*{reason}"):
            refuse(path)
    assert sorted((entry.name, entry.lstat().st_mode) for entry in tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["a" * 300, "none/a.csv", "file/a.csv"])
def test_impossible_names_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^--out: .*cannot be"):
        write_output(tmp_path / name, LINES)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_long_name_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 125 + ".csv")
    write_output(path, LINES)
    assert path.read_text(encoding="utf-8") == TEXT


def test_standard_output_is_continued(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    print("first")
    for path in (Path("-"), Path("/dev/stdout"), Path("/dev/fd/1"), Path("/proc/self/fd/1"), tmp_path / "link"):
        assert is_standard_output(path) and is_stream(path)
        write_output(path, ["more\n"])
    assert capfd.readouterr().out == "first\n" + "more\n" * 5
    assert not is_standard_output(tmp_path / "a.csv") and not is_standard_output(Path("/dev/stderr"))
