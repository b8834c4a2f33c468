"""Runs a search: probes and packs its trials, and trains the packs as legs, each a Ray Tune trial."""

import logging
import os
import shutil
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import hpsearch.search.cluster  # noqa: F401  (sets what Ray reads at import)
from hpsearch.data.dataset import Arrays
from hpsearch.errors import RunError
from hpsearch.folder import Folder
from hpsearch.metrics import METRICS
from hpsearch.nets.build import NETS
from hpsearch.pack import probe as probing
from hpsearch.pack.train import Settings
from hpsearch.search import packing
from hpsearch.search.ledger import Entry, Ledger, StaleLaunchError
from hpsearch.search.legs import Work, keep_heap, run_leg
from hpsearch.search.packing import Leg, Plan
from hpsearch.search.progress import View

_ATTEMPTS = 3  # of a leg, before its rows are split
_POLL_S = 0.2
_STAGED = 2  # legs a worker that Tune is given: it ends an actor for which no leg is waiting


@dataclass(frozen=True)
class Job:
    """A search: the trials with their complete params, and what they are trained on."""

    name: str
    folder: Folder
    seed: int
    net: str
    entries: Sequence[Entry]
    params: Sequence[Mapping[str, Any]]
    arrays: Arrays
    workers: int
    gpus: float = 0.0  # of a leg
    evaluate: int = 1
    plan: Plan | None = None
    checkpoint_s: float = 60.0

    @property
    def direction(self) -> str:
        return METRICS[self.arrays.metric].direction

    @property
    def device(self) -> str:
        return "cuda" if self.gpus > 0 else "cpu"


def run(job: Job, deadline: float | None, watch: Callable[[View], None]) -> bool:
    """Brings every trial to a final state; gives False when the deadline (time.monotonic) stopped it before.

    Ctrl-C stops it in the same way and then goes on as KeyboardInterrupt: the legs store their rows, the trials
    wait for the next launch.

    Raises:
        RunError: the cluster or the ledger failed for good.
    """
    job.folder.create()
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    remote = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)(Ledger)
    ledger = remote.remote(str(job.folder.ledger), job.name, job.direction)
    try:
        begun = ledger.begin.remote(list(job.entries))
        arrays = ray.put(job.arrays)
        plan = _known_plan(job)
        launch, waiting = ray.get([begun, ledger.waiting.remote()])
        if not waiting:
            return True
        searcher = _Legs(job, plan, launch, ledger, waiting)
        return _drive(job, searcher, ledger, arrays, launch, deadline, watch)
    finally:
        ray.kill(ledger)


def _drive(
    job: Job,
    searcher: "_Legs",
    ledger: Any,
    arrays: Any,
    launch: int,
    deadline: float | None,
    watch: Callable[[View], None],
) -> bool:
    """Runs Tune in a thread and, beside it, looks after the clock, Ctrl-C and the view."""
    fit = _Fit(job, searcher, ledger, arrays, launch)
    fit.start()
    interrupted = False
    while fit.is_alive():
        try:
            fit.join(_POLL_S)
            view = ray.get(ledger.view.remote())
            watch(view)
            late = deadline is not None and time.monotonic() > deadline
            if late and not searcher.stopping:
                searcher.stopping = True
            if searcher.stopping and not view.stopping:
                ray.get(ledger.stop.remote())
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = searcher.stopping = True
    ray.get(ledger.rest.remote())
    watch(ray.get(ledger.view.remote()))
    if interrupted:
        raise KeyboardInterrupt
    if searcher.error is not None:
        raise RunError(searcher.error)
    if fit.error is not None:
        raise RunError(f"Ray Tune stopped: {fit.error}") from fit.error
    return not ray.get(ledger.waiting.remote())


class _Fit(threading.Thread):
    """`Tuner.fit` in a thread of its own, so that Ctrl-C reaches us and not Tune."""

    def __init__(self, job: Job, searcher: "_Legs", ledger: Any, arrays: Any, launch: int) -> None:
        super().__init__(name="tune", daemon=True)
        self.error: BaseException | None = None
        self._scratch = tempfile.mkdtemp(prefix="hpsearch-tune-")
        work = Work(str(job.folder.root.resolve()), job.seed, job.net, job.evaluate, job.checkpoint_s)
        trainable = tune.with_parameters(
            LegTrainable, work=work, arrays=arrays, ledger=ledger, launch=launch, device=job.device
        )
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


class LegTrainable(tune.Trainable):
    """A leg as a Tune trial of one step; the actor is used again for the next leg."""

    def setup(
        self, config: dict[str, Any], work: Work, arrays: Any, ledger: Any, launch: int, device: str
    ) -> None:
        self.work, self.ledger, self.launch, self.device = work, ledger, launch, device
        self.arrays: Arrays = ray.get(arrays) if isinstance(arrays, ray.ObjectRef) else arrays

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.config = new_config
        return True

    def step(self) -> dict[str, Any]:
        try:
            if "shapes" in self.config:
                found = _probe_shapes(
                    self.config["shapes"], self.work, self.arrays, self.device, self.config["workers"]
                )
                return {"done": True, "probes": found}
            self._run(self.config["leg"], self.config["params"])
        except StaleLaunchError:
            raise
        except Exception as error:  # a leg that fails is retried; the reason travels with the result
            last = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"
            return {"done": True, "failure": reason[:2000]}
        return {"done": True}

    def _run(self, leg: Leg, params: Sequence[Mapping[str, Any]]) -> None:
        if not ray.get(self.ledger.start.remote(self.launch, leg.leg, leg.trials)):
            return
        ended = run_leg(leg, params, self.work, self.arrays, self.device, self._beat)
        ray.get(self.ledger.report.remote(self.launch, leg.leg, ended.outcomes))

    def _beat(self, share: float) -> bool:
        return bool(ray.get(self.ledger.beat.remote(self.launch, self.config["leg"].leg, share)))


