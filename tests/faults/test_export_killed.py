"""An export that is killed at any moment leaves the one before, a whole one, or nothing that looks like one."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hpsearch
from hpsearch import pipeline
from hpsearch.errors import UserError

STUDY = """
name: small
data: {source: "sklearn:iris"}
search: {trials: 2, block: 2}
params: {epochs: 2, width: 8, batch_size: 32}
squeeze: {student: off}
"""
# says when it begins to write, so that the kills fall into the writing and not into the start of Python
CODE = """
import sys
from pathlib import Path
from hpsearch import pipeline
from hpsearch.export import bundle
print("begins", flush=True)
pipeline.export_run(Path(sys.argv[1]), Path(sys.argv[2]), "ensemble")
print("ended", flush=True)
"""


@pytest.mark.slow
def test_an_export_killed_at_any_moment_leaves_nothing_that_looks_like_one(
    ray_cluster: None, tmp_path: Path
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    run = pipeline.launch(study, tmp_path / "runs", skip_checks=True).root
    place = tmp_path / "out" / "export"

    def exporting() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", CODE, str(run), str(place)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "begins\n"
        return child

    began = time.monotonic()
    whole = exporting()
    assert whole.wait() == 0
    took, hidden = time.monotonic() - began, 0
    hpsearch.load(place)
    for kill in range(12):
        if kill == 6:  # from here on nothing is there before
            for path in place.iterdir():
                path.unlink()
            place.rmdir()
        child = exporting()
        time.sleep(took * (kill % 6 + 0.5) / 6)  # the moment is what is tried out
        child.send_signal(signal.SIGKILL)
        child.wait()
        if place.exists():
            hpsearch.load(place)
        for path in place.parent.iterdir():
            if path == place:
                continue
            assert path.name.startswith(".export.")
            hidden += 1
            if not (path / "manifest.json").exists():
                with pytest.raises(UserError, match="manifest"):
                    hpsearch.load(path)
