"""Searches that the squeeze makes of its own: more trainings, as packs, in a run folder within the run's."""

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hpsearch.data.dataset import Arrays
from hpsearch.errors import DamagedError, RunError
from hpsearch.files import read_json, write_json
from hpsearch.folder import Folder
from hpsearch.keyed import key
from hpsearch.prepared import Prepared
from hpsearch.search import ledger, runner
from hpsearch.search.job import Job
from hpsearch.search.messages import Entry
from hpsearch.search.progress import Reporter

Row = dict[str, Any]  # a trial as `ledger.row` gives it


class NoneFinishedError(RunError):
    """Trainings of the squeeze came to nothing: the study goes on without what they were for."""


def seed_of(prepared: Prepared, purpose: str) -> int:
    return key(prepared.study.seed, purpose) % 2**31


def train(
    folder: Folder,
    prepared: Prepared,
    purpose: str,
    params: Sequence[Mapping[str, Any]],
    arrays: Arrays,
    workers: int,
    report: Reporter,
    of: Mapping[str, Any],
    lay: Callable[[], None] = lambda: None,
    evaluate: int | None = None,
    seed: int | None = None,
) -> list[Row]:
    """Trains trials with these params to their end, or goes on with it; gives the ledger's rows.

    `of` is what they depend on beside the study: where an earlier launch's was another, it is begun anew. `lay`
    puts what they start from into the folder, where it is not there, before anything runs. `evaluate`: epochs from
    one evaluation to the next, where not the study's; `seed`: where not one for the purpose.
    """
    whole = json.loads(json.dumps({"params": list(params), **of}))
    if not _is_of(folder, whole):
        shutil.rmtree(folder.root, ignore_errors=True)  # the study went on since
        folder.create()
    lay()
    write_json(folder.origin, whole)  # last: until then it is begun anew
    job = Job(
        name=f"{prepared.study.name}-{purpose}", folder=folder, net=prepared.net,
        seed=seed_of(prepared, purpose) if seed is None else seed,
        entries=[Entry({}, {}, dict(one)) for one in params],  # fixed: nothing here is a draw of the study's space
        params=params, structural=prepared.space.structural(), arrays=arrays, workers=workers, gpus=prepared.gpus,
        evaluate=evaluate or prepared.study.search.evaluate, metric=prepared.metric,
        **{**prepared.care, "budget_bytes": math.inf},
    )  # fmt: skip
    runner.run(job, None, report)
    return ledger.read(folder.ledger, job.name)


def _is_of(folder: Folder, of: dict[str, Any]) -> bool:
    """Whether what lies in the folder began from this."""
    try:
        return bool(read_json(folder.origin) == of)
    except (FileNotFoundError, DamagedError):
        return False
