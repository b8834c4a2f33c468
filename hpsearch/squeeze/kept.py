"""The nets behind a run's results on disk: `nets/ensemble.safetensors`, `student`, `best`.

Each file has what `summary.json` says of them beside the nets themselves, so that scores and nets are always of
one launch, whatever came after.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hpsearch.errors import DamagedError, UserError
from hpsearch.files import finite
from hpsearch.folder import Folder
from hpsearch.pack import checkpoint
from hpsearch.pack.checkpoint import RowState
from hpsearch.prepared import Prepared
from hpsearch.squeeze.team import Made, Team

WHAT = ("ensemble", "student", "best")


def keep(folder: Folder, what: str, team: Team, told: Mapping[str, Any]) -> None:
    """Writes a team, and what is told of it, with its `members`."""
    made = team.made
    assert made is not None
    # a member may be in a team twice, at two epochs: rows are told apart by their place
    rows = [RowState(replace(row.record, trial=n, fold=None), row.tensors) for n, row in enumerate(made.rows)]
    about = {
        "weights": list(team.weights),
        "temperature": team.temperature,
        "on": made.on,
        "averages": list(made.averages),
        "told": finite(dict(told)),
    }
    folder.nets(what).parent.mkdir(exist_ok=True)
    checkpoint.store(folder.nets(what), rows, about)


def kept(folder: Folder, prepared: Prepared, what: str) -> tuple[Team, dict[str, Any]]:
    """The team, and what was told of it, with its `members`.

    Raises:
        UserError: its file is gone or damaged.
    """
    path = folder.nets(what)
    try:
        rows, about = checkpoint.load(path), checkpoint.head(path).about
    except (FileNotFoundError, DamagedError) as error:
        why = error if isinstance(error, DamagedError) else f"{path}: is gone"
        raise UserError(f"{why}; launching its study again makes it anew") from None
    made = Made(tuple(rows), about["on"], tuple(about["averages"]))
    return Team(made.nets(prepared), about["weights"], about["temperature"], made), about["told"]
