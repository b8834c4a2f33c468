"""Runs a search: Ray Tune in a thread, the ledger as an actor, and beside them the clock, Ctrl-C and the view."""

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import ray
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hpsearch.errors import RunError
from hpsearch.search import packing
from hpsearch.search.job import Job
from hpsearch.search.ledger import Ledger
from hpsearch.search.legs import Work
from hpsearch.search.packing import Plan
from hpsearch.search.progress import View
from hpsearch.search.searcher import Legs
from hpsearch.search.signals import CtrlC, ignore_ctrl_c
from hpsearch.search.worker import LegTrainable

_POLL_S = 0.2


def run(job: Job, deadline: float | None, watch: Callable[[View], None]) -> bool:
    """Brings every trial to a final state; gives False when the deadline (time.monotonic) stopped it before.

    Ctrl-C stops it in the same way and then goes on as KeyboardInterrupt: the legs store their rows, the trials
    wait for the next launch.

    Raises:
        RunError: the cluster or the ledger failed for good.
    """
    job.folder.create()
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    remote = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)(_LedgerActor)
    ledger = remote.remote(str(job.folder.ledger.resolve()), job.name, job.direction)
    try:
        begun = [ledger.begin.remote(list(job.entries)), ledger.waiting.remote()]
        plan = _known_plan(job)
        if plan.covers(len(job.params)) and not ray.get(begun)[1]:
            return True
        searcher = Legs(job, plan, ledger, begun)
        return _drive(job, searcher, ledger, deadline, watch)
    finally:
        ray.kill(ledger)


def _drive(job: Job, searcher: Legs, ledger: Any, deadline: float | None, watch: Callable[[View], None]) -> bool:
    """Runs Tune in a thread and, beside it, looks after the clock, Ctrl-C and the view."""
    fit = _Fit(job, searcher, ledger)
    fit.start()
    with CtrlC() as pressed:
        while fit.is_alive():
            fit.join(_POLL_S)
            view = ray.get(ledger.view.remote())
            watch(view)
            if pressed() or (deadline is not None and time.monotonic() > deadline):
                searcher.stopping = True
            if searcher.stopping and not view.stopping:
                ray.get(ledger.stop.remote())
        interrupted = pressed()
    ray.get(ledger.rest.remote())
    watch(ray.get(ledger.view.remote()))
    if interrupted:
        raise KeyboardInterrupt
    if searcher.error is not None:
        raise RunError(searcher.error)
    if fit.error is not None:
        raise RunError(f"Ray Tune stopped: {fit.error}") from fit.error
    return not ray.get(ledger.waiting.remote())


class _LedgerActor(Ledger):
    """The ledger in a process of its own."""

    def __init__(self, path: str, name: str, direction: Any) -> None:
        ignore_ctrl_c()
        super().__init__(path, name, direction)


class _Fit(threading.Thread):
    """`Tuner.fit` in a thread of its own, so that Ctrl-C reaches us and not Tune."""

    def __init__(self, job: Job, searcher: Legs, ledger: Any) -> None:
        super().__init__(name="tune", daemon=True)
        self.error: BaseException | None = None
        self._scratch = tempfile.mkdtemp(prefix="hpsearch-tune-")
        work = Work(str(job.folder.root.resolve()), job.seed, job.net, job.evaluate, job.checkpoint_s)
        arrays = ray.put(job.arrays)  # once; workers on a machine share it without copying
        trainable = tune.with_parameters(LegTrainable, work=work, arrays=arrays, ledger=ledger, device=job.device)
        self._tuner = tune.Tuner(
            tune.with_resources(trainable, {"CPU": 1, "GPU": job.gpus} if job.gpus else {"CPU": 1}),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="legs",
                storage_path=self._scratch,
                verbose=0,
                callbacks=[],
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )

    def run(self) -> None:
        logging.getLogger("ray.tune").setLevel(logging.ERROR)  # it misses the result files that we do not want
        try:
            self._tuner.fit()
        except BaseException as error:
            self.error = error
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)


def _known_plan(job: Job) -> Plan:
    """The plan of the run folder, or the one given, or an empty one."""
    path = job.folder.plan
    return packing.read(path) if path.exists() else job.plan or Plan(())
