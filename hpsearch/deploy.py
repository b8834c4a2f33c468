"""What to deploy of a finished run, in a sentence, and the command that writes it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.commands import proposed
from hpsearch.storage import CACHE

Summary = Mapping[str, Any]  # summary.json


@dataclass(frozen=True)
class Advice:
    """`what` is ensemble or best. `commands` write what is not in `export/`; there may be none."""

    what: str
    why: str
    commands: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        return [self.why, *self.commands]


def advise(summary: Summary, root: Path) -> Advice:
    """Give what to deploy: the ensemble where its gain is shown to be above zero, else the best trial.

    The gain is cross-fitted. `root` is the run folder.
    """
    proven, finding = _finding(summary["ensemble"])
    what = "ensemble" if proven else "best"
    if summary["no_export"]:
        own = summary["best"].get("kind") is None  # trained by a function of the user's own
        told = _by_hand(summary, root, what) if own else f"Nothing can be exported: {summary['no_export']}"
        return Advice(what, f"{finding[0].upper()}{finding[1:]}. {told}")
    why, commands = _exported(summary, root, proven, finding)
    if _student_is_no_worse(summary, what):
        share = summary["student"]["share"]
        told = "the ensemble" if what == "ensemble" else "the best trial"
        why += f". The student, {share:.0%} of the best trial's size, scores no worse than {told} on validation"
        commands.append(export_command(summary, root, "student"))
    return Advice(what, why, tuple(commands))


def _exported(summary: Summary, root: Path, proven: bool, finding: str) -> tuple[str, list[str]]:
    """What to deploy of nets that can be exported, and the command for what `export/` has not."""
    if proven or _is_best_alone(summary):
        said = finding if proven else "the ensemble is the best trial alone"
        return f"Deploy {root / 'export'}: {said}", []
    count = len(summary["ensemble"]["members"])
    nets = "" if count == 1 else f", one net in place of {count}"
    refitted = "; it is not refitted, as the ensemble is" if "before_refit" in summary["ensemble"] else ""
    return f"Deploy the best trial{nets}: {finding}{refitted}", [export_command(summary, root, "best")]


def export_command(summary: Summary, root: Path, what: str) -> str:
    """Give the command that writes the export of a result beside the run folder."""
    beside = Path() if root.resolve().is_relative_to(CACHE.resolve()) else root.resolve().parent
    place = next(
        p for p in _places(beside, f"{summary['study']}-{what}-export") if not p.exists() or _is_export(p)
    )
    return proposed("export", root, to=place, what=what)


def _places(folder: Path, name: str) -> Sequence[Path]:
    return [folder / name, *(folder / f"{name}-{number}" for number in range(2, 1000))]


def _is_export(path: Path) -> bool:
    return (path / "manifest.json").is_file()


def _finding(ensemble: Mapping[str, Any] | None) -> tuple[bool, str]:
    """Whether the ensemble is shown to be better than the best trial, and what is known of it."""
    if ensemble is None:
        return False, "there is no ensemble"
    gain = ensemble["gain"]
    value, low, high = (gain[name] for name in ("value", "low", "high"))
    if any(number is None or math.isnan(number) for number in (value, low, high)):
        return False, "too few validation rows say whether the ensemble is better"
    if low > 0:
        return True, "the gain of the ensemble over the best trial is above zero"
    if high < 0:
        return False, "the gain of the ensemble over the best trial is below zero"
    if value > 0:
        told = "the gain of the ensemble over the best trial is not shown to be above zero"
        return False, f"{told}, since its interval holds zero"
    return False, "the gain of the ensemble over the best trial is not above zero"


def _is_best_alone(summary: Summary) -> bool:
    members, best = summary["ensemble"]["members"], summary["best"]
    return len(members) == 1 and all(best.get(name) == value for name, value in members[0].items())


def _student_is_no_worse(summary: Summary, what: str) -> bool:
    """By the validation part, which did not choose the student; in cross-validation its teacher has seen that."""
    student, metric = summary["student"], summary["metric"]
    if student is None or summary["folds"] is not None or student.get("share", 1) >= 1:
        return False
    values = [entry["validation"].get(metric) for entry in (student, summary[what])]
    if any(value is None for value in values):
        return False
    return bool(values[0] >= values[1] if summary["direction"] == "maximize" else values[0] <= values[1])


def _by_hand(summary: Summary, root: Path, what: str) -> str:
    """What can be deployed of a training function of the user's own, whose models are its own."""
    if what == "ensemble":
        trials = [member["trial"] for member in summary["ensemble"]["members"]]
        weights = ", ".join(f"{weight:.3g}" for weight in summary["ensemble"]["weights"])
        told = (
            f"Deploy the models of trials {', '.join(map(str, trials))}, their predictions averaged by {weights}"
        )
    else:
        trials = [summary["best"]["trial"]]
        told = f"Deploy the model of trial {trials[0]}"
    folders = [root / "trials" / f"{trial:05d}" for trial in trials]
    empty = [trial for trial, path in zip(trials, folders, strict=True) if not _has_files(path)]
    if not empty:
        return f"{told}: what your function stored is in {', '.join(map(str, folders))}"
    again = ", ".join(map(str, empty))
    return (
        f"{told}. Your function stored nothing in trial.folder of {again}: train it once more, with the params "
        f"that {root / 'trials.csv'} has"
    )


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
