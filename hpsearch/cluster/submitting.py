"""Sends a study to a cluster as a job."""

import math
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hpsearch.capacity import Capacity
from hpsearch.cluster.jobs import Job, job, refuse_running
from hpsearch.cluster.parcel import Parcel, pack
from hpsearch.cluster.server import asked
from hpsearch.code import SHIPPED, is_code
from hpsearch.errors import RunError, UserError
from hpsearch.prepare import prepare as read
from hpsearch.prepared import Overrides
from hpsearch.relaunch import SENDER
from hpsearch.search import packing
from hpsearch.storage import is_url
from hpsearch.study import Study, load_study
from hpsearch.validate import check_names

_RUNS = "~/hpsearch-runs"  # of who runs the cluster's head
_PLAN = "the.plan.json"  # among what travels


@dataclass(frozen=True)
class Sent:
    """A study that is ready to travel; `told`: what its sender should know."""

    study: Study
    parcel: Parcel
    runs: str
    plan: Path | None
    options: tuple[str, ...]

    @property
    def told(self) -> list[str]:
        return [f"stays here: {text}" for text in self.parcel.left_out]


def prepare(path: Path, plan: Path | None, runs: str | None, overrides: Overrides, skip_checks: bool) -> Sent:
    """Reads the study as far as that can be done here: data that the cluster has are looked at there.

    Raises:
        UserError: the study, its code or its plan is wrong, or it is too much to travel.
    """
    study = overrides.applied(load_study(path), str(path))
    if study.search.space is None and not is_code(study.net):
        check_names(study, str(path))
    parcel = pack(path, study)
    if parcel.whole:
        read(path, overrides, capacity=Capacity(1, math.inf, shared=True))
    if plan is not None:
        packing.read(plan)
    return Sent(
        study,
        parcel,
        _stays(runs, "--runs") if runs else _stays(study.storage.path or _RUNS, f"{path}: storage.path"),
        plan,
        tuple(_options(overrides, plan, skip_checks)),
    )


def _stays(runs: str, where: str) -> str:
    """A place that outlives the job, whose own folder is removed."""
    if not (is_url(runs) or runs.startswith("~") or Path(runs).is_absolute()):
        raise UserError(f"{where}: must be an absolute path of the cluster, one from ~, or a URL, got {runs!r}")
    return runs


def _options(overrides: Overrides, plan: Path | None, skip_checks: bool) -> Iterator[str]:
    for name in ("trials", "timeout", "seed", "workers"):
        value = getattr(overrides, name)
        if value is not None:
            yield from (f"--{name}", str(value))
    if plan is not None:
        yield from ("--plan", _PLAN)
    if skip_checks:
        yield "--skip-checks"


def send(client: Any, sent: Sent) -> Job:
    """Sends what travels, and starts it on the cluster.

    Raises:
        UserError: the cluster does not take it, or has a job that runs it.
    """
    parcel, study = sent.parcel, sent.study
    refuse_running(client, study.name, sent.runs)
    launch = ["python", "-P", "-m", "hpsearch", "launch"]  # -P: nothing from the working directory
    command = [*launch, f"{SHIPPED}/{parcel.study}", "--address", "auto", "--runs", sent.runs]
    about = {"hpsearch": version("hpsearch"), "study": study.name, "runs": sent.runs}
    with tempfile.TemporaryDirectory(prefix="hpsearch-") as place:
        parcel.copy_to(Path(place) / SHIPPED)
        if sent.plan is not None:
            shutil.copyfile(sent.plan, Path(place) / _PLAN)
        try:
            found = asked(
                client.get_address(),
                lambda: client.submit_job(
                    entrypoint=shlex.join([*command, *sent.options]),
                    runtime_env={
                        "working_dir": place,
                        "env_vars": {"PYTHONUNBUFFERED": "1", SENDER: about["hpsearch"]},
                    },
                    metadata=about,
                    submission_id=f"{study.name}-{time.strftime('%Y%m%d-%H%M%S')}",
                ),
            )
        except RunError as error:
            raise UserError(str(error)) from error
    return job(client, found)
