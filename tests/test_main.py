"""`python -m hpsearch` is the command."""

import subprocess
import sys


def test_the_package_runs_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "hpsearch", "space", "baseline"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "lr" in done.stdout
