"""Fetches the run folder of a study on a cluster: a second job there says its files."""

import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hpsearch.cluster import jobs
from hpsearch.cluster.handing import take
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
        take(_lines(client, job), found)
        if place.exists():
            shutil.rmtree(place)
        found.rename(place)
    return place


def _lines(client: Any, job: jobs.Job) -> Iterator[str]:
    """What the job that says the files prints."""
    address = client.get_address()
    command = ["python", "-m", "hpsearch.cluster.handing", job.runs, job.study]
    id_ = asked(
        address,
        lambda: client.submit_job(
            entrypoint=shlex.join(command), submission_id=f"{job.id}-pull-{time.strftime('%H%M%S')}"
        ),
    )
    try:
        while (ended := jobs.job(client, id_)).status not in jobs.ENDED:
            time.sleep(_POLL_S)
        said = asked(address, lambda: client.get_job_logs(id_))
        if ended.status != "SUCCEEDED":
            reason = next((line for line in said.splitlines()[::-1] if line.strip()), ended.message)
            raise RunError(f"job {job.id}: {reason[:500]}")
        yield from said.splitlines()
    finally:
        asked(address, lambda: client.delete_job(id_))
