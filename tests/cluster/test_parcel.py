"""What travels with a study, held against a real git repository."""

import subprocess
from pathlib import Path

import pytest

from hpsearch.cluster.parcel import SENDER, beside_the_driver, pack, refuse_another_version
from hpsearch.errors import UserError
from hpsearch.study import load_study

STUDY = "name: s\ndata: {source: data.csv, target: y}\nnet: my_nets:build\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "study"
    (place / "parts").mkdir(parents=True)
    (place / "s.yaml").write_text(STUDY)
    (place / "data.csv").write_text("a,y\n1,p\n2,q\n")
    (place / "my_nets.py").write_text("from parts.layers import layer\ndef build(): ...\n")
    (place / "parts" / "layers.py").write_text("def layer(): ...\n")
    (place / "notes.txt").write_text("loose")
    (place / "other.py").write_text("tracked, though nobody names it")
    (place / ".gitignore").write_text("data.csv\nruns/\n")
    (place / "runs").mkdir()
    (place / "runs" / "big.bin").write_bytes(b"0" * 1000)
    return place


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


def names(folder: Path, **limits: float) -> list[str]:
    path = folder / "s.yaml"
    return [str(file) for file in pack(path, load_study(path), **limits).files]


def test_without_git_what_the_study_names_travels(folder: Path) -> None:
    assert names(folder) == ["data.csv", "my_nets.py", "parts/layers.py", "s.yaml"]
    told = pack(folder / "s.yaml", load_study(folder / "s.yaml")).left_out
    assert "under no git" in told[0]


def test_with_git_what_it_tracks_travels_and_what_stays_is_told(folder: Path) -> None:
    git(folder, "init", "-q")
    git(folder, "add", "other.py", "my_nets.py", ".gitignore")
    assert names(folder) == ["data.csv", "my_nets.py", "other.py", "parts/layers.py", "s.yaml"]
    told = pack(folder / "s.yaml", load_study(folder / "s.yaml")).left_out
    assert told == ("git does not track notes.txt",)


def test_the_copy_is_whole_and_of_the_same_shape(folder: Path, tmp_path: Path) -> None:
    parcel = pack(folder / "s.yaml", load_study(folder / "s.yaml"))
    parcel.copy_to(tmp_path / "copy")
    for file in parcel.files:
        assert (tmp_path / "copy" / file).read_bytes() == (folder / file).read_bytes()
    assert parcel.bytes == sum((folder / file).stat().st_size for file in parcel.files)


def test_too_much_is_refused_with_the_largest_named(folder: Path) -> None:
    (folder / "data.csv").write_bytes(b"0" * 3_000_000)
    with pytest.raises(
        UserError, match=r"3 MB would travel with it, and 1 MB is the most; the largest are data.csv"
    ):
        names(folder, limit=1e6)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("../outside.csv", "lies outside the study's folder"),
        ("gone.csv", "no such file; on the cluster's own disks name it by an absolute path"),
    ],
)
def test_data_that_cannot_travel_are_refused(source: str, said: str, folder: Path) -> None:
    (folder.parent / "outside.csv").write_text("a,y\n1,p\n")
    (folder / "s.yaml").write_text(STUDY.replace("data.csv", source))
    with pytest.raises(UserError, match=said):
        names(folder)


def test_data_by_an_absolute_path_are_the_clusters(folder: Path) -> None:
    (folder / "s.yaml").write_text(STUDY.replace("data.csv", "/data/of/the/cluster.csv"))
    assert names(folder) == ["my_nets.py", "parts/layers.py", "s.yaml"]


def test_own_code_goes_along_with_a_driver_that_is_no_job(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "s.yaml"
    with beside_the_driver(path, load_study(path)) as place:
        (shipped,) = place.iterdir()  # what lies in `place` itself is on the search path of workers
        assert not shipped.name.isidentifier()
        assert (shipped / "my_nets.py").read_bytes() == (folder / "my_nets.py").read_bytes()
    assert not place.exists()
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    with beside_the_driver(path, load_study(path)) as place:
        assert place is None
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR")
    path.write_text(STUDY.replace("my_nets:build", "mlp"))
    with beside_the_driver(path, load_study(path)) as place:
        assert place is None


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_another_version()
    monkeypatch.setenv(SENDER, "0.0.1")
    with pytest.raises(UserError, match=r"this study was sent by 0\.0\.1"):
        refuse_another_version()
