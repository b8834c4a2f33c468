"""A Ray cluster of our own for the time of a launch."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import ray

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune prints nothing
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # and writes no result files
    "TUNE_MAX_PENDING_TRIALS_PG": "64",  # else a leg is asked for only when the last one runs
}


@contextmanager
def cluster(workers: int) -> Iterator[None]:
    """Starts Ray on this machine, on loopback and without a dashboard; ends it with all its processes.

    A leg takes one of Ray's CPUs, so `workers` of them are how many legs train at once. Where the caller has
    started Ray already, that cluster is used and left running.
    """
    if ray.is_initialized():
        yield
        return
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(
            address="local",
            num_cpus=workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
        )
    try:
        yield
    finally:
        ray.shutdown()
