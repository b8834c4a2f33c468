"""What a search is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch.code import Reference
from hpsearch.data.dataset import Arrays
from hpsearch.folder import Folder
from hpsearch.metrics import METRICS, Own
from hpsearch.nets.build import Net
from hpsearch.search.messages import Entry
from hpsearch.search.packing import Plan


@dataclass(frozen=True)
class Job:
    """A search: the trials with their complete params, and what they are trained on.

    `structural` names the params that trials of one pack share.
    """

    name: str
    folder: Folder
    seed: int
    net: Net
    entries: Sequence[Entry]
    params: Sequence[Mapping[str, Any]]
    structural: Sequence[str]
    arrays: Arrays
    workers: int
    gpus: float = 0.0  # of a leg
    device: str = "cpu"  # on which it trains
    evaluate: int = 1
    plan: Plan | None = None
    metric: Own | None = None  # of the user's own
    objective: Reference | None = None  # a training function of the user's own
    test_y: np.ndarray | None = None  # which its predictions are held against in shape
    data: str | None = None  # a hash of the study's data
    timeout_s: float | None = None  # that the search may take
    checkpoint_s: float = 60.0  # from one store of a leg's rows to the next
    hang_s: float | None = None  # without an epoch's end for so long, a leg's process is ended
    budget_bytes: float = 10e9  # of finished trials' rows on disk
    cpus: int = 1  # of all that it is trained on
    cluster: bool = False  # of nodes that may not see the run folder
    elastic: bool = False  # nodes may join: at once train as many legs as there is room for, not `workers`

    @property
    def direction(self) -> str:
        return METRICS[self.arrays.metric].direction
