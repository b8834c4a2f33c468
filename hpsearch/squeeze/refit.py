"""The winners once more, on the training and the validation part together: more data for what is kept.

Each trains with its own params to the epoch at which it was best. Nothing is chosen here, and nothing is left to
choose by: what the ensemble scores on validation is what it scored before.
"""

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from hpsearch.data.dataset import Arrays
from hpsearch.data.folds import joined
from hpsearch.errors import RunError
from hpsearch.folder import Folder
from hpsearch.pack.checkpoint import RowState
from hpsearch.pack.net import whole_net
from hpsearch.prepared import Prepared
from hpsearch.search import ledger
from hpsearch.search.progress import Reporter
from hpsearch.squeeze import further
from hpsearch.squeeze.candidates import Candidate, candidates
from hpsearch.squeeze.soup import settled

_NEVER = 10**9  # but after the last epoch: the validation part has been seen, and is no judge


def refit(
    folder: Folder, prepared: Prepared, members: Sequence[Candidate], workers: int, report: Reporter
) -> list[nn.Module]:
    """The members' nets anew, in their order.

    Raises:
        RunError: one of them failed.
    """
    report.note(f"refit: the {len(members)} members again, on training and validation together")
    params = [
        {**prepared.params(one.trial), "stop": one.epoch, "patience": 0}
        | ({} if _is_average(one) else {"average": "none"})
        for one in members
    ]
    of, arrays = {"members": [one.named() for one in members]}, _all(prepared)
    further.train(folder.refit, prepared, "refit", params, arrays, workers, report, of, evaluate=_NEVER)
    return refitted(folder, prepared, members)


def refitted(folder: Folder, prepared: Prepared, members: Sequence[Candidate]) -> list[nn.Module]:
    """The members' refits as they lie on disk, in the members' order.

    Raises:
        RunError: one of them failed.
    """
    arrays, net = _all(prepared), prepared.net
    rows = ledger.read(folder.refit.ledger, f"{prepared.study.name}-refit")
    ended = candidates(folder.refit, rows, arrays, with_snapshots=False)
    states = {one.trial: one.states[0] for one in ended}
    failed = [one.trial for n, one in enumerate(members) if n not in states]
    if failed:
        raise RunError(f"the refit of trial {failed[0]} failed; see {folder.refit.root}/logs")
    return [
        settled(whole_net(net.factory(), _at_the_end(states[n], "average."), arrays), arrays)
        if _is_average(one)
        else whole_net(net.factory(), _at_the_end(states[n], ""), arrays)
        for n, one in enumerate(members)
    ]


def _all(prepared: Prepared) -> Arrays:
    return replace(prepared.arrays, train=joined(prepared.arrays))


def _is_average(member: Candidate) -> bool:
    """Whether it has averaged weights; of a cross-validated trial, whether most of its rows have."""
    kinds = [state.record.best_kind for state in member.states]
    return member.kind != "snapshot" and 2 * kinds.count("average") > len(kinds)


def _at_the_end(state: RowState, which: str) -> RowState:
    """The row with the weights, or averaged weights, of its last epoch in the place of its best ones."""
    buffers = {f"best.{name}": tensor for name, tensor in state.tensors.items() if name.startswith("buffer.")}
    return RowState(state.record, {"best.theta": state.tensors[f"{which}theta"], **buffers})
