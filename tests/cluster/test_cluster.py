"""A study on a real cluster of several nodes, sent from a machine that is none of them."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nodes import Nodes, possible

from hpsearch import pipeline
from hpsearch.search import ledger
from hpsearch.search.cluster import cluster

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not possible(), reason="no network namespaces here")]

STUDY = """
name: {name}
data: {{source: "sklearn:digits"}}
search: {{trials: {trials}, block: 8}}
params:
  epochs: {epochs}
  width: [16, 32]
  batch_size: 64
  lr: {{low: 1e-3, high: 1e-2, log: true}}
  dropout: {{low: 0, high: 0.3}}
squeeze: {{ensemble: 3, student: off}}
resources: {{device: cpu, checkpoint: 1s}}
"""

NET = """
from torch import nn


def build(input_shape, outputs, width):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, outputs))
"""


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """A head and three workers, with logical GPUs 2, 1 and 1."""
    found = Nodes()
    try:
        found.start("head")
        found.wait(1)
        for name, gpus in (("one", 2), ("two", 1), ("three", 1)):
            found.start(name, gpus, cpus=gpus)
        found.wait(4)
        yield found
    finally:
        found.close()


def write(folder: Path, name: str, trials: int, epochs: int) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(STUDY.format(name=name, trials=trials, epochs=epochs))
    return path


def submitted(nodes: Nodes, path: Path, *words: str) -> str:
    """Sends a study; the job's name."""
    found = nodes.hpsearch("submit", str(path), "--address", nodes.address, "--skip-checks", *words)
    assert found.returncode == 0, found.stderr
    return re.search(r"job (\S+):", found.stdout)[1]


