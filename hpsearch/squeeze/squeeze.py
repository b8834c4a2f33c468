"""From finished trials to results: the best, the ensemble, the student. The test part is scored last, and once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import nn

from hpsearch.data.dataset import Arrays
from hpsearch.errors import RunError
from hpsearch.files import finite, write_json
from hpsearch.folder import Folder
from hpsearch.metrics import METRICS
from hpsearch.prepared import Prepared
from hpsearch.search.progress import Reporter
from hpsearch.squeeze import calibrate, distill
from hpsearch.squeeze.again import again, luck
from hpsearch.squeeze.candidates import Candidate, best_first, candidates, predict
from hpsearch.squeeze.further import NoneFinishedError
from hpsearch.squeeze.kept import keep
from hpsearch.squeeze.prolong import prolong
from hpsearch.squeeze.rebuilt import choose_rebuilt
from hpsearch.squeeze.refit import refit
from hpsearch.squeeze.soup import ladle
from hpsearch.squeeze.team import Judged, team_of


@dataclass
class Squeezed:
    """The results as `summary.json` has them, and the nets behind them."""

    best: dict[str, Any]
    ensemble: dict[str, Any] | None
    student: dict[str, Any] | None = None
    prolonged: list[dict[str, Any]] | None = None
    again: dict[str, Any] | None = None
    teams: dict[str, Judged] = field(default_factory=dict)


def require_finished(rows: Sequence[dict[str, Any]]) -> None:
    """A search without a finished trial has nothing to squeeze.

    Raises:
        RunError: with the reason.
    """
    if any(row["state"] == "complete" for row in rows):
        return
    failures = [row["outcome"]["failure"] for row in rows if row["state"] == "failed"]
    if failures:
        raise RunError(f"all {len(failures)} trials that ended have failed; the first: {failures[0]}")
    raise RunError("no trial finished in the time given. Launch again, with a longer --timeout, to go on")


def squeeze(
    folder: Folder, prepared: Prepared, rows: list[dict[str, Any]], workers: int, report: Reporter
) -> Squeezed:
    """Prolongs and ensembles the best of the finished trials, distils them, and runs them again.

    All choices are made before the test part is scored.
    """
    squeezing = prepared.study.squeeze
    library, prolonged = candidates(folder, rows, prepared.searched), None
    if squeezing.prolong is not None:
        report.stage("prolong")
        better, prolonged = prolong(folder, prepared, rows, library, workers, report)
        library = best_first([*library, *better], prepared.searched)
    ensemble, members, library = choose_rebuilt(library, prepared, report)
    result = Squeezed(library[0].named(), ensemble, prolonged=prolonged)
    result.teams["best"] = team_of(library[:1], prepared)
    sure = _temperature(library[0], prepared.searched)
    result.best["calibrated"] = {"temperature": sure}
    result.teams["best, calibrated"] = team_of(library[:1], prepared, temperature=sure)
    result.teams["ensemble"] = team_of(members, prepared, ensemble["weights"], ensemble["temperature"])
    result.teams["uncalibrated"] = team_of(members, prepared, ensemble["weights"])
    result.teams["top"] = team_of(library[: squeezing.ensemble], prepared)
    _soup(library, prepared, result)
    if squeezing.student is not None:
        report.stage("distil")
        _distil(folder, prepared, result, workers, report)
    if squeezing.seeds is not None:
        report.stage("again")
        _again(folder, prepared, library[0], members, library, result, workers, report)
    if squeezing.refit:
        report.stage("refit")
        _refit(folder, prepared, members, result, workers, report)
    _score(result, prepared)
    _keep(folder, result)
    return result


def _keep(folder: Folder, result: Squeezed) -> None:
    assert result.ensemble is not None
    for what, told in (("best", result.best), ("student", result.student)):
        if told is not None:
            member = {name: told[name] for name in ("trial", "kind", "epoch", "schedule") if name in told}
            keep(folder, what, result.teams[what], {**told, "members": [member]})
    keep(folder, "ensemble", result.teams["ensemble"], result.ensemble)
    write_json(folder.members, finite(result.ensemble))


def _temperature(one: Candidate, arrays: Arrays) -> float:
    """Of a single net, by the validation part."""
    return calibrate.temperature(one.prediction, arrays.validation.y) if arrays.target.classes else 1.0


def _soup(library: Sequence[Candidate], prepared: Prepared, result: Squeezed) -> None:
    """Adds the mean of the weights of a trial's snapshots, where a trial has some."""
    assert result.ensemble is not None
    arrays = prepared.arrays
    found = ladle(library, prepared.net, arrays)
    result.ensemble["soup"] = None if found is None else {"trial": found[0].trial}
    if found is not None:
        judged = predict(found[1], arrays.validation.x, arrays.target)
        result.teams["soup"] = Judged([found[1]], [1.0], 1.0, None, judged, arrays.validation.y)


