"""Files of a run that are cut, emptied or altered between two launches: set aside, told, and made good."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from launches import check_same

from hpsearch import begun, pipeline
from hpsearch.errors import RunError
from hpsearch.files import read_json
from hpsearch.folder import Folder
from hpsearch.pack import checkpoint
from hpsearch.prepared import Overrides
from hpsearch.search.packing import read
from hpsearch.search.progress import Quiet
from hpsearch.search.shelf import Shelf
from hpsearch.study import load_study

STUDY = """
name: tiny
data: {source: "sklearn:iris"}
search: {trials: 6, block: 3}
params: {epochs: 4, width: [8, 16], batch_size: 16, lr: {low: 1e-3, high: 1e-2, log: true}, dropout: 0.1}
squeeze: {student: null}
"""


class Heard(Quiet):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "tiny.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def finished(study: Path, ray_cluster: None) -> Folder:
    return pipeline.launch(study, study.parent / "finished", skip_checks=True)


@pytest.fixture(scope="module")
def stopped(study: Path, finished: Folder) -> Folder:
    """The same, stopped when its trials had run and nothing was squeezed."""
    folder = Folder(study.parent / "stopped" / "tiny")
    shutil.copytree(finished.root, folder.root)
    folder.summary.unlink()
    shutil.rmtree(folder.ensemble)
    shutil.rmtree(folder.export)
    return folder


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def zeroed(path: Path) -> None:
    """What a file system may leave after a crash: the length is there, the end is not."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4] + b"\0" * (len(data) // 4))


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def launch_again(study: Path, run: Folder, runs: Path, damage: Callable[[Path], None], name: str) -> list[str]:
    """Damages a file in a copy of a run and launches into it; what was told."""
    folder, heard = Folder(runs / "tiny"), Heard()
    shutil.copytree(run.root, folder.root)
    damage(folder.root / name)
    pipeline.launch(study, runs, reporter=heard, skip_checks=True)
    return heard.notes


CASES = [
    (empty, "study.yaml"),
    (empty, "plan.json"),
    (zeroed, "ledger.journal"),
    (flipped, "rows/00000.safetensors"),
]
MORE = [
    (empty, "origin.json"),
    (empty, "ledger.journal"),
    (empty, "rows/00000.safetensors"),
    (cut, "plan.json"),
    (cut, "ledger.journal"),
    (cut, "rows/00001.safetensors"),
    (zeroed, "rows/00001.safetensors"),
]
ALL = [*CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE)]


@pytest.mark.parametrize(("damage", "name"), ALL, ids=[f"{d.__name__} {n}" for d, n in [*CASES, *MORE]])
def test_a_damaged_file_is_made_good(
    damage: Callable[[Path], None], name: str, study: Path, finished: Folder, stopped: Folder, tmp_path: Path
) -> None:
    told = [note for note in launch_again(study, stopped, tmp_path, damage, name) if "set aside" in note]
    folder = Folder(tmp_path / "tiny")
    check_same(finished, folder, trials=6)
    assert read(folder.plan) == read(finished.plan)
    if (damage, name) != (empty, "ledger.journal"):  # an empty journal is where each begins
        assert len(told) == 1
        assert str(folder.root / name) in told[0]
        assert len(list((folder.root / name).parent.glob(f"{Path(name).name}.*-*"))) == 1


@pytest.mark.parametrize(
    "name",
    ["summary.json", "trials.csv", "ensemble/members.json", "export/model.onnx", "nets/ensemble.safetensors"],
)
def test_a_damaged_result_is_made_anew(name: str, study: Path, finished: Folder, tmp_path: Path) -> None:
    told = launch_again(study, finished, tmp_path, empty, name)
    folder = Folder(tmp_path / "tiny")
    assert "is damaged; set aside as" in "".join(told)
    before, after = (read_json(f.summary) for f in (finished, folder))
    assert after["test_scored"] == 2  # and that is told
    for summary in (before, after):
        del summary["seconds"], summary["test_scored"]
    assert before == after
    assert (folder.root / name).stat().st_size > 0


def test_a_damaged_row_at_the_last_moment_ends_in_a_sentence(
    study: Path, stopped: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path / "tiny")
    shutil.copytree(stopped.root, folder.root)

    class Spoiler(Quiet):
        def stage(self, name: str) -> None:
            if name == "squeeze":
                flipped(folder.rows(0))

    with pytest.raises(RunError, match="is not as it was written; launch again"):
        pipeline.launch(study, tmp_path, reporter=Spoiler(), skip_checks=True)
    pipeline.launch(study, tmp_path, skip_checks=True)
    assert folder.summary.exists()


