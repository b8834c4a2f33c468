"""What a launch finds of an earlier one: each file is checked, what is damaged is set aside and told.

Nothing that is lost so is lost for good. What the journal has not, the rows on disk tell; rows that are gone are
trained again, to the same numbers; a plan is put together from the rows' files, which name their legs.
"""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from hpsearch.errors import DamagedError, UserError
from hpsearch.files import set_aside
from hpsearch.folder import Folder
from hpsearch.pack import checkpoint
from hpsearch.pack.checkpoint import Record
from hpsearch.search import ledger, packing
from hpsearch.search.job import Job
from hpsearch.search.packing import Leg, Plan
from hpsearch.search.shelf import Shelf

# what a kill left of a write (`files.write_with`) or of an export that was being put in place
_UNFINISHED = re.compile(r"\.([0-9]{5}\.safetensors|[a-z]+\.(yaml|json|csv)|export)\.[a-z0-9_]{8}(\.old)?")


@dataclass(frozen=True)
class Found:
    """An earlier launch's plan, the first free number of a leg, and the trials that are to train.

    Those are the unfinished ones, and the finished ones whose rows are lost. `entered`: trials in the ledger.
    """

    plan: Plan
    next_leg: int
    todo: set[int]
    entered: int


@ledger.uncollected()
def recover(job: Job, tell: Callable[[str], None]) -> Found:
    """Checks every file of a search, and gives what is left."""
    _remove_unfinished(job.folder)
    for text in ledger.recover(job.folder.ledger, job.name):
        tell(text)
    shelf = _sound_shelf(job, tell)
    rows = ledger.read(job.folder.ledger, job.name)
    plan = _sound_plan(job, shelf, tell)
    used = [*shelf.heads, *(leg.leg for leg in plan.legs), *(r["outcome"]["leg"] for r in rows if r["outcome"])]
    lost = shelf.lost(rows, job.direction, job.budget_bytes)
    if lost:
        numbers = ", ".join(map(str, sorted(lost)))
        tell(f"{job.folder.root}: the rows of trials {numbers} are lost; they are trained again")
    finished = {row["number"] for row in rows if row["state"] in ("complete", "pruned", "failed")}
    todo = set(range(len(job.params))) - finished | lost
    return Found(plan, max(used, default=-1) + 1, todo, len(rows))


def _remove_unfinished(folder: Folder) -> None:
    for place in (folder.root, folder.root / "rows", folder.ensemble):
        for path in place.glob(".*") if place.is_dir() else ():
            if _UNFINISHED.fullmatch(path.name):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _sound_shelf(job: Job, tell: Callable[[str], None]) -> Shelf:
    """The rows' files that are as they were written, for this study; the others are set aside."""
    for path in job.folder.rows_of_legs().values():
        try:
            for state in checkpoint.load(path):
                if not _is_of(job, state.record):
                    raise DamagedError(f"{path}: the row of trial {state.record.trial} is another study's")
        except DamagedError as error:
            tell(f"{error}; set aside as {set_aside(path).name}")
    return Shelf.look(job.folder)


def _is_of(job: Job, record: Record) -> bool:
    """Whether a row is of a trial of this study; a parameter that only one of them knows does not count."""
    if not 0 <= record.trial < len(job.params):
        return False
    params = job.params[record.trial]
    return all(record.params[name] == params[name] for name in params.keys() & record.params.keys())


def _sound_plan(job: Job, shelf: Shelf, tell: Callable[[str], None]) -> Plan:
    """The plan of the run folder, or the one given, or what the rows' files say of it, or an empty one."""
    path = job.folder.plan
    try:
        if path.exists():
            plan = packing.read(path)
            if plan.trials <= set(range(len(job.params))):
                return plan
            raise UserError(f"{path}: is another study's")
    except UserError as error:
        tell(f"{error}; set aside as {set_aside(path).name}, and put together from the rows' files")
    plan = job.plan or rebuilt([head.about for head in shelf.heads.values()])
    if plan.legs:
        plan.write(path)
    return plan


def rebuilt(abouts: Sequence[Mapping[str, object]]) -> Plan:
    """The plan that legs are of which the rows' files speak.

    Where one half of a split leg has no file yet, the other trials of that leg go on from its rows.
    """
    legs: list[Leg] = []
    for about in abouts:
        try:
            legs.append(Leg.from_json(about))
        except (ValueError, TypeError):
            continue
    number = max((leg.leg for leg in legs), default=-1)
    for leg in list(legs):
        halves = [half for half in legs if leg.leg in half.after]
        left = [trial for trial in leg.trials if all(trial not in half.trials for half in halves)]
        if halves and left:
            number += 1
            legs.append(replace(leg, leg=number, trials=tuple(left), after=(leg.leg, *leg.after)))
    return Plan(tuple(legs))
