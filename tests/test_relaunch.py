"""Launching again: what a run keeps of its command line, and that what messages propose goes on with it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch import begun, pipeline, relaunch
from hpsearch.cli import main
from hpsearch.errors import UserError
from hpsearch.folder import Folder
from hpsearch.prepare import prepare
from hpsearch.prepared import Overrides
from hpsearch.relaunch import Launch, kept
from hpsearch.run import open_run
from hpsearch.study import load_study

STUDY = """
name: s
seed: 0
data: {source: "sklearn:iris"}
search: {trials: 4, block: 1, metric: accuracy}
params: {epochs: 3, batch_size: 32, width: 8, lr: {low: 1e-3, high: 1e-2, log: true}}
squeeze: {ensemble: 2, student: null}
resources: {workers: 1}
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "my study.yaml"
    path.write_text(STUDY)
    return path


def begin(study: Path, **changes: int) -> Folder:
    """A run that was begun with options of the command line, and stopped."""
    folder, overrides = Folder(study.parent / "runs" / "s"), Overrides(**changes)  # type: ignore[arg-type]
    folder.create()
    asked = Launch(study, str(folder.root.parent), overrides)
    begun.enter(folder, prepare(study, overrides), print, asked.recorded(load_study(study)))
    return folder


def found(study: Path, folder: Folder, overrides: Overrides | None = None) -> tuple[Overrides, list[str]]:
    said: list[str] = []
    return kept(folder, load_study(study), overrides or Overrides(), said.append), said


def test_an_extension_and_a_seed_stay(study: Path) -> None:
    folder = begin(study, trials=5, seed=3)
    overrides, said = found(study, folder)
    assert overrides == Overrides(trials=5, seed=3)
    assert said == [
        "search.trials: 5, as this run was launched before; the study file has 4",
        "seed: 3, as this run was launched before; the study file has 0",
    ]
    begun.refuse_changed(folder, prepare(study, overrides), None)


def test_options_come_first(study: Path) -> None:
    folder = begin(study, trials=5, seed=3)
    assert found(study, folder, Overrides(trials=4, seed=0)) == (Overrides(trials=4, seed=0), [])
    with pytest.raises(UserError, match="differs in seed: 3 → 0"):
        pipeline.check(study, folder.root.parent, [], print, print, print, Overrides(seed=0))


def test_a_part_of_the_trials_is_no_extension(study: Path) -> None:
    assert found(study, begin(study, trials=2)) == (Overrides(), [])


@pytest.mark.parametrize(("before", "after"), [("trials: 4", "trials: 3"), ("seed: 0", "seed: 7")])
def test_an_edited_file_counts(before: str, after: str, study: Path) -> None:
    folder = begin(study, trials=5, seed=3)
    study.write_text(STUDY.replace(before, after))
    assert getattr(found(study, folder)[0], before.partition(":")[0]) is None


def test_the_status_says_how_to_go_on(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = begin(study, trials=5)
    monkeypatch.setattr(sys, "argv", ["hpsearch", "status", str(folder.root)])
    with pytest.raises(SystemExit):
        main()
    command = f"hpsearch launch '{study}' --runs {folder.root.parent}"
    assert capsys.readouterr().out.splitlines()[-1] == f"go on with: {command}"
    study.unlink()
    assert relaunch.again(folder.root) == "launch its study again to go on"


def test_a_failed_check_names_the_command(study: Path) -> None:
    asked = Launch(study, "runs", Overrides(trials=5))
    assert asked.check_command(Path("runs/s")).endswith(f"check '{study}' --runs runs --trials 5")


@pytest.mark.slow
def test_what_messages_propose_goes_on(study: Path, tmp_path: Path) -> None:
    """From another folder, until the run is finished."""
    study.write_text(STUDY.replace("epochs: 3", "epochs: 300"))  # more than the time allows
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    program = str(Path(sys.executable).with_name("hpsearch"))
    runs = ["--runs", str(tmp_path / "my runs")]
    first = [
        program,
        "launch",
        str(study),
        "--trials",
        "5",
        "--seed",
        "3",
        "--timeout",
        "1s",
        "--skip-checks",
        *runs,
    ]
    environment = os.environ | {"PATH": "/usr/bin:/bin"}  # `hpsearch` alone is not found

    def run(command: list[str] | str) -> str:
        words = ["sh", "-c", command] if isinstance(command, str) else command
        done = subprocess.run(words, cwd=elsewhere, capture_output=True, text=True, env=environment)
        assert done.returncode in (0, 1), done.stdout + done.stderr  # 1: no trial ended in the time
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    run(first)
    root = tmp_path / "my runs" / "s"
    said = run([program, "status", str(root)])
    command = re.findall(r"go on with: (.*)", said)[-1]
    said = run(command)
    assert open_run(root).status()["finished"]
    assert (open_run(root).study.search.trials, open_run(root).study.seed) == (5, 3)
    predict = re.findall(r"^ *(\S*hpsearch predict .*)$", said, re.MULTILINE)[-1]
    from sklearn.datasets import load_iris

    load_iris(as_frame=True).frame.to_csv(elsewhere / "INPUT.csv", index=False)
    run(predict.replace("INPUT", "INPUT.csv"))
    assert len((elsewhere / "FILE.csv").read_text().splitlines()) == 151
    for ending in ([], ["--trials", "6"]):  # a finished run, as it is and longer
        run([program, "launch", str(study), *ending, *runs])
        assert open_run(root).status()["finished"]
    assert "is finished" in run([program, "launch", str(study), *runs])
