"""A net of the user's own that raises, leaves the process or hangs: its trials fail, the others go on."""

from pathlib import Path

import pytest
from launches import finish, kill, launch, summary, wait_for

from hpsearch import pipeline
from hpsearch.folder import Folder
from hpsearch.run import open_run

NETS = """
import os
import sys
import time

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, inputs, outputs, width, trap):
        super().__init__()
        self.trap = trap
        self.body, self.head = nn.Linear(inputs, width), nn.Linear(width, outputs)

    def forward(self, x):
        if self.training:
            TRAPS[self.trap]()
        return self.head(self.body(x.flatten(1)).relu())


def raises():
    raise RuntimeError("caught in the trap")


TRAPS = {
    "none": lambda: None,
    "raise": raises,
    "exit": lambda: sys.exit(5),
    "leave": lambda: os._exit(5),
    "hang": lambda: time.sleep(1000),
}


def build(input_shape, outputs, width, trap="none"):
    if width == 13:
        raise ValueError("width 13 brings bad luck")
    return Net(64, outputs, width, trap)
"""
STUDY = """
name: traps
data: {{source: "sklearn:digits"}}
net: my_nets:build
search: {{trials: {trials}, block: 4, metric: accuracy}}
params: {{epochs: 2, width: {width}, trap: {trap}, lr: {{low: 1e-3, high: 1e-2, log: true}}}}
squeeze: {{student: null}}
resources: {{trial_timeout: 6s}}
"""
SAID = {
    "raise": r"RuntimeError: caught in the trap",
    "exit": r"SystemExit: 5",
    "leave": r"the worker died",
    "hang": r"no epoch ended within 6 s",
}


def study(folder: Path, width: str = "8", trap: str = "none", trials: int = 8) -> Path:
    path = folder / "traps.yaml"
    path.write_text(STUDY.format(width=width, trap=trap, trials=trials))
    (folder / "my_nets.py").write_text(NETS)
    return path


def test_the_trials_that_raise_fail_and_the_others_finish(
    ray_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    path = study(tmp_path, trap="{choices: [none, raise], column: true}")
    check_trapped(pipeline.launch(path, tmp_path / "runs", skip_checks=True), "raise", 8)


@pytest.mark.slow
@pytest.mark.parametrize("trap", ["raise", "exit", "leave", "hang"])
def test_the_trials_in_a_trap_fail_and_the_others_finish(trap: str, tmp_path: Path) -> None:
    count = 4 if trap == "hang" else 8
    path = study(tmp_path, trap=f"{{choices: [none, {trap}], column: true}}", trials=count)
    status, out, err = finish(launch(path, tmp_path / "runs"), 500)
    assert status == 0, out + err
    assert out.startswith(f"net: my_nets:build is build of {tmp_path}/my_nets.py\n")
    check_trapped(Folder(tmp_path / "runs" / "traps"), trap, count)


def check_trapped(folder: Folder, trap: str, count: int) -> None:
    trials = open_run(folder.root).trials
    trapped = trials["params.trap"] == trap
    assert 0 < trapped.sum() < count
    assert set(trials["state"][~trapped]) == {"complete"}
    assert set(trials["state"][trapped]) == {"failed"}
    assert trials["failure"][trapped].str.contains(SAID[trap]).all()


@pytest.mark.slow
def test_trials_of_a_shape_that_cannot_be_built_fail_and_the_others_finish(tmp_path: Path) -> None:
    status, out, err = finish(launch(study(tmp_path, width="[8, 13]"), tmp_path / "runs"))
    if "failed with width 13" in err:  # the first trial's
        status, out, err = finish(launch(study(tmp_path, width="[13, 8]"), tmp_path / "runs"))
    assert status == 0, out + err
    trials = open_run(tmp_path / "runs" / "traps").trials
    unlucky = trials["params.width"] == 13
    assert list(trials["state"]) == ["failed" if bad else "complete" for bad in unlucky]
    assert trials["failure"][unlucky].str.contains("ValueError: width 13 brings bad luck").all()
    assert summary(Folder(tmp_path / "runs" / "traps"))["trials"]["failed"] == 4


@pytest.mark.slow
def test_a_study_all_of_whose_trials_are_trapped_says_why(tmp_path: Path) -> None:
    status, _, err = finish(launch(study(tmp_path, trap="raise"), tmp_path / "runs"))
    assert status == 1
    assert "all 8 trials that ended have failed; the first: RuntimeError: caught in the trap" in err
    assert len(err.splitlines()) == 1


def test_code_that_changed_since_the_study_began_is_refused(tmp_path: Path) -> None:
    path = study(tmp_path)
    process = launch(path, tmp_path / "runs")
    wait_for((tmp_path / "runs" / "traps" / "study.yaml").exists, process)
    kill(process)
    (tmp_path / "my_nets.py").write_text(NETS + "\n# changed")
    status, _, err = finish(launch(path, tmp_path / "runs"))
    assert status == 2
    assert "It differs in the code or the weights that it names" in err
