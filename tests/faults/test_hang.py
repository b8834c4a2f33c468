"""A leg that hangs is ended, and what it was doing is told."""

import subprocess
import sys
from pathlib import Path

import pytest
from launches import finish, launch

from hpsearch.folder import Folder
from hpsearch.run import open_run
from hpsearch.search.packing import Leg, Plan

HANGING = """
import sys, time
from pathlib import Path
from hpsearch.nets.build import Net
from hpsearch.prepare import prepare
from hpsearch.search.legs import Work, run_leg
from hpsearch.search.packing import Leg

class Deaf:
    def beat(self, share):
        time.sleep(100)
    def stored(self, path):
        pass
    def kept(self, outcomes):
        return set(outcomes)

study, root, limit = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
prepared = prepare(study)
leg = Leg(0, (0,), "loop", 1, 1.0, "it is to hang")
run_leg(leg, [prepared.params(0)], Work(root, 0, Net("mlp"), hang_s=limit), prepared.arrays, Deaf())
"""
SLOW = """
name: slow
data: {source: "sklearn:digits"}
search: {trials: 1}
params: {epochs: 50, width: 3072, depth: 3, batch_size: 16}
resources: {trial_timeout: 0.2s}
"""


def test_a_leg_that_hangs_ends_its_process_and_says_where(small: Path, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "run")
    folder.create()
    command = [sys.executable, "-c", HANGING, str(small), str(folder.root), "1.0"]
    assert subprocess.run(command, timeout=60, capture_output=True).returncode == 1
    trace = folder.hang(0).read_text()
    assert trace.startswith("Timeout")
    assert "in beat" in trace


@pytest.mark.slow
def test_a_trial_that_never_ends_an_epoch_in_time_fails_with_its_reason(tmp_path: Path) -> None:
    study, folder = tmp_path / "slow.yaml", Folder(tmp_path / "slow")
    study.write_text(SLOW)
    Plan((Leg(0, (0,), "loop", 1, 1.0, "alone"),)).write(tmp_path / "plan.json")
    status, out, err = finish(launch(study, tmp_path, "--plan", str(tmp_path / "plan.json")))
    assert status == 1
    assert "leg 0 failed (3 of 3): no epoch ended within 0.2 s (resources.trial_timeout)" in out
    assert "all 1 trials that ended have failed; the first: no epoch ended within 0.2 s" in err
    assert len(err.strip().splitlines()) == 1
    trials = open_run(folder.root).trials
    assert list(trials["state"]) == ["failed"]
    assert folder.hang(0).read_text().startswith("Timeout")
