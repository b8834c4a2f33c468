"""Fetches the run folder of a study on a cluster: from its store, or from what a second job there says."""

import asyncio
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hpsearch import storage
from hpsearch.cluster import jobs
from hpsearch.cluster.handing import Arriving
from hpsearch.cluster.server import asked
from hpsearch.errors import RunError, UserError
from hpsearch.folder import Folder
from hpsearch.output import real_path

_POLL_S = 0.5


def pull(client: Any, id_: str, to: str, note: Callable[[str], None]) -> Path:
    """The run folder, whole, in a folder here; an earlier copy of it is replaced, and nothing else.

    Raises:
        UserError: the cluster knows no such job, or something else is in the way.
        RunError: it has no run folder there, or what came is not whole.
    """
    if storage.is_url(to):
        raise UserError(f"--to: must be a folder of this machine, got {to!r}")
    job = jobs.job(client, id_)
    given = Path(to) / job.study
    place = real_path(given, "--to")  # what a link points to is replaced, not the link
    if place.exists() and not (place / "study.yaml").is_file():
        raise UserError(f"--to: {place}: is there already and is no run folder")
    if job.status not in jobs.ENDED:
        note(f"job {id_} is {job.status.lower()}: this is its run folder as it is now")
    with _beside(place) as beside:
        found = Path(beside) / job.study
        found.mkdir()
        if not (storage.is_url(job.runs) and _from_store(job, found, note)):
            _from_job(client, job, found)
        if place.exists():
            _refuse_another(place, found)
            place.rename(Path(beside) / "before")
        found.rename(place)
    return given


@contextmanager
def _beside(place: Path) -> Iterator[str]:
    """A folder beside it, for as long as it is not whole."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.")
    except OSError as error:
        raise UserError(f"--to: {place.parent}: {error.strerror}") from None
    with made as beside:
        yield beside


def _refuse_another(place: Path, found: Path) -> None:
    """Refuses to replace what is no earlier state of what came: a journal is only ever added to."""
    ours, theirs = (Folder(root).ledger for root in (place, found))
    if not ours.exists():
        return
    if not theirs.exists() or not theirs.read_bytes().startswith(ours.read_bytes()):
        raise UserError(
            f"--to: {place}: is another run, or has gone on here, and would be lost; choose another folder"
        )


def _from_store(job: jobs.Job, to: Path, note: Callable[[str], None]) -> bool:
    """Whether the store could be reached from here, and had the run."""
    try:
        return storage.Store(job.runs, job.study, job.id).fetch(to) > 0
    except UserError as error:
        note(f"{error}; it is fetched from the cluster's head instead")
        return False


def _from_job(client: Any, job: jobs.Job, to: Path) -> None:
    address = client.get_address()
    command = ["python", "-P", "-m", "hpsearch.cluster.handing", job.runs, job.study]
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