class _Legs(Searcher):
    """Hands work to Tune: first the probes of shapes that no plan has, then the legs, longest first.

    A leg that failed comes back, then in halves, then its trial fails. Tune never asks again a searcher that
    said FINISHED, so that is said only when nothing runs.
    """

    def __init__(self, job: Job, plan: Plan, launch: int, ledger: Any, waiting: Sequence[int]) -> None:
        super().__init__(metric=None, mode=None)
        self.job, self.plan, self.launch, self.ledger = job, plan, launch, ledger
        self.stopping = False
        self.error: str | None = None
        self._waiting = set(waiting)
        self._queue: list[Leg] = []
        self._running: dict[str, Leg | list[Shape]] = {}
        self._attempts: dict[int, int] = {}
        narrow = ray.cluster_resources()["CPU"] <= job.workers  # then Ray itself holds back what is too many
        self._most = job.workers * (_STAGED if narrow else 1)
        self._probes: dict[str, probing.Probe] = {}
        missing = sorted(set(range(len(job.params))) - plan.trials)
        self._groups = packing.by_shape({number: job.params[number] for number in missing})
        shapes = [
            Shape(name, [job.params[trial] for trial in trials[:64]], len(trials))
            for name, trials in self._groups.items()
        ]
        self._to_probe = [shapes[i :: job.workers] for i in range(job.workers) if shapes[i :: job.workers]]
        if not shapes:
            self._enqueue()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        open_for_more = not self.stopping and len(self._running) < self._most
        if open_for_more and self._to_probe:
            shapes = self._running[trial_id] = self._to_probe.pop(0)
            return {"shapes": shapes, "workers": self.job.workers}
        if open_for_more and self._queue:
            leg = self._running[trial_id] = self._queue.pop(0)
            return {"leg": leg, "params": [self.job.params[trial] for trial in leg.trials]}
        if self._running or (not self.stopping and (self._queue or self._to_probe)):
            return None
        return str(Searcher.FINISHED)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        try:
            self._ended(trial_id, result or {}, error)
        except Exception as fault:  # Tune would log it and go on without us
            self.error, self.stopping = f"{type(fault).__name__}: {fault}", True

    def _ended(self, trial_id: str, result: dict[str, Any], error: bool) -> None:
        entry = self._running.pop(trial_id, None)
        if entry is None:
            return
        reason = "the worker died" if error else result.get("failure")
        if isinstance(entry, Leg):
            if reason is not None:
                self._again(entry, reason)
        elif reason is not None:
            self.error, self.stopping = f"a net cannot be tried out: {reason}", True
        else:
            self._probes |= dict(result["probes"])
            if len(self._probes) == len(self._groups):
                first = max((leg.leg for leg in self.plan.legs), default=-1) + 1
                cpus = os.cpu_count() or 1
                legs = packing.pack(self._groups, self._probes, self.job.workers, cpus, first)
                self.plan = self.plan.extended(legs)
                self._enqueue()

    def _enqueue(self) -> None:
        self.plan.write(self.job.folder.plan)
        self._queue = [leg for leg in self.plan.latest() if self._waiting & set(leg.trials)]

    def _again(self, leg: Leg, reason: str) -> None:
        attempts = self._attempts[leg.leg] = self._attempts.get(leg.leg, 0) + 1
        if attempts < _ATTEMPTS:
            self._queue.insert(0, leg)
        elif len(leg.trials) > 1:
            halves = self.plan.halves(leg)
            self.plan = self.plan.extended(halves)
            self.plan.write(self.job.folder.plan)
            self._attempts |= {half.leg: _ATTEMPTS - 1 for half in halves}
            self._queue = halves + self._queue
        else:
            ray.get(self.ledger.fail.remote(self.launch, leg.trials, leg.leg, reason))

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger and the plan are the state."""

    def restore(self, checkpoint_path: str) -> None:
        raise RunError("a search is resumed from its ledger, not from Tune's snapshot")


@dataclass(frozen=True)
class Shape:
    """Trials of one shape that are to be probed."""

    name: str
    params: Sequence[Mapping[str, Any]]
    trials: int


def _known_plan(job: Job) -> Plan:
    """The plan of the run folder, or the one given, or an empty one."""
    path = job.folder.plan
    return packing.read(path) if path.exists() else job.plan or Plan(())


def _probe_shapes(shapes: Sequence[Shape], work: Work, arrays: Arrays, device: str, workers: int) -> list[Any]:
    """Probes shapes on a worker, so that they are measured where they will train; pairs of name and probe."""
    import torch

    keep_heap()
    torch.set_num_threads(1)
    settings = Settings(work.seed, NETS[work.net], "vmap", device)
    memory = _free_memory(device) / (2 * workers)
    return [(s.name, probing.probe(settings, arrays, s.params, s.trials, memory)) for s in shapes]


def _free_memory(device: str) -> float:
    """Bytes that are free on this machine's device."""
    if device == "cpu":
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    import torch

    return float(torch.cuda.mem_get_info()[0])
