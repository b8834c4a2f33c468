"""The winners once more, on the training and the validation part together: more data for what is kept.

Each trains with its own params to the epoch at which it was best. Nothing is chosen here, and nothing is left to
choose by: what the ensemble scores on validation is what it scored before.
"""

from collections.abc import Sequence

from hpsearch.folder import Folder
from hpsearch.pack.checkpoint import RowState
from hpsearch.prepared import Prepared
from hpsearch.search.progress import Reporter
from hpsearch.squeeze import further
from hpsearch.squeeze.candidates import Candidate, candidates
from hpsearch.squeeze.further import NoneFinishedError
from hpsearch.squeeze.team import Made, trained_on

_NEVER = 10**9  # but after the last epoch: the validation part has been seen, and is no judge


def refit(
    folder: Folder, prepared: Prepared, members: Sequence[Candidate], workers: int, report: Reporter
) -> Made:
    """The members' nets anew, in their order.

    Raises:
        NoneFinishedError: one of them failed.
    """
    report.note(f"refit: the {len(members)} members again, on training and validation together")
    params = [
        {**prepared.params(one.trial), "stop": one.epoch, "patience": 0, "train_share": 1.0}
        | ({} if _is_average(one) else {"average": "none"})
        for one in members
    ]
    of, arrays = {"members": [one.named() for one in members]}, trained_on(prepared, "all")
    rows = further.train(folder.refit, prepared, "refit", params, arrays, workers, report, of, evaluate=_NEVER)
    ended = candidates(folder.refit, rows, arrays, with_snapshots=False, whole=True)
    states = {one.trial: one.states[0] for one in ended}
    failed = [one.trial for n, one in enumerate(members) if n not in states]
    if failed:
        raise NoneFinishedError(f"the refit of trial {failed[0]} failed; see {folder.refit.root}/logs")
    averages = tuple(_is_average(one) for one in members)
    found = [_at_the_end(states[n], "average." if mean else "") for n, mean in enumerate(averages)]
    return Made(tuple(found), "all", averages)


def _is_average(member: Candidate) -> bool:
    """Whether it has averaged weights; of a cross-validated trial, whether most of its rows have."""
    kinds = [state.record.best_kind for state in member.states]
    return member.kind != "snapshot" and 2 * kinds.count("average") > len(kinds)


def _at_the_end(state: RowState, which: str) -> RowState:
    """The row with the weights, or averaged weights, of its last epoch in the place of its best ones."""
    buffers = {f"best.{name}": tensor for name, tensor in state.tensors.items() if name.startswith("buffer.")}
    return RowState(state.record, {"best.theta": state.tensors[f"{which}theta"], **buffers})
