"""One net from a trial's snapshots: the mean of their weights.

Where the minima of the cycles lie in one valley, it is as good as their ensemble at the cost of one net (Izmailov
et al. 2018, arXiv 1803.05407; Wortsman et al. 2022, arXiv 2203.05482); where they do not, it is worse than any of
them. So it is scored, and told beside the ensemble.
"""

from collections.abc import Sequence

import torch
from torch import nn

from hpsearch.data.dataset import Arrays
from hpsearch.nets.build import Net
from hpsearch.pack import snapshots
from hpsearch.pack.checkpoint import RowState
from hpsearch.pack.net import whole_net
from hpsearch.squeeze.candidates import Candidate
from hpsearch.squeeze.settle import settled


def ladle(library: Sequence[Candidate], net: Net, arrays: Arrays) -> tuple[Candidate, nn.Module] | None:
    """The best trial with snapshots, and the mean of these as a net; None where no trial has two."""
    for candidate in library:
        state, *others = candidate.states
        which = snapshots.epochs_of(state.tensors)
        if len(which) > 1 and not others:
            return candidate, settled(whole_net(net.factory(), _mean(state, which), arrays, "best"), arrays)
    return None


def _mean(state: RowState, epochs: Sequence[int]) -> RowState:
    first = f"snapshot.{epochs[0]}."
    names = [name.removeprefix(first) for name in state.tensors if name.startswith(first)]
    tensors = {}
    for name in (name for name in names if name != "prediction"):
        found = torch.stack([state.tensors[f"snapshot.{epoch}.{name}"] for epoch in epochs])
        tensors[f"best.{name}"] = found.mean(0) if found.is_floating_point() else found[-1]
    return RowState(state.record, tensors)
