"""The nets behind a run's results on disk: `nets/ensemble.safetensors`, `student`, `best`.

Each file has what `summary.json` says of them beside the nets themselves, so that scores and nets are always of
one launch, whatever came after.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from hpsearch.code import is_code
from hpsearch.errors import DamagedError, RunError, UserError
from hpsearch.files import finite
from hpsearch.folder import Folder
from hpsearch.pack import checkpoint
from hpsearch.pack.checkpoint import RowState
from hpsearch.pack.rebuild import rebuild_failure
from hpsearch.prepared import Prepared
from hpsearch.squeeze.team import Made, Team, trained_on

WHAT = ("ensemble", "student", "best")


def keep(folder: Folder, what: str, team: Team, told: Mapping[str, Any]) -> None:
    """Writes a team, and what is told of it, with its `members`."""
    made = team.made
    assert made is not None
    # a member may be in a team twice, at two epochs: rows are told apart by their place
    rows = [RowState(replace(row.record, trial=n, fold=None), _kept(row)) for n, row in enumerate(made.rows)]
    about = {
        "weights": list(team.weights),
        "temperature": team.temperature,
        "on": made.on,
        "averages": list(made.averages),
        "told": finite(dict(told)),
    }
    folder.nets(what).parent.mkdir(exist_ok=True)
    checkpoint.store(folder.nets(what), rows, about)


def _kept(row: RowState) -> dict[str, Tensor]:
    """A row's tensors; without its prediction where that is of a fold, which the file does not know."""
    of_fold = row.record.fold is not None
    return {name: tensor for name, tensor in row.tensors.items() if not (of_fold and name == "best.prediction")}


def kept(folder: Folder, prepared: Prepared, what: str) -> tuple[Team, dict[str, Any]]:
    """The team, and what was told of it, with its `members`.

    Raises:
        UserError: its file is gone or damaged.
        RunError: a net of the user's, built here, does not reproduce its validation predictions.
    """
    path = folder.nets(what)
    try:
        rows, about = checkpoint.load(path), checkpoint.head(path).about
    except (FileNotFoundError, DamagedError) as error:
        why = error if isinstance(error, DamagedError) else f"{path}: is gone"
        raise UserError(f"{why}; launching its study again makes it anew") from None
    made = Made(tuple(rows), about["on"], tuple(about["averages"]))
    if is_code(prepared.net.name):
        _require_rebuilt(made, prepared, what)
    return Team(made.nets(prepared), about["weights"], about["temperature"], made), about["told"]


def _require_rebuilt(made: Made, prepared: Prepared, what: str) -> None:
    """Hold each net against the validation predictions that are stored with it."""
    factory, arrays = prepared.net.factory(), trained_on(prepared, made.on)
    for row in made.rows:
        reason = rebuild_failure(factory, row, arrays) if "best.prediction" in row.tensors else None
        if reason is not None:
            raise RunError(f"the {what} cannot be exported: {reason}")
