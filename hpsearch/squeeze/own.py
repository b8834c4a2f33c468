"""Results of a study with a training function of its own: the best trial, and an ensemble of predictions."""

from collections.abc import Sequence
from typing import Any

from hpsearch.errors import DamagedError, RunError
from hpsearch.files import finite, write_json
from hpsearch.folder import Folder
from hpsearch.intervals import score
from hpsearch.metrics import METRICS
from hpsearch.pack import checkpoint
from hpsearch.prepared import Prepared
from hpsearch.search import standing
from hpsearch.search.progress import Reporter
from hpsearch.search.shelf import Shelf
from hpsearch.squeeze.calibrate import together
from hpsearch.squeeze.candidates import Candidate
from hpsearch.squeeze.choose import choose
from hpsearch.squeeze.squeeze import Squeezed


def squeeze_own(folder: Folder, prepared: Prepared, rows: list[dict[str, Any]], report: Reporter) -> Squeezed:
    """The best trial by its reported value; where trials saved predictions of the study's data, their ensemble.

    The test part is scored once, after the choice.
    """
    arrays = prepared.arrays
    best = standing.ranked(rows, METRICS[arrays.metric].direction)[0]
    library = _candidates(folder, rows, prepared)
    result = Squeezed({"trial": best["number"], "validation": dict(best["outcome"]["scores"]), "test": None}, None)
    if METRICS[arrays.metric].take is None or not library:
        why = "no trial saved predictions" if not library else f"{arrays.metric} cannot be taken from predictions"
        report.note(f"no ensemble: {why}")
        return result
    ensemble, members = choose(library, prepared)
    own = [one for one in library if one.trial == best["number"]]
    if own:
        result.best |= _scores(own, [1.0], 1.0, prepared)
    result.ensemble = ensemble | _scores(members, ensemble["weights"], ensemble["temperature"], prepared)
    folder.ensemble.mkdir(exist_ok=True)
    write_json(folder.members, finite(result.ensemble))
    return result


def _candidates(folder: Folder, rows: Sequence[dict[str, Any]], prepared: Prepared) -> list[Candidate]:
    """The finished trials that saved predictions, best first."""
    best = standing.ranked(rows, METRICS[prepared.arrays.metric].direction)[: standing.MOST]
    try:
        place = Shelf.look(folder).rows()
        states = {
            row["number"]: checkpoint.load(folder.rows(place[row["number"]]), {row["number"]})[0]
            for row in best
            if row["number"] in place
        }
    except DamagedError as error:
        raise RunError(f"{error}; launch again: it is then set aside, and its trials are trained anew") from None
    return [
        Candidate(number, state.record.best_epoch or 0, (state,), prediction.numpy(), state.record.best)
        for number, state in states.items()
        if (prediction := state.tensors.get("best.prediction")) is not None
    ]


def _scores(
    members: Sequence[Candidate], weights: Sequence[float], temperature: float, prepared: Prepared
) -> dict[str, Any]:
    arrays, test = prepared.arrays, prepared.dataset.test
    predictions = {
        "validation": [member.prediction for member in members],
        "test": [member.states[0].tensors["test.prediction"].numpy() for member in members],
    }
    truth = {"validation": arrays.validation.y, "test": test.y}
    task = arrays.target.task
    return {
        part: score(together(found, weights, temperature, task), truth[part], task, arrays.metric)
        for part, found in predictions.items()
    }
