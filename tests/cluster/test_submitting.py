"""What `submit` looks at before it speaks with anybody."""

from pathlib import Path

import pytest

from hpsearch.cluster.submitting import Sent, prepare
from hpsearch.errors import UserError
from hpsearch.prepared import Overrides

ROWS = "a,b,y\n" + "1,2,p\n2,1,q\n" * 40


def sent(folder: Path, text: str, runs: str | None = None) -> Sent:
    (folder / "data.csv").write_text(ROWS)
    (folder / "s.yaml").write_text(text)
    return prepare(folder / "s.yaml", None, runs, Overrides(trials=3), skip_checks=True)


def test_options_and_the_place_of_runs_go_along(tmp_path: Path) -> None:
    found = sent(tmp_path, "name: s\ndata: {source: data.csv, target: y}\n")
    assert found.options == ("--trials", "3", "--skip-checks")
    assert found.runs == "~/hpsearch-runs"
    assert sent(tmp_path, "name: s\ndata: {source: data.csv, target: y}\n", "s3://b/runs").runs == "s3://b/runs"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data: {source: data.csv, target: z}", "data.target: no column 'z'"),
        ("data: {source: data.csv, target: y}\nparams: {batch_size: 100000}", "batch_size"),
        ("data: {source: data.csv, target: y}\nstorage: {path: here}", "storage.path: must be an absolute path"),
        ("data: {source: data.csv, target: y}\nnet: resnett", "net: 'resnett'"),
    ],
)
def test_what_is_wrong_is_told_here(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        sent(tmp_path, f"name: s\n{text}\n")


def test_a_relative_place_for_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--runs: must be an absolute path"):
        sent(tmp_path, "name: s\ndata: {source: data.csv, target: y}\n", "runs")


@pytest.mark.parametrize("source", ["/data/of/the/cluster.csv", "s3://bucket/of/theirs.csv"])
def test_data_that_the_cluster_has_are_not_looked_for_here(source: str, tmp_path: Path) -> None:
    assert sent(tmp_path, f"name: s\ndata: {{source: '{source}', target: y}}\n").parcel.files == (Path("s.yaml"),)


def test_gpus_that_are_not_here_may_be_there(tmp_path: Path) -> None:
    text = "name: s\ndata: {source: data.csv, target: y}\nresources: {gpus_per_pack: 1, device: cuda}\n"
    assert sent(tmp_path, text).study.resources.device == "cuda"
