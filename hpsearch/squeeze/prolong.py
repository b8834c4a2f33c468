"""Leave it training: the best trials go on past their end, at a constant rate and at one that decays.

Karpathy's recipe has nets go on well past the plateau, and decay tuned at the very end. A trial goes on from its
last epoch, not from its best one; what it comes to is a candidate only where it scores better on validation than
all before.
"""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.errors import DamagedError, UserError
from hpsearch.folder import Folder
from hpsearch.metrics import PROPER
from hpsearch.pack import checkpoint
from hpsearch.pack.best import rank
from hpsearch.pack.checkpoint import RowState
from hpsearch.pack.probe import Probe
from hpsearch.prepared import Prepared
from hpsearch.search import packing
from hpsearch.search.packing import Plan
from hpsearch.search.progress import Reporter
from hpsearch.squeeze import further
from hpsearch.squeeze.candidates import Candidate, candidates
from hpsearch.squeeze.further import Row

RATES = ("constant", "cosine")


def prolong(
    folder: Folder,
    prepared: Prepared,
    rows: Sequence[Row],
    library: Sequence[Candidate],
    workers: int,
    report: Reporter,
) -> tuple[list[Candidate], list[dict[str, Any]]]:
    """The best trials' better versions, and what became of each trial at each rate.

    `rows` are the ledger's, `library` is best first. Of a trial that is no better `after` is None.
    """
    share, most = prepared.study.squeeze.prolong, prepared.study.squeeze.ensemble
    assert share is not None
    arrays = prepared.searched
    best = list({one.trial: one for one in library if one.kind != "snapshot"}.values())[:most]
    starts = [(one, rate) for one in best for rate in RATES]
    own = [row for row in rows if row["number"] in {one.trial for one in best}]
    reached = {one.trial: one.states for one in candidates(folder, own, arrays, with_snapshots=False, whole=True)}
    states = [_going_on(number, reached[one.trial], rate, share) for number, (one, rate) in enumerate(starts)]
    params = [own[0].record.params for own in states]
    report.note(f"prolong: the best {len(best)} trials go on for {share:g} times their epochs, at two rates each")

    place = folder.prolonged
    if place.plan.exists() and not _is_plan(place.plan):
        report.note(f"{place.plan}: is damaged; what was prolonged is trained anew")
        shutil.rmtree(place.root)

    def lay() -> None:
        if not place.plan.exists():
            _plan(folder, [one.trial for one, _ in starts], params, prepared, workers).write(place.plan)
        for leg in packing.read(place.plan).legs:
            if leg.after or _is_sound(place.rows(leg.leg)):
                continue
            checkpoint.store(place.rows(leg.leg), [state for trial in leg.trials for state in states[trial]])

    of = {"from": [one.named() | one.scores for one in best]}
    done = further.train(
        place, prepared, "prolonged", params, arrays, workers, report, of, lay, seed=prepared.study.seed
    )
    ended = candidates(place, done, arrays, with_snapshots=False)
    found = {one.trial: replace(one, kind="prolonged") for one in ended}
    proper = PROPER[arrays.target.task]

    def is_better(one: Candidate, before: Candidate) -> bool:
        return rank(one.scores, arrays.metric, proper) > rank(before.scores, arrays.metric, proper)

    told = [
        {
            "trial": one.trial, "schedule": rate, "epochs": params[n]["epochs"],
            "before": one.scores[arrays.metric],
            "after": found[n].scores[arrays.metric] if n in found and is_better(found[n], one) else None,
        }
        for n, (one, rate) in enumerate(starts)
    ]  # fmt: skip
    better = [replace(one, trial=starts[n][0].trial) for n, one in found.items() if is_better(one, starts[n][0])]
    return better, told


def _is_plan(path: Path) -> bool:
    try:
        packing.read(path)
    except UserError:
        return False
    return True


def _is_sound(path: Path) -> bool:
    """Whether a rows' file is there and whole; else it is laid anew, since nothing else knows its start."""
    try:
        checkpoint.load(path)
    except (FileNotFoundError, DamagedError):
        return False
    return True


def _going_on(number: int, states: Sequence[RowState], rate: str, share: float) -> list[RowState]:
    """A trial's rows as they were at their end, with more epochs before them, and with what is best so far."""
    before = states[0].record.params
    reached = max(state.record.epoch for state in states)
    epochs = reached + math.ceil(share * int(before["epochs"]))
    changed = {"warmup": 0.0, "patience": 0, "image_start": 0}
    params = {
        **before, **{name: value for name, value in changed.items() if name in before},
        "epochs": epochs, "schedule": rate, "begins": reached / epochs,
    }  # fmt: skip
    return [
        RowState(
            replace(
                state.record, trial=number, params=params, stopped=False, snapshots={}, seconds=0.0, together={}
            ),
            {n: tensor.clone() for n, tensor in state.tensors.items() if not n.startswith("snapshot.")},
        )
        for state in states
    ]


def _plan(
    folder: Folder, trials: Sequence[int], params: Sequence[Mapping[str, Any]], prepared: Prepared, workers: int
) -> Plan:
    """Legs that go forward as those of the search did, whose nets were tried out then."""
    legs = {trial: leg for leg in packing.read(folder.plan).latest() for trial in leg.trials}
    groups = packing.by_shape(dict(enumerate(params)), prepared.space.structural())
    probes = {}
    for shape, numbers in groups.items():
        leg = legs[trials[numbers[0]]]
        probes[shape] = Probe(leg.forward, len(numbers), leg.row_ms, f"as in the search: {leg.why}", {})
    return Plan(tuple(packing.pack(groups, probes, workers, prepared.capacity.cpus)))