def test_rows_that_are_worth_their_place_no_longer_are_thinned(
    study: Path, finished: Folder, tmp_path: Path
) -> None:
    text = study.read_text() + "resources: {disk_gb: 1e-6}\n"  # a thousand bytes: the best alone
    (tmp_path / "tiny.yaml").write_text(text)
    folder = pipeline.launch(tmp_path / "tiny.yaml", tmp_path, skip_checks=True)
    summary = read_json(folder.summary)
    shelf = Shelf.look(folder)
    assert set(shelf.rows()) == {summary["best"]["trial"]}
    assert set(shelf.ended()) == set(range(6))
    assert [member["trial"] for member in summary["ensemble"]["members"]] == [summary["best"]["trial"]]
    # thinned rows are not lost ones
    pipeline.launch(tmp_path / "tiny.yaml", tmp_path, Overrides(trials=8), skip_checks=True)
    assert len(Shelf.look(folder).ended()) == 8
    assert sum(path.stat().st_size for path in folder.rows_of_legs().values()) < 60_000


@pytest.mark.slow
def test_rows_and_a_plan_of_another_study_are_set_aside(
    study: Path, finished: Folder, stopped: Folder, tmp_path: Path
) -> None:
    folder, heard = Folder(tmp_path / "tiny"), Heard()
    shutil.copytree(stopped.root, folder.root)
    states = checkpoint.load(folder.rows(0))
    for state in states:
        state.record.params["lr"] = 0.5
    checkpoint.store(folder.rows(0), states, checkpoint.head(folder.rows(0)).about)
    plan = read(folder.plan)
    replace(plan, legs=(*plan.legs, replace(plan.legs[0], leg=9, trials=(99,)))).write(folder.plan)
    pipeline.launch(study, tmp_path, reporter=heard, skip_checks=True)
    assert len([note for note in heard.notes if "another study's; set aside" in note]) == 2
    check_same(finished, folder, trials=6)


@pytest.mark.slow
def test_a_small_budget_leaves_room_for_students(study: Path, ray_cluster: None, tmp_path: Path) -> None:
    text = (
        study.read_text().replace("student: null", "student: {trials: 2, longer: 1}")
        + "resources: {disk_gb: 1e-6}\n"
    )
    (tmp_path / "tiny.yaml").write_text(text)
    folder = pipeline.launch(tmp_path / "tiny.yaml", tmp_path, skip_checks=True)
    assert read_json(folder.summary)["student"]["alone"]["test"]


@pytest.mark.parametrize("damage", [cut, zeroed])
def test_a_table_of_trials_that_is_cut_is_made_anew(
    damage: Callable[[Path], None], study: Path, finished: Folder, tmp_path: Path
) -> None:
    told = launch_again(study, finished, tmp_path, damage, "trials.csv")
    assert "trials.csv: is damaged; set aside as" in "".join(told)
    assert len((tmp_path / "tiny" / "trials.csv").read_text().splitlines()) == 7


def test_a_write_that_was_broken_off_is_removed(study: Path, stopped: Folder, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "tiny")
    shutil.copytree(stopped.root, folder.root)
    beside = folder.root / "rows" / ".00000.safetensors.abcd1234"
    beside.write_bytes(b"half")
    pipeline.launch(study, tmp_path, skip_checks=True)
    assert not beside.exists()


@pytest.mark.parametrize("keep", [set(), {1, 3}, {0, 1, 2, 3, 4, 5}])
def test_a_thinned_file_keeps_all_records(finished: Folder, tmp_path: Path, keep: set[int]) -> None:
    (leg, path), *_ = finished.rows_of_legs().items()
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    before = checkpoint.head(path)
    assert checkpoint.thin(copy, keep) == (not before.stored <= keep)
    after = checkpoint.head(copy)
    assert after.records == before.records
    assert after.stored == before.stored & keep
    assert after.about == before.about
    assert leg == before.about["leg"]


def test_a_study_that_goes_on_calls_no_sound_file_damaged(study: Path, finished: Folder, tmp_path: Path) -> None:
    """As a kill leaves it: more rows in trials.csv than the summary counts."""
    folder, told = Folder(tmp_path / "tiny"), list[str]()
    shutil.copytree(finished.root, folder.root)
    folder.trials.write_text(folder.trials.read_text() + "6,complete,0.5,1.0,3\n")
    raw = load_study(study)
    longer = raw.model_copy(update={"search": raw.search.model_copy(update={"trials": raw.search.trials + 1})})
    assert not begun.is_finished(folder, longer, told.append)
    assert told == []
