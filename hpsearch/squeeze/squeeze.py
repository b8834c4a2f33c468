"""From finished trials to results: the best, the ensemble, the student. The test part is scored last, and once."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from torch import nn

from hpsearch.errors import RunError
from hpsearch.files import finite, write_json
from hpsearch.folder import Folder
from hpsearch.prepared import Prepared
from hpsearch.search.progress import Reporter
from hpsearch.squeeze import distill
from hpsearch.squeeze.calibrate import together
from hpsearch.squeeze.candidates import Candidate, best_first, candidates, net_of, predict, score
from hpsearch.squeeze.evidence import weigh
from hpsearch.squeeze.library import Library
from hpsearch.squeeze.prolong import prolong


@dataclass(frozen=True)
class Team:
    """Nets that predict together. `temperature`: of their probabilities, which it makes less sure above 1."""

    nets: Sequence[nn.Module]
    weights: Sequence[float] = (1.0,)
    temperature: float = 1.0

    def predict(self, x: np.ndarray, prepared: Prepared) -> np.ndarray:
        """Log-probabilities [N, C] or values [N]."""
        target = prepared.arrays.target
        found = [predict(net, x, target) for net in self.nets]
        return together(found, self.weights, self.temperature, target.task)

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
    prolonged: list[dict[str, Any]] | None = None
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
    prolonged = None
    if prepared.study.squeeze.prolong is not None:
        report.stage("prolong")
        better, prolonged = prolong(folder, prepared, library, workers, report)
        library = best_first([*library, *better], arrays)
    best, (ensemble, members) = library[0], choose(library, prepared)
    result = Squeezed(best.named(), ensemble, prolonged=prolonged)
    result.teams["best"] = Team([net_of(best, prepared.net, arrays)])
    nets = [net_of(member, prepared.net, arrays) for member in members]
    result.teams["ensemble"] = Team(nets, ensemble["weights"], ensemble["temperature"])
    if prepared.study.squeeze.student is not None:
        report.stage("distil")
        team = result.teams["ensemble"]
        of = {"teacher": [ensemble["members"], ensemble["weights"], ensemble["temperature"]]}
        student, alone = distill.distil(
            folder, prepared, best.trial, lambda x: team.predict(x, prepared), of, workers, report
        )
        result.teams |= {
            name: Team([net_of(one, prepared.net, arrays)])
            for name, one in (("student", student), ("alone", alone))
        }
        size = sum(parameter.numel() for parameter in result.teams["student"].nets[0].parameters())
        result.student = {"trial": student.trial, "parameters": size, "alone": {"trial": alone.trial}}
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
    shares, evidence = weigh(Library(predictions, y, task, metric), size, prepared.study.seed)
    members = [library[place] for place in shares]
    described = {
        "members": [member.named() for member in members],
        "weights": list(shares.values()),
        **asdict(evidence),
    }
    return described, members
