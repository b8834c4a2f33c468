"""Runs a search: Ray Tune in a thread, the ledger as an actor, and beside them the clock, Ctrl-C and the view."""

import logging
import math
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Collection
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayActorError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hpsearch.errors import DamagedError, DiskFullError, RunError
from hpsearch.search.actors import Ask, ask
from hpsearch.search.cluster import is_dead, require_alive
from hpsearch.search.job import Job
from hpsearch.search.ledger import Ledger
from hpsearch.search.legs import Work
from hpsearch.search.messages import words
from hpsearch.search.progress import Reporter
from hpsearch.search.recover import recover
from hpsearch.search.relay import Files, Mark
from hpsearch.search.searcher import Legs
from hpsearch.search.shelf import Shelf
from hpsearch.search.signals import Stop, die_with_parent, ignore_ctrl_c
from hpsearch.search.worker import LegTrainable

_POLL_S = 0.2
_STAGED = 2  # legs a worker that Tune is given: it ends an actor for which no leg is waiting
_SWEEP_S = 60.0
_BEAT_S = 0.5  # from one beat of a leg to the next, where there are few workers
_BEATS_A_SECOND = 200  # of all workers together: a tenth of what the ledger's actor can hear
_GRACE_S = 6.0  # that legs have to store their rows after Ctrl-C


def run(job: Job, deadline: float | None, report: Reporter, leg: type[tune.Trainable] = LegTrainable) -> bool:
    """Brings every trial to a final state; gives False when the deadline (time.monotonic) stopped it before.

    `leg` is what trains one.

    Ctrl-C and SIGTERM stop it in the same way and then go on as KeyboardInterrupt: the legs store their rows, the
    trials wait for the next launch.

    Raises:
        RunError: the cluster or the ledger failed for good, or the disk is full.
    """
    job.folder.create()
    found = recover(job, report.note)
    if not found.todo:
        return True
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    remote = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)(_LedgerActor)
    ledger = remote.remote(str(job.folder.ledger.resolve()), job.name, job.direction, job.budget_bytes)
    files = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)(Files)
    relay = files.remote(str(job.folder.root.resolve())) if job.cluster else None
    try:
        begun = ledger.begin.remote(job.entries[found.entered :], job.data, found.entered)
        events: deque[str] = deque()
        searcher = Legs(job, found, ask(ledger), lambda: int(ray.get(begun)), _most(job), events.append)
        fit = _Fit(job, searcher, ledger, relay, leg)
        return _Drive(job, searcher, fit, ask(ledger), events, report).to_the_end(deadline)
    except DiskFullError as error:  # as an actor's error it carries the actor's traceback along
        raise RunError(words(error)) from error
    except DamagedError as error:
        raise RunError(f"{error}; launch again: it is then set aside, and its trials are trained anew") from error
    except RayActorError as error:
        raise RunError(f"the ledger is gone: {words(error)[:1000]}") from error
    finally:
        for actor in (ledger, relay):
            if actor is not None and not is_dead():
                ray.kill(actor)


def _most(job: Job) -> float:
    """How many legs Tune is given at once: where Ray itself holds back what is too many, more than train."""
    narrow = ray.cluster_resources()["CPU"] <= job.workers
    return math.inf if job.elastic else job.workers * (_STAGED if narrow else 1)


