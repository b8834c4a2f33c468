"""What to deploy of a run: a sentence, and commands that work as they stand."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from hpsearch.deploy import Advice, advise
from hpsearch.terminal import _closing_lines as closing_lines


def net(trial: int, **more: Any) -> dict[str, Any]:
    return {"trial": trial, "kind": "best", "epoch": 3, **more}


def summary(value: float | None, low: float | None, high: float | None, **more: Any) -> dict[str, Any]:
    """A finished run whose ensemble of two nets has this gain."""
    gain = {"value": value, "low": low, "high": high, "naive": 0.1}
    best = net(4, validation={"accuracy": 0.90}, test={"accuracy": 0.9})
    ensemble = {
        "gain": gain, "members": [net(4), net(1)], "weights": [0.75, 0.25],
        "validation": {"accuracy": 0.92}, "test": {"accuracy": 0.9},
    }  # fmt: skip
    return {
        "study": "s", "metric": "accuracy", "direction": "maximize", "best": best, "ensemble": ensemble,
        "student": None, "folds": None, "no_export": None, "prolonged": None, "again": None,
        "trials": {"complete": 5, "pruned": 0, "failed": 0, "waiting": 0}, "seconds": {"total": 1.0}, **more,
    }  # fmt: skip


def advice(*gain: float | None, root: Path = Path("runs/s"), **more: Any) -> Advice:
    return advise(summary(*gain, **more), root)


@pytest.mark.parametrize(
    ("gain", "what", "why"),
    [
        (
            (0.02, 0.01, 0.03),
            "ensemble",
            "Deploy runs/s/export: the gain of the ensemble over the best trial is above",
        ),
        ((0.02, -0.01, 0.03), "best", "is not shown to be above zero, since its interval holds zero"),
        ((0.02, 0.0, 0.03), "best", "is not shown to be above zero"),
        ((0.0, 0.0, 0.0), "best", "the gain of the ensemble over the best trial is not above zero"),
        ((-0.01, -0.02, 0.03), "best", "the gain of the ensemble over the best trial is not above zero"),
        ((-0.02, -0.03, -0.01), "best", "the gain of the ensemble over the best trial is below zero"),
        ((None, None, None), "best", "too few validation rows say whether the ensemble is better"),
    ],
)
def test_the_gain_decides_what_to_deploy(gain: Any, what: str, why: str) -> None:
    found = advice(*gain)
    assert found.what == what
    assert why in found.why
    if what == "ensemble":
        assert found.commands == ()  # it is in export/ already
    else:
        assert found.why.startswith("Deploy the best trial, one net in place of 2: ")
        place = Path("runs").resolve() / "s-best-export"
        assert len(found.commands) == 1
        assert shlex.split(found.commands[0])[-6:] == [
            "export", "runs/s", "--to", str(place), "--what", "best"
        ]  # fmt: skip


def test_an_ensemble_that_is_the_best_trial_is_exported_already() -> None:
    given = summary(0.0, 0.0, 0.0)
    given["ensemble"]["members"] = [net(4)]
    assert advise(given, Path("r")) == Advice("best", "Deploy r/export: the ensemble is the best trial alone", ())
    given["ensemble"]["members"] = [net(4, epoch=2)]
    assert advise(given, Path("r")).commands


def test_a_refitted_ensemble_is_told_apart() -> None:
    given = summary(0.0, 0.0, 0.0)
    given["ensemble"]["before_refit"] = {}
    assert advise(given, Path("r")).why.endswith("it is not refitted, as the ensemble is")


@pytest.mark.parametrize(
    ("accuracy", "share", "folds", "gain", "said"),
    [
        (0.91, 0.25, None, 0.0, "The student, 25% of the best trial's size, scores no worse than the best trial"),
        (0.90, 0.25, None, 0.0, "scores no worse than the best trial on validation"),
        (0.91, 0.25, None, 0.1, None),  # below the ensemble
        (0.95, 0.25, None, 0.1, "scores no worse than the ensemble on validation"),
        (0.89, 0.25, None, 0.0, None),
        (0.95, 1.0, None, 0.0, None),
        (0.95, 0.25, 5, 0.0, None),  # its teacher has seen the validation part
    ],
)
def test_a_student_is_named_where_it_is_no_worse(
    accuracy: float, share: float, folds: int | None, gain: float, said: str | None
) -> None:
    scores = {"accuracy": accuracy}
    student = net(2, share=share, validation=scores, test=scores, alone={"validation": scores, "test": scores})
    found = advice(gain, gain, gain, student=student, folds=folds)
    assert (said in found.why) if said else ("student" not in found.why)
    assert any("--what student" in command for command in found.commands) == (said is not None)


def test_commands_are_words_of_a_shell(tmp_path: Path) -> None:
    root = tmp_path / "my runs; rm -rf $HOME" / "s"
    root.mkdir(parents=True)
    (command,) = advice(0.0, 0.0, 0.0, root=root).commands
    assert shlex.split(command)[-6:] == [
        "export", str(root), "--to", str(root.parent / "s-best-export"), "--what", "best"
    ]  # fmt: skip
    (command,) = advice(0.0, 0.0, 0.0, root=Path("-runs/s")).commands
    assert "export ./-runs/s --to " in command


def test_no_other_folder_is_proposed_to_write_to(tmp_path: Path) -> None:
    (tmp_path / "s-best-export").mkdir()
    (tmp_path / "s-best-export" / "mine.txt").write_text("mine")
    (tmp_path / "s-best-export-2").mkdir()
    (tmp_path / "s-best-export-2" / "manifest.json").write_text("{}")  # an export is replaced
    (command,) = advice(0.0, 0.0, 0.0, root=tmp_path / "s").commands
    assert f"--to {tmp_path}/s-best-export-2 " in command


def test_a_run_of_a_store_is_exported_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpsearch.deploy.CACHE", tmp_path)
    (command,) = advice(0.0, 0.0, 0.0, root=tmp_path / "0123" / "s").commands
    assert command.endswith("--to s-best-export --what best")


OWN = "a training function of your own has no net to export"


def test_what_a_training_function_stored_is_deployed_by_hand(tmp_path: Path) -> None:
    best = {"trial": 4, "validation": {"accuracy": 0.9}, "test": None}
    found = advise(summary(None, None, None, best=best, ensemble=None, no_export=OWN), tmp_path)
    assert found.commands == ()
    assert found.why.startswith(
        "There is no ensemble. Deploy the model of trial 4. Your function stored nothing in"
    )
    assert f"with the params that {tmp_path / 'trials.csv'} has" in found.why
    for trial in (1, 4):
        (tmp_path / "trials" / f"{trial:05d}").mkdir(parents=True)
        (tmp_path / "trials" / f"{trial:05d}" / "model.pt").write_text("weights")
    found = advise(summary(None, None, None, best=best, ensemble=None, no_export=OWN), tmp_path)
    assert found.why.endswith(f"what your function stored is in {tmp_path}/trials/00004")
    found = advise(summary(0.1, 0.05, 0.2, best=best, no_export=OWN), tmp_path)
    assert "Deploy the models of trials 4, 1, their predictions averaged by 0.75, 0.25" in found.why
    assert f"{tmp_path}/trials/00004, {tmp_path}/trials/00001" in found.why


def test_a_net_without_a_form_to_export_is_told(tmp_path: Path) -> None:
    found = advice(0.0, 0.0, 0.0, no_export="the net has no ONNX form", root=tmp_path)
    assert found.commands == ()
    assert found.why.endswith("Nothing can be exported: the net has no ONNX form")


def test_the_launch_ends_with_the_advice() -> None:
    lines = closing_lines(summary(0.0, 0.0, 0.0), Path("runs/s"))
    at = next(place for place, line in enumerate(lines) if line.startswith("Deploy the best trial"))
    assert "export runs/s --to " in lines[at + 1]
