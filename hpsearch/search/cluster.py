"""A Ray cluster: of our own for the time of a launch, or one that is there."""

import atexit
import logging
import os
import secrets
import socket
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hpsearch import streams
from hpsearch.capacity import Capacity
from hpsearch.errors import RunError, UserError
from hpsearch.safe_path import SafeChildren, is_here
from hpsearch.scratch import RAY, scratch

_SETTINGS = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # all ports on loopback; read when Ray is imported
    "RAY_ENABLE_AUTO_CONNECT": "0",  # else a thread that outlives the cluster starts another one; read as well
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune prints nothing
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # and writes no result files
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # nor all it knows, every few seconds: we have a ledger
    "TUNE_MAX_PENDING_TRIALS_PG": "64",  # else a leg is asked for only when the last one runs
}

_HINT = "is it up, and does it take the token that is set (RAY_AUTH_MODE=token, RAY_AUTH_TOKEN)?"
_NEEDED = ("gcs_server", "raylet")  # of Ray's processes
_ANSWER_S = 10.0  # that a cluster's head has to take a connection


@contextmanager
def joined(address: str, tell: Callable[[str], None], code: Path | None = None) -> Iterator[Capacity]:
    """Joins a Ray cluster that is there, of which this process is then a driver; gives what it has.

    `address`: `auto` on one of its nodes, else `host:port` of its head. `code`: a folder that its nodes get.

    Raises:
        UserError: there is none, or it asks for a token.
    """
    _set_up()
    import ray
    from ray._private.services import canonicalize_bootstrap_address

    try:
        place = canonicalize_bootstrap_address(address) or address  # what `auto` is, found as Ray finds it
        _must_answer(place)
        ray.init(
            address=place,
            job_config=_job_config(),
            runtime_env=None if code is None else {"working_dir": str(code)},
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
        )
    except Exception as error:  # of many kinds: no cluster, another version, no token
        said = " ".join(str(error).split())[:300]
        raise UserError(f"--address: {address}: cannot join a Ray cluster there: {said}; {_HINT}") from None
    with scratch() as own, streams.raw_errors_to(own / "ray.err"):
        try:
            there = ray.cluster_resources()
            found = Capacity(int(there.get("CPU", 0)), there.get("GPU", 0.0), shared=True)
            nodes = sum(node["Alive"] for node in ray.nodes())
            tell(f"on the Ray cluster at {place}: {nodes} nodes, {found.cpus} CPUs, {found.gpus:g} GPUs")
            yield found
        finally:
            ray.shutdown()


def _must_answer(place: str) -> None:
    """Ray would try for many minutes.

    Raises:
        OSError: nobody takes a connection at `host:port`.
    """
    host, _, port = place.rpartition(":")
    if port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S).close()


def _set_up() -> None:
    """What Ray reads from the environment, before it is imported."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


@contextmanager
def cluster(workers: int) -> Iterator[None]:
    """Starts Ray on this machine, on loopback and without a dashboard; ends it with all its processes.

    Who speaks to it needs a token, which is this launch's own and lies in no file. A leg takes one of Ray's CPUs,
    so `workers` of them are how many legs train at once. Where the caller has started Ray already, or joined a
    cluster, that one is used and left running.
    """
    _set_up()
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray
    from ray._private import ray_constants

    if ray.is_initialized():
        yield
        return
    ray_constants.ENABLE_RAY_CLUSTER = False  # where Ray was imported before: the same as the first setting
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    with scratch() as place, streams.raw_errors_to(place / "ray.err"):
        with warnings.catch_warnings(), SafeChildren(place):
            warnings.simplefilter("ignore")
            _start(place, workers)
        try:
            yield
        finally:
            _end()


def _end() -> None:
    import ray
    from ray._private import worker

    if is_dead():  # its client would wait for it for a minute, also at the end of this process
        worker._global_node.kill_all_processes(check_alive=False)
        atexit.unregister(worker.shutdown)
        streams.leave_at_once()
    else:
        ray.shutdown()


def _start(place: Path, workers: int) -> None:
    """
    Raises:
        RunError: Ray does not start; its own words are many lines.
    """
    import ray

    try:
        ray.init(
            address="local",
            num_cpus=workers,
            job_config=_job_config(),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            configure_logging=False,
            _temp_dir=str(place / RAY),  # which Ray opens to all users
        )
    except Exception as error:  # of many kinds
        ray.shutdown()
        raise RunError(f"Ray does not start on this machine: {' '.join(str(error).split())[:300]}") from error


def is_dead() -> bool:
    """Whether a process without which the Ray that this process has started does not work is gone."""
    from ray._private import worker

    node = worker._global_node
    return node is not None and any(kind in _NEEDED for kind, _ in node.dead_processes())


def require_alive() -> None:
    """Notices the end of Ray before its client does, which ends this process without a word.

    Raises:
        RunError: Ray has ended.
    """
    if is_dead():
        raise RunError("Ray has ended on this machine; what was trained is on disk. Launch again to go on")


def _job_config() -> Any:
    """What Ray tells its workers: all but the working directory, from which nothing may be imported."""
    from ray.job_config import JobConfig

    class Paths(list[str]):
        def extend(self, paths: Iterable[str]) -> None:
            super().extend(path for path in paths if not is_here(path))

    config = JobConfig()
    config._py_driver_sys_path = Paths()
    return config
