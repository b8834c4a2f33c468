"""Leave it training: the best trials go on past their end, at a constant rate and at one that decays.

Karpathy's recipe has nets go on well past the plateau, and decay tuned at the very end. A trial goes on from its
last epoch, not from its best one; what it comes to is a candidate only where it scores better on validation than
all before.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from joblib import cpu_count

from hpsearch.folder import Folder
from hpsearch.metrics import METRICS
from hpsearch.pack import checkpoint
from hpsearch.pack.checkpoint import RowState
from hpsearch.pack.probe import Probe
from hpsearch.prepared import Prepared
from hpsearch.search import packing
from hpsearch.search.packing import Plan
from hpsearch.search.progress import Reporter
from hpsearch.squeeze import further
from hpsearch.squeeze.candidates import Candidate, candidates

RATES = ("constant", "cosine")


def prolong(
    folder: Folder, prepared: Prepared, library: Sequence[Candidate], workers: int, report: Reporter
) -> tuple[list[Candidate], list[dict[str, Any]]]:
    """The best trials' better versions, and what became of each trial at each rate.

    `library` is best first.
    """
    share, most = prepared.study.squeeze.prolong, prepared.study.squeeze.ensemble
    assert share is not None
    metric = prepared.arrays.metric
    best = list({one.trial: one for one in library if one.kind != "snapshot"}.values())[:most]
    starts = [(one, rate) for one in best for rate in RATES]
    states = [_going_on(number, one.state, rate, share) for number, (one, rate) in enumerate(starts)]
    params = [state.record.params for state in states]
    report.note(f"prolong: the best {len(best)} trials go on for {share:g} times their epochs, at two rates each")

    def lay() -> None:
        plan = _plan(folder, [one.trial for one, _ in starts], params, prepared, workers)
        for leg in plan.legs:
            checkpoint.store(folder.prolonged.rows(leg.leg), [states[trial] for trial in leg.trials])
        plan.write(folder.prolonged.plan)

    of = {"from": [[one.trial, one.state.record.epoch, one.scores] for one in best]}
    rows = further.train(
        folder.prolonged, prepared, "prolonged", params, prepared.arrays, workers, report, of, lay
    )
    found = {
        one.trial: one for one in candidates(folder.prolonged, rows, prepared.arrays) if one.kind != "snapshot"
    }
    better = {n: one for n, one in found.items() if one.epoch > states[n].record.epoch}
    told = [
        {
            "trial": one.trial, "schedule": rate, "epochs": params[n]["epochs"], "kept": n in better,
            "before": one.scores[metric],
            "after": _best_after(found[n].state, states[n].record.epoch, metric) if n in found else None,
        }
        for n, (one, rate) in enumerate(starts)
    ]  # fmt: skip
    return [replace(one, trial=starts[n][0].trial, kind="prolonged") for n, one in better.items()], told


def _going_on(number: int, state: RowState, rate: str, share: float) -> RowState:
    """A trial as it was at its end, with more epochs before it, and with what is best so far."""
    record, more = state.record, math.ceil(share * int(state.record.params["epochs"]))
    changed = {
        "epochs": record.epoch + more, "schedule": rate, "begins": record.epoch / (record.epoch + more),
        "warmup": 0.0, "patience": 0, "image_start": 0,
    }  # fmt: skip
    known = {name: value for name, value in changed.items() if name in (*record.params, "begins")}
    tensors = {name: tensor for name, tensor in state.tensors.items() if not name.startswith("snapshot.")}
    params = {**record.params, **known}
    return RowState(
        replace(record, trial=number, params=params, stopped=False, snapshots={}, seconds=0.0), tensors
    )


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
    return Plan(tuple(packing.pack(groups, probes, workers, cpu_count())))


def _best_after(state: RowState, epoch: int, metric: str) -> float | None:
    """The best score of the metric in the epochs after this one, of weights as they are or averaged."""
    record = state.record
    scores = [entry[2] for entry in record.curve if entry[0] is not None and entry[0] > epoch]
    scores += [entry[1] for entry in record.average_curve if entry[0] is not None and entry[0] > epoch]
    known = [score for score in scores if score is not None]
    return (max if METRICS[metric].sign > 0 else min)(known, default=None)