def _distil(folder: Folder, prepared: Prepared, result: Squeezed, workers: int, report: Reporter) -> None:
    """Adds the student, and its net without a teacher, where they finish."""
    team, ensemble = result.teams["ensemble"], result.ensemble
    assert ensemble is not None
    said = hashlib.sha256(np.ascontiguousarray(team.judged).tobytes()).hexdigest()  # by nets of these names
    of = {"teacher": [ensemble["members"], ensemble["weights"], ensemble["temperature"]], "said": said}
    try:
        student, alone = distill.distil(
            folder, prepared, result.best["trial"], lambda x: team.predict(x, prepared), of, workers, report
        )
    except NoneFinishedError as error:
        report.note(f"there is no student: {error}")
        return
    arrays, told = prepared.arrays, {}
    for name, one in (("student", student), ("alone", alone)):
        temperature = _temperature(one, arrays)
        result.teams[name] = team_of([one], prepared, temperature=temperature, on="train")
        told[name] = {**one.named(), "temperature": temperature}
    size = {name: _size(result.teams[name].nets[0]) for name in ("student", "best")}
    most = prepared.study.squeeze.student
    share = size["student"] / size["best"]
    if most is not None and share > most.size:
        report.note(
            f"the student has {share:.0%} of the best trial's parameters, not {most.size:.0%}: see docs/squeeze.md"
        )
    result.student = {
        **told["student"], "parameters": size["student"], "share": share,
        "alone": told["alone"],
    }  # fmt: skip


def _size(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def _again(
    folder: Folder,
    prepared: Prepared,
    best: Candidate,
    members: Sequence[Candidate],
    library: Sequence[Candidate],
    result: Squeezed,
    workers: int,
    report: Reporter,
) -> None:
    """Adds the best trial and the ensemble as the search trained them, and with new seeds."""
    assert result.ensemble is not None
    weights, temperature = result.ensemble["weights"], result.ensemble["temperature"]
    plain = {one.trial: one for one in library[::-1] if one.kind not in ("snapshot", "prolonged")}
    trials = list(dict.fromkeys(one.trial for one in (best, *members)))
    anew = again(folder, prepared, trials, workers, report)
    result.again = {}
    for name, own, shares, t in (("best", [best], [1.0], 1.0), ("ensemble", members, weights, temperature)):
        whole = [found for found in (plain, *anew) if all(one.trial in found for one in own)]
        for seed, found in enumerate(whole):
            result.teams[f"{name} again {seed}"] = team_of([found[one.trial] for one in own], prepared, shares, t)
        result.again[name] = {"seeds": len(whole) - 1}


def _refit(
    folder: Folder,
    prepared: Prepared,
    members: Sequence[Candidate],
    result: Squeezed,
    workers: int,
    report: Reporter,
) -> None:
    """Puts the members' refits in the place of the ensemble, which stays as it was before for comparison.

    Where a refit failed, the ensemble stays.
    """
    before = result.teams["ensemble"]
    assert result.ensemble is not None
    try:
        made = refit(folder, prepared, members, workers, report)
    except NoneFinishedError as error:
        report.note(f"the ensemble stays as it was chosen: {error}")
        return
    result.teams["before refit"] = before
    result.teams["ensemble"] = replace(
        before, nets=made.nets(prepared), weights=result.ensemble["weights"], made=made
    )


def _score(result: Squeezed, prepared: Prepared) -> None:
    """Scores every team on validation and test: the one time that the test part is looked at."""
    scores = {name: team.scores(prepared) for name, team in result.teams.items()}
    assert result.ensemble is not None
    result.best |= scores["best"]
    result.best["calibrated"] |= scores["best, calibrated"]
    result.ensemble |= scores["ensemble"]
    result.ensemble |= {name: scores[name] for name in ("uncalibrated", "top")}
    if "before refit" in result.teams:
        result.ensemble["before_refit"] = scores["before refit"]
    if "soup" in result.teams:
        result.ensemble["soup"] |= scores["soup"]
    if result.student is not None:
        result.student |= scores["student"]
        result.student["alone"] |= scores["alone"]
    metric, sign = prepared.arrays.metric, METRICS[prepared.arrays.metric].sign
    for name, told in (result.again or {}).items():
        won, *anew = [scores[f"{name} again {seed}"] for seed in range(told["seeds"] + 1)]
        told |= {
            part: luck(won[part][metric], [one[part][metric] for one in anew], sign)
            for part in ("validation", "test")
        }