class _Drive:
    """Looks after a search while Tune runs it in a thread: the clock, Ctrl-C, the view, the shelf of rows."""

    def __init__(
        self, job: Job, searcher: Legs, fit: "_Fit", ledger: Ask, events: deque[str], report: Reporter
    ) -> None:
        self.job, self.searcher, self.ledger, self.events, self.report = job, searcher, ledger, events, report
        self._fit, self._swept = fit, time.monotonic()

    def to_the_end(self, deadline: float | None) -> bool:
        """Whether every trial has its final state."""
        fit = self._fit
        fit.start()
        noted_at: float | None = None
        with Stop() as stop:
            while fit.is_alive() and (noted_at is None or time.monotonic() < noted_at + _GRACE_S):
                fit.join(_POLL_S)
                if stop.noted is not None and noted_at is None:
                    noted_at = time.monotonic()
                    self.report.note("stopping: the legs store their rows")
                require_alive()
                over = deadline is not None and time.monotonic() > deadline
                self._look(stopping=stop.noted is not None or over)
        self.ledger("rest")
        self._look(stopping=False)
        if stop.noted is not None:
            raise stop.noted
        if self.searcher.error is not None:
            raise RunError(self.searcher.error)
        if fit.error is not None:
            raise RunError(f"Ray Tune stopped: {fit.error}") from fit.error
        self._sweep(())
        return not self.ledger("waiting")

    def _look(self, stopping: bool) -> None:
        """Shows how it goes, and tells a ledger that was started anew what it cannot know."""
        view = self.ledger("view")
        self.report.progress(view)
        while self.events:
            self.report.note(self.events.popleft())
        self.searcher.stopping |= stopping
        if self.searcher.stopping and not view.stopping:
            self.ledger("stop")
        if self.searcher.planned and not view.planned:
            self.ledger("plan_is_made")
        if time.monotonic() > self._swept + _SWEEP_S:
            self._sweep(view.legs)

    def _sweep(self, running: Collection[int]) -> None:
        keep, waiting = self.ledger("worth")
        Shelf.look(self.job.folder).sweep(keep, waiting, running)
        self._swept = time.monotonic()


class _LedgerActor(Ledger):
    """The ledger in a process of its own."""

    def __init__(self, path: str, name: str, direction: Any, budget_bytes: float) -> None:
        ignore_ctrl_c()
        die_with_parent()
        super().__init__(path, name, direction, budget_bytes)


class _InTurn(FIFOScheduler):
    """First come, first served; hears from Tune why a worker died, where a searcher is told only that it did.

    Tune gives the leg that is chosen to a worker that is free, though another one may be starting for it, which is
    then ended: where legs are shorter than a start, few workers would ever come up. Hence the first leg
    is chosen for which none is starting.
    """

    def __init__(self, deaths: dict[str, str], workers: int) -> None:
        super().__init__()
        self._deaths, self._workers = deaths, workers
        self._waiting: list[Trial] = []

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self._waiting.append(trial)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        self._deaths[trial.trial_id] = f"the worker died: {_first_line(trial.get_error())}"

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        self._waiting = [trial for trial in self._waiting if trial.status == Trial.PENDING]
        running = sum(trial.status == Trial.RUNNING for trial in tune_controller.get_live_trials())
        starting = max(self._workers - running - 1, 0)
        return self._waiting[min(starting, len(self._waiting) - 1)] if self._waiting else None


def _first_line(error: BaseException | None) -> str:
    lines = [line.strip() for line in str(error or "").splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


class _Fit(threading.Thread):
    """`Tuner.fit` in a thread of its own, so that Ctrl-C reaches us and not Tune."""

    def __init__(self, job: Job, searcher: Legs, ledger: Any, files: Any, leg: type[tune.Trainable]) -> None:
        super().__init__(name="tune", daemon=True)
        self.error: BaseException | None = None
        self._scratch = tempfile.mkdtemp(prefix="hpsearch-tune-")
        root = str(job.folder.root.resolve())
        work = Work(
            root, job.seed, job.net, job.device, job.evaluate, job.checkpoint_s, job.hang_s, job.metric,
            job.objective, job.test_y, max(_BEAT_S, job.workers / _BEATS_A_SECOND),
        )  # fmt: skip
        arrays = ray.put(job.arrays)  # once; workers on a machine share it without copying
        trainable = tune.with_parameters(
            leg, work=work, arrays=arrays, ledger=ledger, mark=Mark.put(job.folder), files=files
        )
        self._tuner = tune.Tuner(
            tune.with_resources(trainable, {"CPU": 1, "GPU": job.gpus} if job.gpus else {"CPU": 1}),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=_InTurn(searcher.deaths, job.workers),
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
        # it misses the result files that we do not want, and has a traceback for each worker that dies
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        try:
            self._tuner.fit()
        except BaseException as error:
            self.error = error
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)
