"""Fetches the run folder of a study on a cluster: from its store, or from what a second job there says."""

import asyncio
import shlex
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpsearch import storage
from hpsearch.cluster import jobs
from hpsearch.cluster.handing import Arriving
from hpsearch.cluster.server import asked
from hpsearch.errors import RunError, UserError

_POLL_S = 0.5


def pull(client: Any, id_: str, to: Path, note: Callable[[str], None]) -> Path:
    """The run folder, whole, in a folder here; an earlier copy of it is replaced.

    Raises:
        UserError: the cluster knows no such job, or something else is in the way.
        RunError: it has no run folder there, or what came is not whole.
    """
    job = jobs.job(client, id_)
    place = to / job.study
    if place.exists() and not (place / "study.yaml").is_file():
        raise UserError(f"--to: {place}: is there already and is no run folder")
    if job.status not in jobs.ENDED:
        note(f"job {id_} is {job.status.lower()}: this is its run folder as it is now")
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to, prefix=f".{job.study}.") as beside:
        found = Path(beside) / job.study
        found.mkdir()
        if not (storage.is_url(job.runs) and _from_store(job, found, note)):
            _from_job(client, job, found)
        if place.exists():
            place.rename(Path(beside) / "before")
        found.rename(place)
    return place


def _from_store(job: jobs.Job, to: Path, note: Callable[[str], None]) -> bool:
    """Whether the store could be reached from here, and had the run."""
    try:
        return storage.Store(job.runs, job.study, "pull").fetch(to) > 0
    except UserError as error:
        note(f"{error}; it is fetched from the cluster's head instead")
        return False


def _from_job(client: Any, job: jobs.Job, to: Path) -> None:
    address = client.get_address()
    command = ["python", "-m", "hpsearch.cluster.handing", job.runs, job.study]
    id_ = asked(
        address,
        lambda: client.submit_job(
            entrypoint=shlex.join(command), submission_id=f"{job.id}-pull-{time.strftime('%H%M%S')}"
        ),
    )
    try:
        while jobs.job(client, id_).status == "PENDING":
            time.sleep(_POLL_S)
        arriving, last = Arriving(to), ""

        async def read() -> None:
            nonlocal last
            rest = ""
            async for text in client.tail_job_logs(id_):
                *lines, rest = (rest + text).split("\n")
                for line in lines:
                    arriving.line(line)
                    last = line.strip() or last

        asked(address, lambda: asyncio.run(read()))
        while (ended := jobs.job(client, id_)).status not in jobs.ENDED:
            time.sleep(_POLL_S)
        if ended.status != "SUCCEEDED":
            raise RunError(f"job {job.id}: {(last or ended.message)[:500]}")
        arriving.whole()
    finally:
        asked(address, lambda: client.delete_job(id_))
