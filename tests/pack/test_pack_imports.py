"""Packs run where neither Ray nor Optuna is installed."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("absent", ["ray", "optuna"])
def test_packs_are_imported_without(absent):
    code = (
        "import sys\n"
        "import hpsearch.pack.train, hpsearch.pack.probe, hpsearch.pack.net, hpsearch.pack.checkpoint\n"
        f"assert not [name for name in sys.modules if name.split('.')[0] == {absent!r}]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
