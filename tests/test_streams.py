"""Standard output that is closed, full, unread, or in an encoding without a letter: one message each."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

HPSEARCH = [sys.executable, "-m", "hpsearch"]
TELLS = "from hpsearch import streams; streams.guard(); "


def run(
    command: list[str], redirect: str = "", folder: Path | None = None, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """A command behind a redirection of the shell's."""
    line = ["sh", "-c", f'"$@" {redirect}', "sh", *command]
    return subprocess.run(line, capture_output=True, text=True, cwd=folder, env=os.environ | environment)


def small_files() -> None:
    """A file of this process takes no byte, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def test_a_closed_output_is_one_message() -> None:
    done = run([*HPSEARCH, "space", "baseline"], ">&-")
    assert done.returncode == 1
    assert done.stderr == "standard output: cannot be written: it is closed\n"


def test_a_full_output_is_one_message(tmp_path: Path) -> None:
    with (tmp_path / "full").open("w") as full:
        done = subprocess.run(
            [*HPSEARCH, "space", "baseline"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=small_files,
        )
    assert (done.returncode, done.stderr) == (1, "standard output: cannot be written: File too large\n")


def test_a_reader_that_is_gone_ends_the_command_quietly() -> None:
    done = run(["sh", "-c", '{ "$@"; echo "status $?" >&2; } | true', "sh", *HPSEARCH, "space", "baseline"])
    assert done.stderr == "status 141\n"


def test_closed_errors_change_no_status() -> None:
    done = run([*HPSEARCH, "space", "nothing"], "2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


def test_a_closed_output_s_number_is_no_file_s(tmp_path: Path) -> None:
    code = TELLS + f"file = open({str(tmp_path / 'journal')!r}, 'w'); print(file.fileno(), file=file)"
    run([sys.executable, "-c", code], ">&-")
    assert int((tmp_path / "journal").read_text()) > 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_letters_that_the_encoding_lacks_are_escaped(encoding: str) -> None:
    code = TELLS + r"print('größe 😀 caf\udce9'); raise SystemExit(0)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding}
    )
    wanted = {
        "ascii": rb"gr\xf6\xdfe \U0001f600",
        "latin-1": "größe ".encode("latin-1") + rb"\U0001f600",
        "utf-8": "größe 😀".encode(),
    }[encoding]
    assert (done.stdout, done.stderr) == (wanted + b" caf\xe9\n", b"")


def test_a_name_in_no_encoding_is_written(tmp_path: Path) -> None:
    """LC_ALL=C, and a file whose name is no UTF-8."""
    name = os.fsdecode(b"caf\xe9.yaml")
    environment = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [*HPSEARCH, "init", "sklearn:iris", "--out", name]
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, env=os.environ | environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"wrote caf\xe9.yaml; run it with: ")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_raw_errors_are_laid_aside(tmp_path: Path) -> None:
    code = TELLS + (
        "import os, sys, pathlib\n"
        "def tell(word): os.write(2, b'raw ' + word); print(word.decode(), file=sys.stderr)\n"
        "tell(b'one')\n"
        f"with streams.raw_errors_to(pathlib.Path({str(tmp_path / 'raw')!r})): tell(b'two')\n"
        "tell(b'three')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "raw oneone\ntwo\nraw threethree\n"
    assert (tmp_path / "raw").read_text() == "raw two"


def test_a_user_without_a_home_has_commands(tmp_path: Path) -> None:
    """As in a container that is run by a number which has no name."""
    code = (
        "import os, pwd\n"
        "os.environ.pop('HOME', None)\n"
        "def unknown(*_): raise KeyError('uid not found')\n"
        "pwd.getpwuid = unknown\n"
        "import sys, runpy\n"
        "sys.argv = ['hpsearch', 'init', 'sklearn:iris', '--out', 's.yaml']\n"
        "runpy.run_module('hpsearch', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "s.yaml").is_file()


def test_a_home_that_is_not_there_is_worth_no_words(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from hpsearch.recipe.pictures import save\n"
        "save(lambda figure: None, 'title', Path('picture.png'))\n"
    )
    environment = os.environ | {"HOME": str(tmp_path / "file" / "home")}
    environment.pop("MPLCONFIGDIR", None)
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
