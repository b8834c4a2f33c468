"""`hpsearch init` writes a study that runs."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import hpsearch
from hpsearch.cli import main
from hpsearch.prepare import prepare
from hpsearch.prepared import Overrides


def init(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr("sys.argv", ["hpsearch", "init", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


def make(folder: Path) -> None:
    rng = np.random.default_rng(0)
    numbers, words = rng.normal(size=(2, 90)), rng.choice(list("xyz"), 90)
    frame = pd.DataFrame({"a b": numbers[0], "c": words, "y: z": numbers[1]})
    frame.to_csv(folder / "my data.csv", index=False)
    frame.assign(rare=["yes"] * 8 + ["no"] * 82).to_csv(folder / "rare.csv", index=False)
    np.savez(folder / "vectors.npz", x=rng.normal(size=(90, 5)), y=np.arange(90) % 3)
    for name in ("cat", "dog"):
        (folder / "pets" / name).mkdir(parents=True)
        for i in range(12):
            Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(folder / "pets" / name / f"{i}.png")


@pytest.mark.parametrize(
    ("arguments", "path", "metric", "net"),
    [
        (("my data.csv", "--target", "y: z"), "my_data.yaml", "rmse", "mlp"),
        (("rare.csv", "--target", "rare", "--out", "sub/s.yaml"), "sub/s.yaml", "balanced_accuracy", "mlp"),
        (("pets/",), "pets.yaml", "accuracy", "resnet"),
        (("vectors.npz",), "vectors.yaml", "accuracy", "mlp"),
        (("sklearn:iris",), "iris.yaml", "accuracy", "mlp"),
    ],
)
def test_the_study_is_sound(
    arguments: tuple[str, ...],
    path: str,
    metric: str,
    net: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make(tmp_path)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert not init(monkeypatch, *arguments)
    assert f"wrote {path}; run it with: hpsearch launch" in capsys.readouterr().out
    study = prepare(Path(path)).study
    assert (study.search.metric, study.net, study.search.space) == (metric, net, "recipe")
    text = Path(path).read_text()
    assert text.startswith("# task: ")
    assert text.count("  # ") >= 9
    assert init(monkeypatch, *arguments) == 2
    assert f"{path}: is there already; give --out another name" in capsys.readouterr().err
    assert Path(path).read_text() == text


def test_what_the_data_need_is_said_with_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    frame = pd.read_csv("my data.csv").assign(code=np.arange(90) % 4, name=np.arange(90))
    frame.loc[3, "a b"] = np.nan
    frame.to_csv("holes.csv", index=False, na_rep="NA")
    words = ("--missing", "NA", "--categorical", "code", "--drop", "name")
    assert not init(monkeypatch, "holes.csv", "--target", "y: z", *words)
    data = prepare(Path("holes.yaml")).study.data
    assert (data.missing, data.categorical, data.drop) == (["", "NA"], ["code"], ["name"])
    Image.fromarray(np.zeros((9, 7), dtype=np.uint8)).save(tmp_path / "pets" / "cat" / "other.png")
    assert not init(monkeypatch, "pets", "--size", "8")
    assert prepare(Path("pets.yaml")).arrays.input_shape[1:] == (8, 8)


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize(
    "name", ["true", "null", "label:", "1e3", "a # b", "two\nlines", "ü\u2028", "größe 😀", "- x", "~"]
)
def test_any_name_reads_back_as_itself(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame(
        {"a": np.arange(40.0), name: np.tile(["p", "q"], 20), f"{name} too": np.tile(["r", "s"], 20)}
    )
    frame.to_parquet("null.parquet")
    assert not init(monkeypatch, "null.parquet", "--target", name, "--drop", "a")
    study = prepare(Path("null.yaml")).study
    assert (study.name, study.data.target, study.data.drop) == ("null", name, ["a"])


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not init(monkeypatch, "sklearn:iris")
    text = Path("iris.yaml").read_text().replace("params:", "params:\n  epochs: 3\n#")
    text = text.replace("student: {trials: 8}", "student: {trials: 2, longer: 1}")
    Path("iris.yaml").write_text(text)
    run = hpsearch.launch("iris.yaml", trials=4, runs=tmp_path / "runs", skip_checks=True)
    assert run.summary is not None
    assert run.summary["trials"]["complete"] == 4
    assert hpsearch.open_run(run.folder.root).study == prepare(Path("iris.yaml"), Overrides(trials=4)).study


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing.csv", "--target", "y"), "nothing.csv: no such file"),
        (("my data.csv",), "init: data.target: is required for a table; choose from a b, c, y: z"),
        (("my data.csv", "--target", "q"), "init: data.target: no column 'q' in my data.csv"),
        (
            ("my data.csv", "--target", "y: z", "--out", "none/s.yaml"),
            "--out: none/s.yaml: cannot be written: there is no folder",
        ),
        (("my_data:load",), "my_data:load: is a loader of your own, and init reads files; docs/own.md has such"),
        (("pets", "--size", "9999"), "--size: Input should be less than or equal to 4096"),
    ],
)
def test_what_cannot_be_read_is_told_and_nothing_written(
    arguments: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert init(monkeypatch, *arguments) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("*.yaml"))


def test_a_study_has_the_name_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"a": np.arange(40.0), "y": np.tile(["p", "q"], 20)}).to_csv("data.csv", index=False)
    assert not init(monkeypatch, "data.csv", "--target", "y", "--out", "cars.yaml")
    assert prepare(Path("cars.yaml")).study.name == "cars"


def test_the_study_goes_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path)
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "link.yaml").symlink_to("far/deep/s.yaml")
    (tmp_path / "folder").symlink_to("far/deep")
    for out, written in (("link.yaml", "far/deep/s.yaml"), ("folder/other.yaml", "far/deep/other.yaml")):
        assert not init(monkeypatch, "my data.csv", "--target", "y: z", "--out", out)
        assert prepare(Path(written)).study.data.source == "../../my data.csv"
    assert (tmp_path / "link.yaml").is_symlink()
    assert init(monkeypatch, "my data.csv", "--target", "y: z", "--out", "link.yaml") == 2


def test_the_study_is_printed_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not init(monkeypatch, "sklearn:iris", "--out", "-")
    (tmp_path / "s.yaml").write_text(capfd.readouterr().out)
    assert prepare(Path("s.yaml")).study.name == "iris"
    assert [path.name for path in tmp_path.iterdir()] == ["s.yaml"]


def test_a_folder_that_may_not_be_written_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, *_, **__: Path(path) != tmp_path)
    assert init(monkeypatch, "sklearn:iris") == 2
    said = capsys.readouterr().err
    assert said.startswith("--out: iris.yaml: cannot be written: the folder") and len(said.splitlines()) == 1
