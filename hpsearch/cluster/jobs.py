"""The studies that a cluster has as jobs: what they are, what they print, how they end."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hpsearch.cluster.server import asked
from hpsearch.errors import RunError, UserError

ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
_AGAIN_S = (1, 2, 5, 10, 30)  # from one attempt to reach a server that is gone to the next
_STOPPED_S, _POLL_S = 60, 0.5
_GIVEN_UP = 20  # attempts, some eight minutes


class UnknownJobError(UserError):
    """The cluster has no job of this name."""


@dataclass(frozen=True)
class Job:
    """A study on a cluster. `runs`: the folder there in which its run folder is made."""

    id: str
    study: str
    status: str
    runs: str
    began: float | None = None  # seconds since the epoch
    ended: float | None = None
    message: str = ""

    @property
    def run(self) -> str:
        """Its run folder on the cluster."""
        return f"{self.runs}/{self.study}"

    @property
    def began_told(self) -> str:
        return "" if self.began is None else datetime.fromtimestamp(self.began).isoformat(" ", "seconds")

    @property
    def took_told(self) -> str:
        if self.began is None:
            return ""
        return f"{(self.ended or time.time()) - self.began:.0f} s"


def jobs(client: Any) -> list[Job]:
    """The studies that were sent to a cluster, the latest first."""
    found = asked(client.get_address(), client.list_jobs)
    ours = [_job(one) for one in found if one.metadata and "hpsearch" in one.metadata]
    return sorted(ours, key=lambda one: one.began or 0.0, reverse=True)


def refuse_running(client: Any, study: str, runs: str) -> None:
    """
    Raises:
        UserError: a job that has not ended has the run folder.
    """
    for one in jobs(client):
        if (one.study, one.runs) == (study, runs) and one.status not in ENDED:
            raise UserError(f"{study}: job {one.id} has its run folder, {one.run}; follow it or cancel it")


def job(client: Any, id_: str) -> Job:
    """One of them.

    Raises:
        UnknownJobError: the cluster knows none of this name.
    """
    try:
        return _job(asked(client.get_address(), lambda: client.get_job_info(id_)))
    except RunError as error:
        if "does not exist" not in str(error):
            raise
        known = ", ".join(one.id for one in jobs(client)[:5]) or "none"
        raise UnknownJobError(f"{id_}: the cluster knows no such job; its latest: {known}") from None


def _job(info: Any) -> Job:
    about = info.metadata or {}
    began, ended = (None if at is None else at / 1000 for at in (info.start_time, info.end_time))
    message = " ".join((info.message or "").split()).partition(", last available logs")[0]  # shown anyway
    return Job(
        info.submission_id, about.get("study", ""), info.status.value, about.get("runs", ""), began, ended, message
    )


def log(client: Any, id_: str) -> str:
    """What a job has printed so far."""
    job(client, id_)
    return str(asked(client.get_address(), lambda: client.get_job_logs(id_)))


def cancel(client: Any, id_: str) -> str:
    """Ends a job, and waits for that; its legs store their rows first. Gives what it then is, in words."""
    if job(client, id_).status in ENDED:
        return "has ended already"
    asked(client.get_address(), lambda: client.stop_job(id_))
    end = time.monotonic() + _STOPPED_S
    while time.monotonic() < end:
        if job(client, id_).status in ENDED:
            return "stopped; submitting its study again goes on from there"
        time.sleep(_POLL_S)
    return f"is told to stop, and has not within {_STOPPED_S} s"


def follow(client: Any, id_: str, show: Callable[[str], None], note: Callable[[str], None]) -> Job:
    """Shows what a job prints until it ends, through connections that drop; gives how it ended.

    Raises:
        UnknownJobError: the cluster knows none of this name.
        RunError: nobody answers for minutes, or who answers was started anew.
    """
    job(client, id_)
    log, failed = _Log(client, id_, show), 0
    while True:
        try:
            asyncio.run(log.tail())
            found = job(client, id_)
            if found.status in ENDED:
                log.rest()
                return found
            failed = 0
            time.sleep(1)  # the log ended and the job did not: it has not begun, or the connection closed early
        except UnknownJobError as error:
            raise RunError(
                f"{id_}: the cluster does not know this job any more: its head was started anew. Where its run "
                "folder is left, submitting the study again goes on from it"
            ) from error
        except (UserError, RunError, OSError, RuntimeError) as error:
            failed += 1
            if failed > _GIVEN_UP:
                raise RunError(f"{id_}: {error}; the job may well go on") from error
            if failed == 1:
                said = " ".join(str(error).split())[:200]
                note(f"the connection is gone ({said}); looking again until it is back")
            time.sleep(_AGAIN_S[min(failed, len(_AGAIN_S)) - 1])


class _Log:
    """What a job has printed, of which the first `seen` letters are shown."""

    def __init__(self, client: Any, id_: str, show: Callable[[str], None]) -> None:
        self._client, self._id, self._show, self._seen = client, id_, show, 0

    async def tail(self) -> None:
        """Shows what comes, until the connection closes; it tells the log from its start."""
        at = 0
        async for text in self._client.tail_job_logs(self._id):
            self._tell(text, at)
            at += len(text)

    def rest(self) -> None:
        self._tell(asked(self._client.get_address(), lambda: self._client.get_job_logs(self._id)), 0)

    def _tell(self, text: str, at: int) -> None:
        new = text[max(self._seen - at, 0) :]
        if new:
            self._show(new)
        self._seen = max(self._seen, at + len(text))
