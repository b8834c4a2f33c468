"""Commands that messages propose, as a shell reads them."""

import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.commands import proposed

BIN = Path(sys.executable).parent


def as_read(line: str, path: str = "/usr/bin:/bin") -> list[str]:
    """The words that a shell makes of a line, without running it."""
    done = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True, check=True, env={"PATH": path}
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("word", ["a b.yaml", "it's.yaml", "$(touch x)", "é;ls", "*", '"', "a\\b"])
def test_words_arrive_as_they_are(word: str) -> None:
    line = proposed("launch", word, runs=word, skip_checks=True, plan=None, timeout=None)
    assert as_read(line)[1:] == ["launch", word, "--runs", word, "--skip-checks"]


def test_a_path_with_a_dash_is_no_option() -> None:
    assert as_read(proposed("status", "-rf"))[1:] == ["status", "./-rf"]
    assert as_read(proposed("launch", "s.yaml", runs="-r"))[1:] == ["launch", "s.yaml", "--runs=-r"]


@pytest.mark.parametrize(
    ("called", "on_path", "program"),
    [
        ("hpsearch", False, ["hpsearch"]),
        (str(BIN / "hpsearch"), True, ["hpsearch"]),
        (str(BIN / "hpsearch"), False, [str(BIN / "hpsearch")]),
        ("-c", False, [str(BIN / "hpsearch")]),
        ("/some/script.py", True, ["hpsearch"]),
    ],
)
def test_the_program_is_one_that_the_shell_finds(
    called: str, on_path: bool, program: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [called])
    monkeypatch.setenv("PATH", f"{BIN}:/usr/bin:/bin" if on_path else "/usr/bin:/bin")
    assert as_read(proposed("jobs")) == [*program, "jobs"]
