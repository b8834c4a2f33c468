"""The winners once more, on the training and the validation part together: more data for what is kept.

Each trains with its own params to the epoch at which it was best. Nothing is chosen here, and nothing is left to
choose by: what the ensemble scores on validation is what it scored before.
"""

from collections.abc import Sequence
from dataclasses import replace

from hpsearch.data.dataset import Arrays
from hpsearch.data.folds import joined
from hpsearch.errors import RunError
from hpsearch.folder import Folder
from hpsearch.pack.checkpoint import RowState
from hpsearch.prepared import Prepared
from hpsearch.search import ledger
from hpsearch.search.progress import Reporter
from hpsearch.squeeze import further
from hpsearch.squeeze.candidates import Candidate, candidates

_NEVER = 10**9  # but after the last epoch: the validation part has been seen, and is no judge


def refit(
    folder: Folder, prepared: Prepared, members: Sequence[Candidate], workers: int, report: Reporter
) -> tuple[list[Candidate], Arrays]:
    """The members anew, in their order, and what they were trained on.

    Raises:
        RunError: one of them failed.
    """
    report.note(f"refit: the {len(members)} members again, on training and validation together")
    arrays = replace(prepared.arrays, train=joined(prepared.arrays))
    params = [
        {**prepared.params(one.trial), "stop": one.epoch, "patience": 0}
        | ({} if one.kind == "average" else {"average": "none"})
        for one in members
    ]
    of = {"members": [one.named() for one in members]}
    further.train(folder.refit, prepared, "refit", params, arrays, workers, report, of, evaluate=_NEVER)
    return refitted(folder, prepared, members)


def refitted(folder: Folder, prepared: Prepared, members: Sequence[Candidate]) -> tuple[list[Candidate], Arrays]:
    """The members' refits as they lie on disk, in the members' order, and what they were trained on."""
    arrays = replace(prepared.arrays, train=joined(prepared.arrays))
    rows = ledger.read(folder.refit.ledger, f"{prepared.study.name}-refit")
    ended = [one for one in candidates(folder.refit, rows, arrays) if one.kind != "snapshot"]
    found = {one.trial: _at_the_end(one) for one in ended}
    failed = [one.trial for n, one in enumerate(members) if n not in found]
    if failed:
        raise RunError(f"the refit of trial {failed[0]} failed; see {folder.refit.root}/logs")
    return [found[n] for n in range(len(members))], arrays


def _at_the_end(candidate: Candidate) -> Candidate:
    """The candidate with the weights of its last epoch, unless it is an average, which is taken there alone."""
    if candidate.kind == "average":
        return candidate
    (state,) = candidate.states
    tensors = {
        f"best.{name}": tensor
        for name, tensor in state.tensors.items()
        if name == "theta" or name.startswith("buffer.")
    }
    return replace(candidate, states=(RowState(state.record, tensors),), epoch=state.record.epoch)
