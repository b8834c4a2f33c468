"""From finished trials to results: the best, the ensemble, the student. The test part is scored last, and once."""

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from torch import nn

from hpsearch.errors import DamagedError, RunError
from hpsearch.files import finite, read_json, write_json
from hpsearch.folder import Folder
from hpsearch.prepared import Prepared
from hpsearch.search import ledger, runner
from hpsearch.search.job import Job
from hpsearch.search.progress import Reporter
from hpsearch.squeeze import distill
from hpsearch.squeeze.candidates import Candidate, candidates, net_of, predict, score
from hpsearch.squeeze.ensemble import combine, gain, greedy, weights_of


@dataclass(frozen=True)
class Team:
    """Nets that predict together."""

    nets: Sequence[nn.Module]
    weights: Sequence[float] = (1.0,)

    def predict(self, x: np.ndarray, prepared: Prepared) -> np.ndarray:
        """Log-probabilities [N, C] or values [N]."""
        target = prepared.arrays.target
        return combine([predict(net, x, target) for net in self.nets], self.weights, target.task)

    def scores(self, prepared: Prepared) -> dict[str, dict[str, float]]:
        """The study's metric, and log loss or rmse, on validation and test."""
        arrays = prepared.arrays
        parts = {"validation": arrays.validation, "test": prepared.dataset.test}
        return {
            name: score(self.predict(part.x, prepared), part.y, arrays.target, arrays.metric)
            for name, part in parts.items()
        }


@dataclass
class Squeezed:
    """The results as `summary.json` has them, and the nets behind them."""

    best: dict[str, Any]
    ensemble: dict[str, Any] | None
    student: dict[str, Any] | None = None
    teams: dict[str, Team] = field(default_factory=dict)


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
    raise RunError("no trial finished in the time given; launch again to go on")


def squeeze(
    folder: Folder, prepared: Prepared, rows: list[dict[str, Any]], workers: int, report: Reporter
) -> Squeezed:
    """Ensembles the best of the finished trials and distils them.

    All choices are made before the test part is scored.
    """
    arrays = prepared.arrays
    library = candidates(folder, rows, arrays)
    best, (ensemble, members) = library[0], choose(library, prepared)
    result = Squeezed({"trial": best.trial}, ensemble)
    result.teams["best"] = Team([net_of(best, prepared.net, arrays)])
    nets = [net_of(member, prepared.net, arrays) for member in members]
    result.teams["ensemble"] = Team(nets, ensemble["weights"])
    if prepared.study.squeeze.student is not None:
        report.stage("distil")
        _distil(folder.student, prepared, best, result, ensemble, workers, report)
    result.best |= result.teams["best"].scores(prepared)
    ensemble |= result.teams["ensemble"].scores(prepared)
    if result.student is not None:
        result.student |= result.teams["student"].scores(prepared)
        result.student["alone"] |= result.teams["alone"].scores(prepared)
    write_json(folder.members, finite(ensemble))
    return result


def choose(library: Sequence[Candidate], prepared: Prepared) -> tuple[dict[str, Any], list[Candidate]]:
    """The ensemble's members among the candidates, by the validation part alone, and what is said of them."""
    arrays, size = prepared.arrays, prepared.study.squeeze.ensemble
    task, metric, y = arrays.target.task, arrays.metric, arrays.validation.y
    predictions = np.stack([candidate.prediction for candidate in library])
    shares = weights_of(greedy(predictions, y, task, metric, size))
    members = [library[place] for place in shares]
    won = gain(predictions, y, task, metric, size, prepared.study.seed)
    described = {
        "members": [member.named() for member in members],
        "weights": list(shares.values()),
        "gain": asdict(won),
    }
    return described, members


def _distil(
    folder: Folder,
    prepared: Prepared,
    best: Candidate,
    result: Squeezed,
    ensemble: Mapping[str, Any],
    workers: int,
    report: Reporter,
) -> None:
    """Trains students and their twins without a teacher, and picks the best of each on validation."""
    study = prepared.study
    assert study.squeeze.student is not None
    count, params = study.squeeze.student.trials, best.state.record.params
    space = distill.student_space(prepared.space, params)
    draws = [space.complete(draw) for draw in distill.student_draws(space, params, count)]
    teacher = result.teams["ensemble"].predict(prepared.arrays.train.x, prepared)
    arrays = distill.taught(prepared.arrays, teacher)
    job = Job(
        name=f"{study.name}-student", folder=folder, seed=space.seed, net=prepared.net,
        entries=distill.entries(draws), params=draws, structural=space.structural(), arrays=arrays,
        workers=workers, gpus=prepared.gpus, evaluate=study.search.evaluate, metric=prepared.metric,
        **{**prepared.care, "budget_bytes": math.inf},
    )  # fmt: skip
    _begin_anew_if_changed(folder, {"draws": draws, "teacher": [ensemble["members"], ensemble["weights"]]})
    report.note(f"distil: {count} students of the ensemble, and {count} of the same nets without a teacher")
    runner.run(job, None, report)
    rows = ledger.read(folder.ledger, job.name)
    found = {}
    for what, numbers in {"student": range(count), "alone": range(count, 2 * count)}.items():
        ranked = candidates(folder, [row for row in rows if row["number"] in numbers], arrays)
        if not ranked:
            raise RunError(f"no {what} finished; see {folder.root}/logs")
        result.teams[what] = Team([net_of(ranked[0], prepared.net, arrays)])
        found[what] = ranked[0].trial
    size = sum(parameter.numel() for parameter in result.teams["student"].nets[0].parameters())
    result.student = {"trial": found["student"], "parameters": size, "alone": {"trial": found["alone"]}}


def _begin_anew_if_changed(folder: Folder, of: dict[str, Any]) -> None:
    """Removes a search for students of another teacher or structure: the study went on since."""
    of = json.loads(json.dumps(of))
    try:
        same = read_json(folder.origin) == of
    except (FileNotFoundError, DamagedError):
        same = False
    if not same:
        shutil.rmtree(folder.root, ignore_errors=True)
        folder.create()
        write_json(folder.origin, of)
