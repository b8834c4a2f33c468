from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from hpsearch.errors import UserError
from hpsearch.prepare import prepare


def study_of(folder: Path, rows: int, params: str = "") -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=rows), "y": np.arange(rows) % 2})
    frame.to_csv(folder / "few.csv", index=False)
    path = folder / "study.yaml"
    path.write_text(f"name: few\ndata: {{source: few.csv, target: y}}\nparams: {{epochs: 2{params}}}\n")
    return path


def test_training_rows_that_do_not_fill_the_default_batch_are_one_batch(tmp_path: Path) -> None:
    told: list[str] = []
    prepared = prepare(study_of(tmp_path, 40), tell=told.append)
    rows = len(prepared.arrays.train.y)
    assert prepared.space.highest("batch_size") == prepared.space.lowest("batch_size") == rows
    assert told == [f"batch_size: {rows}, all training rows, since they do not fill the default"]


def test_a_share_of_the_training_rows_counts(tmp_path: Path) -> None:
    prepared = prepare(study_of(tmp_path, 160, ", train_share: 0.5"))
    assert prepared.space.highest("batch_size") == round(len(prepared.arrays.train.y) * 0.5)


def test_a_batch_that_the_study_names_is_not_changed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="training part has"):
        prepare(study_of(tmp_path, 40, ", batch_size: 64"))


def test_pretrained_weights_are_looked_for_in_every_structure(tmp_path: Path) -> None:
    save_file({"blocks.0.linear.weight": torch.ones(16, 1)}, tmp_path / "w.safetensors")
    path = study_of(tmp_path, 90, ", batch_size: 8, depth: 1, width: [16, 32]")
    path.write_text(path.read_text() + "init_from: w.safetensors\n")
    with pytest.raises(UserError, match=r"init_from: no tensor of .* width 32; it has blocks\.0\.linear"):
        prepare(path)
    path.write_text(path.read_text().replace("[16, 32]", "16"))
    told: list[str] = []
    prepare(path, tell=told.append)
    assert told[0].startswith("init_from: 1 tensors loaded (blocks.0.linear.weight); drawn anew: ")


@pytest.mark.parametrize("start", [2, 28, 40])
def test_images_begin_smaller_than_they_are(start: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", x=rng.random((60, 1, 28, 28), dtype=np.float32), y=np.arange(60) % 2)
    path = tmp_path / "s.yaml"
    path.write_text(
        f"name: s\ndata: {{source: x.npz}}\nnet: resnet\nparams: {{batch_size: 8, image_start: {start}}}\n"
    )
    with pytest.raises(UserError, match="image_start: must be from 4 to below 28, the images' width"):
        prepare(path)


def test_a_metric_that_the_validation_part_leaves_undefined_is_refused(tmp_path: Path) -> None:
    part = np.repeat(["train", "validation", "test"], [40, 10, 10])
    y = np.where(part == "validation", 1, np.arange(60) % 2)
    pd.DataFrame({"a": np.arange(60), "y": y, "part": part}).to_csv(tmp_path / "d.csv", index=False)
    (tmp_path / "s.yaml").write_text(
        "name: s\ndata: {source: d.csv, target: y, split: {column: part}}\n"
        "search: {metric: auroc}\nparams: {batch_size: 8}\n"
    )
    with pytest.raises(UserError, match=r"search\.metric: auroc is not defined on the 10 validation rows"):
        prepare(tmp_path / "s.yaml")


def test_pieces_that_would_fill_the_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", x=rng.normal(size=(300, 4)), y=rng.normal(size=300))
    (tmp_path / "s.yaml").write_text("name: s\ndata: {source: d.npz}\nparams: {pieces: [off, 16]}\n")
    assert prepare(tmp_path / "s.yaml").arrays.cuts is not None
    monkeypatch.setattr("hpsearch.prepare.MOST_BYTES", 10_000)
    with pytest.raises(UserError, match=r"params\.pieces: 16 pieces of 4 numbers in 180 rows are "):
        prepare(tmp_path / "s.yaml")


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "diabetes", "own_net", "own_training"])
def test_the_shipped_studies_are_sound(name: str) -> None:
    prepared = prepare(Path(__file__).parents[1] / "studies" / f"{name}.yaml")
    assert prepared.study.name == name
    assert len(prepared.draws) == prepared.study.search.trials


STUDY = "name: a\ndata: {source: a.csv, target: y}\nparams: {batch_size: 8}\n"


def linked(folder: Path, source: str = "a.csv") -> tuple[Path, Path]:
    """A link to a study that lies in another folder, and that folder."""
    real = folder / "real"
    real.mkdir()
    (real / "study.yaml").write_text(STUDY.replace("a.csv", source))
    (folder / "links").mkdir()
    (folder / "links" / "study.yaml").symlink_to(Path("..") / "real" / "study.yaml")
    return folder / "links" / "study.yaml", real


def rows(folder: Path, word: str) -> None:
    """A table whose classes are no and this word."""
    (folder / "a.csv").write_text("x,y\n" + "".join(f"{i},{word if i % 2 else 'no'}\n" for i in range(60)))


def test_the_paths_of_a_linked_study_begin_at_its_file(tmp_path: Path) -> None:
    path, real = linked(tmp_path)
    rows(real, "yes")
    told: list[str] = []
    assert prepare(path, tell=told.append).dataset.target.classes == ("no", "yes")
    assert told[0] == f"study: {path} is a link; its paths begin in the folder of its file, {real}"
    rows(path.parent, "beside the link")  # both are there: the file's folder counts
    assert prepare(path).dataset.target.classes == ("no", "yes")


def test_data_beside_the_link_alone_are_refused_by_name(tmp_path: Path) -> None:
    path, real = linked(tmp_path)
    rows(path.parent, "yes")
    with pytest.raises(UserError) as caught:
        prepare(path)
    assert f"data.source: {real / 'a.csv'}: no such file. The study is a link" in str(caught.value)
    assert f"{path.parent / 'a.csv'} lies beside the link: move it there, or copy the study" in str(caught.value)


def test_code_beside_a_link_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    path, real = linked(tmp_path, "link_data:load")
    code = "import numpy as np\ndef load(): return np.arange(60.0)[:, None], np.arange(60) % 2\n"
    (real / "link_data.py").write_text(code)
    (path.parent / "link_data.py").write_text("raise SystemExit('run')")
    (real / "study.yaml").write_text((real / "study.yaml").read_text().replace(", target: y", ""))
    assert prepare(path).dataset.target.classes == ("0", "1")
    (real / "link_data.py").unlink()
    with pytest.raises(UserError, match=f"there is no module 'link_data' in {real}"):
        prepare(path)


def test_a_link_to_nothing_and_links_in_a_circle_are_told(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").symlink_to("gone.yaml")
    with pytest.raises(UserError, match=r"s\.yaml: is a link to gone\.yaml, and there is no such file"):
        prepare(tmp_path / "s.yaml")
    (tmp_path / "a.yaml").symlink_to("b.yaml")
    (tmp_path / "b.yaml").symlink_to("a.yaml")
    with pytest.raises(UserError, match=r"a\.yaml: cannot be read"):
        prepare(tmp_path / "a.yaml")


def test_a_missing_file_names_the_folder_that_was_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(STUDY)
    with pytest.raises(UserError, match=f"^a.csv: no such file in {tmp_path}$"):
        prepare(Path("s.yaml"))
    Path("s.yaml").write_text(STUDY.replace("a.csv", "pets"))
    with pytest.raises(UserError, match=f"there is no folder {tmp_path}/pets"):
        prepare(Path("s.yaml"))
