"""A leg whose rows do not fit in memory: its worker may have so much and no more, by the system's own limit."""

import resource
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from launches import Process, family, finish, launch

from hpsearch.folder import Folder
from hpsearch.run import open_run
from hpsearch.search.packing import Leg, Plan, read

LIMIT = 3 * 2**30
WIDE = """
name: wide
data: {source: "sklearn:iris"}
search: {trials: 8, block: 8}
params: {epochs: 1, width: 3072, depth: 2, batch_size: 64, lr: {low: 1e-4, high: 1e-3}}
squeeze: {student: null}
resources: {workers: 1}
"""


def limit(process: Process) -> bool:
    """Bounds the memory of Ray's node process, whose children inherit it, and of the workers that are there."""
    bounded = False
    for child in family(process):
        with suppress(psutil.Error, ProcessLookupError):
            if child.name() == "raylet" or child.name().startswith("ray::"):
                resource.prlimit(child.pid, resource.RLIMIT_DATA, (LIMIT, LIMIT))
                bounded = True
    return bounded


@pytest.mark.slow
def test_a_leg_that_does_not_fit_in_memory_is_split_and_finished(tmp_path: Path) -> None:
    study, folder = tmp_path / "wide.yaml", Folder(tmp_path / "wide")
    study.write_text(WIDE)
    Plan((Leg(0, tuple(range(8)), "loop", 1, 1.0, "too many"),)).write(tmp_path / "plan.json")
    process = launch(study, tmp_path, "--plan", str(tmp_path / "plan.json"))
    while not folder.leg_log(0).exists() and process.poll() is None:
        limit(process)
    status, out, err = finish(process)
    assert status == 0, out + err
    assert set(open_run(folder.root).trials["state"]) == {"complete"}
    plan = read(folder.plan)
    assert len(plan.legs) > 2
    assert all("half of leg" in leg.why and "memory" in leg.why for leg in plan.legs[1:])
    assert "leg 0 failed (1 of 3)" in out  # it is not tried again as it is
    assert "leg 0 failed (2 of 3)" not in out