def ended(nodes: Nodes, job: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
    return nodes.hpsearch("logs", job, "--follow", "--address", nodes.address, timeout=timeout_s)


def pulled(nodes: Nodes, job: str, to: Path) -> Path:
    found = nodes.hpsearch("pull", job, "--to", str(to), "--address", nodes.address)
    assert found.returncode == 0, found.stderr
    return Path(found.stdout.split()[-1])


def trials(run: Path) -> pd.DataFrame:
    return pd.read_csv(run / "trials.csv").set_index("number")


def nodes_that_trained(run: Path) -> int:
    """By the addresses in the legs' logs."""
    logs = [path.read_text() for path in (run / "logs").glob("leg-*.log")]
    return len({re.search(r"process \d+ on (\S+):", text)[1] for text in logs})


def test_the_same_as_on_one_machine(nodes: Nodes, tmp_path: Path) -> None:
    path = write(tmp_path / "study", "whole", 64, 400)  # which outlasts the slowest start of a node
    with cluster(workers=2):
        here = pipeline.launch(path, tmp_path / "here", skip_checks=True).root
    job = submitted(nodes, path, "--plan", str(here / "plan.json"))
    assert ended(nodes, job).returncode == 0
    there = pulled(nodes, job, tmp_path / "there")
    a, b = trials(here), trials(there)
    params = [name for name in a if name.startswith("params.")]
    assert (a["state"] == "complete").all() and (b["state"] == "complete").all()
    pd.testing.assert_frame_equal(a[params], b[params])
    np.testing.assert_allclose(a["value"], b["value"], rtol=1e-5)
    assert nodes_that_trained(there) == 3
    ours, theirs = (json.loads((run / "summary.json").read_text()) for run in (here, there))
    assert ours["ensemble"]["members"] == theirs["ensemble"]["members"]
    assert theirs["ensemble"]["test"]["log_loss"] == pytest.approx(ours["ensemble"]["test"]["log_loss"], abs=1e-5)


def test_a_node_dies_and_another_joins(nodes: Nodes, tmp_path: Path) -> None:
    path = write(tmp_path / "study", "hurt", 64, 120)
    job = submitted(nodes, path)
    _until(nodes, job, r"(\d+) of 64 trials finished", lambda found: int(found[1]) >= 1)
    nodes.kill("two")
    nodes.start("four", gpus=1)
    assert ended(nodes, job, 500).returncode == 0
    run = pulled(nodes, job, tmp_path / "there")
    assert (trials(run)["state"] == "complete").all()
    assert len(trials(run)) == 64


def test_a_client_that_is_killed_ends_nothing(nodes: Nodes, tmp_path: Path) -> None:
    path = write(tmp_path / "study", "alone", 16, 60)
    words = ["submit", str(path), "--address", nodes.address, "--skip-checks", "--follow"]
    client = subprocess.Popen(
        nodes.command("client", sys.executable, "-m", "hpsearch", *words), env=nodes.environment(),
        stdout=subprocess.PIPE, text=True, cwd=nodes.place,
    )  # fmt: skip
    assert client.stdout is not None
    lines: list[str] = []
    while not any("stage: search" in line for line in lines):
        lines.append(client.stdout.readline())
    client.send_signal(signal.SIGKILL)
    client.wait()
    job = next(found[1] for line in lines if (found := re.match(r"job (\S+):", line)))
    again = ended(nodes, job)
    assert again.returncode == 0
    assert "stage: search" in again.stdout  # from its start
    assert len(trials(pulled(nodes, job, tmp_path / "there"))) == 16


def test_cancelling_stores_and_submitting_again_goes_on(nodes: Nodes, tmp_path: Path) -> None:
    path = write(tmp_path / "study", "cancelled", 32, 200)
    job = submitted(nodes, path)
    twice = nodes.hpsearch("submit", str(path), "--address", nodes.address, "--skip-checks")
    assert (twice.returncode, f"job {job} has its run folder" in twice.stderr) == (2, True)
    _until(nodes, job, r"(\d+) of 32 trials finished", lambda found: int(found[1]) >= 1)
    cancelled = nodes.hpsearch("cancel", job, "--address", nodes.address)
    assert (cancelled.returncode, "stopped" in cancelled.stdout) == (0, True)
    assert ended(nodes, job).returncode == 1
    first = pulled(nodes, job, tmp_path / "first")
    states = Counter(row["state"] for row in ledger.read(first / "ledger.journal", "cancelled"))
    assert states["complete"] >= 1
    assert states["complete"] + states["waiting"] == 32
    second = submitted(nodes, path)
    found = ended(nodes, second)
    assert found.returncode == 0
    run = pulled(nodes, second, tmp_path / "second")
    assert (trials(run)["state"] == "complete").all()
    assert any("go on from disk" in path.read_text() for path in (run / "logs").glob("leg-*.log"))


@pytest.mark.parametrize(
    ("words", "token", "said"),
    [
        (["jobs"], "", "no token is set"),
        (["jobs"], "not the one", "does not take the token that is set"),
        (["jobs", "--insecure"], "", "asks for a token"),
    ],
)
def test_tokens(words: list[str], token: str, said: str, nodes: Nodes) -> None:
    found = nodes.hpsearch(*words, "--address", nodes.address, token=token)
    assert found.returncode == 2
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def test_nobody_at_an_address(nodes: Nodes) -> None:
    found = nodes.hpsearch("jobs", "--address", "http://10.201.77.2:9999")
    assert (found.returncode, "nobody answers there" in found.stderr) == (2, True)


def test_data_that_the_cluster_has_not(nodes: Nodes, tmp_path: Path) -> None:
    path = tmp_path / "far.yaml"
    path.write_text("name: far\ndata: {source: /data/of/nobody.csv, target: y}\n")
    job = submitted(nodes, path)
    found = ended(nodes, job)
    assert found.returncode == 1
    assert "/data/of/nobody.csv" in found.stdout
    assert "Traceback" not in found.stdout + found.stderr


def test_a_run_in_a_store_comes_back_from_there_and_replaces_nothing_else(nodes: Nodes, tmp_path: Path) -> None:
    path = write(tmp_path / "study", "stored", 8, 3)
    path.write_text(f"{path.read_text()}storage: {{path: 'file://{nodes.place}/store'}}\n")
    job = submitted(nodes, path)
    assert ended(nodes, job).returncode == 0
    assert (nodes.place / "store" / "stored" / "summary.json").is_file()
    run = pulled(nodes, job, tmp_path / "there")
    assert (trials(run)["state"] == "complete").all()
    assert pulled(nodes, job, tmp_path / "there") == run  # again
    (run / "ledger.journal").write_text("another run's\n")
    found = nodes.hpsearch("pull", job, "--to", str(tmp_path / "there"), "--address", nodes.address)
    assert (found.returncode, "is another run" in found.stderr) == (2, True)
    assert (run / "ledger.journal").read_text() == "another run's\n"
    for to, said in (("s3://b/x", "must be a folder of this machine"), (str(path), "File exists")):
        found = nodes.hpsearch("pull", job, "--to", to, "--address", nodes.address)
        assert (found.returncode, said in found.stderr, "Traceback" in found.stderr) == (2, True, False)


def test_what_is_wrong_in_data_that_travel_is_told_before_they_do(nodes: Nodes, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,label\n" + "1,2,0\n2,1,1\n" * 40)
    (tmp_path / "s.yaml").write_text("name: s\ndata: {source: a.csv, target: lable}\n")
    found = nodes.hpsearch("submit", str(tmp_path / "s.yaml"), "--address", nodes.address)
    assert (found.returncode, "no column 'lable'" in found.stderr) == (2, True)


def test_own_code_goes_along(nodes: Nodes, tmp_path: Path) -> None:
    path = write(tmp_path / "study", "own", 8, 3)
    path.write_text(
        path.read_text().replace("params:", "net: my_nets:build\nparams:").replace("  dropout", "  # ")
    )
    (path.parent / "my_nets.py").write_text(NET)
    job = submitted(nodes, path)
    found = ended(nodes, job)
    assert found.returncode == 0, found.stdout + found.stderr
    assert (trials(pulled(nodes, job, tmp_path / "there"))["state"] == "complete").all()
    shutil.copytree(path.parent, nodes.place / "by-hand")  # on the head, without a job
    here = nodes.run(
        "head", sys.executable, "-m", "hpsearch", "launch", str(nodes.place / "by-hand" / "own.yaml"),
        "--address", "auto", "--skip-checks", "--runs", str(nodes.place / "home" / "runs"),
    )  # fmt: skip
    assert here.returncode == 0, here.stdout + here.stderr


def test_too_much_is_refused_before_anything_is_sent(nodes: Nodes, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("name: s\ndata: {source: big.csv, target: y}\n")
    with (tmp_path / "big.csv").open("wb") as file:
        file.truncate(150_000_000)
    found = nodes.hpsearch("submit", str(tmp_path / "s.yaml"), "--address", nodes.address)
    assert found.returncode == 2
    assert "150 MB would travel with it, and 100 MB is the most; the largest are big.csv (150 MB)" in found.stderr


def test_the_head_goes_while_somebody_follows(nodes: Nodes, tmp_path: Path) -> None:
    """The last of these tests: nothing is left of the cluster then."""
    job = submitted(nodes, write(tmp_path / "study", "orphan", 16, 2000))
    soon = "from hpsearch.cluster import jobs; jobs._AGAIN_S = (0.2,); from hpsearch.cli import main; main()"
    words = [sys.executable, "-c", soon, "logs", job, "--follow", "--address", nodes.address]
    client = subprocess.Popen(
        nodes.command("client", *words), env=nodes.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=nodes.place,
    )  # fmt: skip
    assert client.stdout is not None
    while "stage: search" not in client.stdout.readline():
        pass
    nodes.kill("head")
    _, said = client.communicate(timeout=120)
    assert client.returncode == 1
    assert "the connection is gone" in said
    assert "the job may well go on" in said
    assert "Traceback" not in said


def _until(nodes: Nodes, job: str, pattern: str, holds: object, timeout_s: float = 120) -> None:
    """Until a job has printed something."""
    end = time.monotonic() + timeout_s
    said = ""
    while time.monotonic() < end:
        said = nodes.hpsearch("logs", job, "--address", nodes.address).stdout
        if any(holds(found) for found in re.finditer(pattern, said)):  # type: ignore[operator]
            return
    raise AssertionError(said[-2000:])
