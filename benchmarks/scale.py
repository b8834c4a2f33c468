"""What a search costs beside its training: legs without any, through the real searcher, ledger and Ray Tune.

    .venv/bin/python benchmarks/scale.py real --trials 100 1000 10000 --workers 8
    .venv/bin/python benchmarks/scale.py real --trials 600 --workers 20 --trial-s 1
    .venv/bin/python benchmarks/scale.py simulated --trials 1000 10000 100000 --workers 1000 --tune-ms 12
    .venv/bin/python benchmarks/scale.py reopened --trials 100000

`real`: workers are Ray actors on logical CPUs; a leg's rows sleep as long as they would train. The driver's time
is the processor time of the process that launches and of the ledger's, a trial. `utilisation` is the share of the
workers' time that is training, from the launch to its end; `between`, from each worker's first leg to its last.
`simulated`: no Ray. The same searcher and ledger answer events of workers that are numbers; the clock goes on by
what their calls took, by `--tune-ms` a leg for Ray Tune, and by `--call-ms` for an actor's call, as `real` has
measured them. Driver and ledger each do one thing at a time.
`reopened`: from a finished search, how long until the next launch knows that nothing is left to train.
"""

import argparse
import heapq
import itertools
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from hpsearch.ondemand import OnDemand
from hpsearch.prepare import prepare
from hpsearch.search.job import Job
from hpsearch.search.ledger import Ledger
from hpsearch.search.messages import Entry, Outcome
from hpsearch.search.packing import Leg, Plan
from hpsearch.search.progress import Quiet
from hpsearch.space import drawn_and_fixed

STUDY = """
name: scale
data: {source: "sklearn:digits"}
search: {trials: %d, space: recipe}
"""


def job_of(folder: Path, trials: int, rows: int, workers: int) -> Job:
    """The job of the `recipe` space; its plan's legs have so many rows."""
    from hpsearch.folder import Folder

    path = folder / "study.yaml"
    path.write_text(STUDY % trials)
    prepared = prepare(path)
    draws = prepared.draws
    legs = [
        Leg(n, tuple(range(first, min(first + rows, trials))), "vmap", 1, 1.0, "")
        for n, first in enumerate(range(0, trials, rows))
    ]
    return Job(
        name="scale", folder=Folder(folder / "run"), seed=0, net=prepared.net,
        entries=OnDemand(trials, lambda n: Entry(draws[n], *drawn_and_fixed(prepared.space, draws[n], n))),
        params=OnDemand(trials, prepared.params), structural=prepared.space.structural(), arrays=prepared.arrays,
        workers=workers, plan=Plan(tuple(legs)), data="none", cpus=workers,
    )  # fmt: skip


def ended(leg: Leg) -> dict[int, Outcome]:
    """How trials end that nobody trained."""
    values = {trial: random.Random(trial).random() for trial in leg.trials}
    return {
        n: Outcome(value, {"log_loss": value, "accuracy": 1 - value}, 3, 40, 1.0, leg.leg, bytes=50_000)
        for n, value in values.items()
    }


# --- real ---------------------------------------------------------------------------------------------------


def real(trials: int, rows: int, workers: int, trial_s: float) -> dict[str, float]:
    """A search on a Ray cluster of this machine."""

    from hpsearch.search import runner
    from hpsearch.search.cluster import cluster
    from hpsearch.search.worker import LegTrainable

    class Idle(LegTrainable):
        """Says what a leg says, and trains nothing."""

        def _run(self, leg: Leg, params: Any) -> None:
            launch = self.config["launch"]
            if not self.ledger("start", launch, leg.leg, leg.trials):
                return
            began = time.monotonic()
            end = began + trial_s * len(leg.trials)
            while (left := end - time.monotonic()) > 0:
                time.sleep(min(left, self.work.beat_s))
                self.ledger("beat", launch, leg.leg, 0.5)
            found = ended(leg)
            with Path(self.work.root, f"worker-{os.getpid()}").open("a") as file:
                print(began, time.monotonic(), file=file)
            self.ledger("kept", launch, found)
            self.ledger("report", launch, leg.leg, found)

    with tempfile.TemporaryDirectory(prefix="scale-") as place:
        job = job_of(Path(place), trials, rows, workers)
        with cluster(workers):
            seen = Seen()
            began, used = time.monotonic(), time.process_time()
            assert runner.run(job, None, seen, Idle)
            wall, used = time.monotonic() - began, time.process_time() - used
        times = [np.loadtxt(path, ndmin=2) for path in job.folder.root.glob("worker-*")]
    first, last = seen.times[0], seen.times[-1]
    return {
        "trials": trials, "workers": workers, "rows": rows, "wall_s": wall, "to_first_s": first - began,
        "driver_ms": 1000 * used / trials, "ledger_ms": 1000 * seen.ledger_s / trials,
        "wall_ms": 1000 * (last - first) / trials, "driver_MB": peak_mb(), "ledger_MB": seen.ledger_mb,
        "utilisation": trials * trial_s / (workers * wall),
        "between": sum(legs[:, 1].sum() - legs[:, 0].sum() for legs in times)
        / sum(legs[-1, 1] - legs[0, 0] for legs in times),
    }  # fmt: skip


class Seen(Quiet):
    """When trials had ended; what the ledger's process has used."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.ledger_s = self.ledger_mb = self._before_s = 0.0
        self._ledger: psutil.Process | None = None

    def progress(self, view: Any) -> None:
        if not self.times or view.share > 0:
            self.times.append(time.monotonic())
        if self._ledger is None:
            own = (
                p for p in psutil.process_iter(["cmdline"]) if "_LedgerActor" in " ".join(p.info["cmdline"] or ())
            )
            self._ledger = next(own, None)
        if self._ledger is not None:
            try:
                times = self._ledger.cpu_times()
                used = times.user + times.system
                self._before_s = self._before_s or used  # its imports
                self.ledger_s, self.ledger_mb = used - self._before_s, self._ledger.memory_info().rss / 1e6
            except psutil.NoSuchProcess:
                return


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


# --- simulated ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Costs:
    """What is not run here: Ray Tune's time a leg, and that of an actor's call."""

    tune_s: float
    call_s: float


@dataclass
class Server:
    """Does one thing at a time; `free` is when it is through with what it was asked."""

    free: float = 0.0
    busy: float = 0.0

    def serve(self, now: float, more: float, work: Callable[..., Any], *given: Any) -> Any:
        """Does the work when it comes to it; what it took, and `more`, goes onto the clock."""
        began = time.perf_counter()
        answer = work(*given)
        took = time.perf_counter() - began + more
        self.free = max(self.free, now) + took
        self.busy += took
        return answer


class Simulation:
    """Workers that are numbers, around the real searcher and ledger: events in the order of their times."""

    def __init__(
        self, searcher: Any, ledger: Ledger, launch: int, workers: int, trial_s: float, costs: Costs
    ) -> None:
        from hpsearch.search.runner import _BEAT_S, _BEATS_A_SECOND

        self.searcher, self.ledger, self.launch, self.trial_s, self.costs = (
            searcher,
            ledger,
            launch,
            trial_s,
            costs,
        )
        self.beat_s = max(_BEAT_S, workers / _BEATS_A_SECOND)
        self.driver, self.book, self.trained, self.beats_s = Server(), Server(), 0.0, 0.0
        self._chance, self._numbers = random.Random(0), itertools.count()
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        for _ in range(workers):
            self._at(0.0, self._idle)

    def run(self) -> float:
        """To the end; gives when that was."""
        now = 0.0
        while self._events:
            now, _, happens, given = heapq.heappop(self._events)
            happens(now, *given)
        return max(now, self.driver.free, self.book.free)

    def _at(self, when: float, happens: Callable[..., None], *given: Any) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), happens, given))

    def _idle(self, now: float) -> None:
        name = f"leg-{next(self._numbers)}"
        config = self.driver.serve(now, 0.0, self.searcher.suggest, name)
        if not isinstance(config, dict):
            return  # nothing is left for this worker
        self.driver.serve(now, self.costs.tune_s, lambda: None)
        leg: Leg = config["leg"]
        self.book.serve(self.driver.free, self.costs.call_s, self.ledger.start, self.launch, leg.leg, leg.trials)
        takes = sum(self.trial_s * self._chance.uniform(0.5, 1.5) for _ in leg.trials)
        self.trained += takes
        over = self.book.free + takes
        self._at(over, self._over, name, leg)
        self._beats_from(self.book.free, leg, over)

    def _beats_from(self, now: float, leg: Leg, over: float) -> None:
        if now + self.beat_s < over:
            self._at(now + self.beat_s, self._beat, leg, over)

    def _beat(self, now: float, leg: Leg, over: float) -> None:
        before = self.book.busy
        self.book.serve(now, self.costs.call_s, self.ledger.beat, self.launch, leg.leg, 0.5)
        self.beats_s += self.book.busy - before
        self._beats_from(now, leg, over)

    def _over(self, now: float, name: str, leg: Leg) -> None:
        found = ended(leg)
        self.book.serve(now, self.costs.call_s, self.ledger.kept, self.launch, found)
        self.book.serve(self.book.free, self.costs.call_s, self.ledger.report, self.launch, leg.leg, found)
        self.driver.serve(self.book.free, 0.0, self.searcher.on_trial_complete, name, {"done": True})
        self._at(self.driver.free, self._idle)


def simulated(trials: int, rows: int, workers: int, trial_s: float, costs: Costs) -> dict[str, float]:
    from hpsearch.search.recover import recover
    from hpsearch.search.searcher import Legs

    with tempfile.TemporaryDirectory(prefix="scale-") as place:
        job = job_of(Path(place), trials, rows, workers)
        began = time.perf_counter()
        job.folder.create()
        found = recover(job, print)
        ledger = Ledger(str(job.folder.ledger), job.name, job.direction, job.budget_bytes)
        launch = ledger.begin(job.entries[found.entered :], job.data, found.entered)
        searcher = Legs(job, found, direct(ledger), lambda: launch, 2 * workers, print)
        opening_s = time.perf_counter() - began
        simulation = Simulation(searcher, ledger, launch, workers, trial_s, costs)
        wall = simulation.run()
        assert not ledger.waiting()
        return {
            "trials": trials, "workers": workers, "rows": rows, "wall_s": wall,
            "opening_ms": 1000 * opening_s / trials, "driver_ms": 1000 * simulation.driver.busy / trials,
            "ledger_ms": 1000 * (simulation.book.busy - simulation.beats_s) / trials,
            "beats_share": simulation.beats_s / wall, "both_MB": peak_mb(),
            "journal_MB": job.folder.ledger.stat().st_size / 1e6,
            "utilisation": simulation.trained / (workers * wall),
        }  # fmt: skip


def direct(ledger: Ledger) -> Callable[..., Any]:
    """Asks the ledger itself, where the searcher would ask its actor."""
    return lambda method, *given: getattr(ledger, method)(*given)


# --- reopened -----------------------------------------------------------------------------------------------


def reopened(trials: int, rows: int, workers: int) -> dict[str, float]:
    """A search of which the last leg is left: what comes before its training when it is launched again."""
    from hpsearch.search.recover import recover

    with tempfile.TemporaryDirectory(prefix="scale-") as place:
        job = job_of(Path(place), trials, rows, workers)
        job.folder.create()
        assert job.plan is not None
        child = os.fork()
        if not child:  # which holds the ledger until it ends
            ledger = Ledger(str(job.folder.ledger), job.name, job.direction, 0.0)
            launch = ledger.begin(job.entries, job.data)
            for leg in job.plan.legs[:-1]:
                ledger.start(launch, leg.leg, leg.trials)
                ledger.report(launch, leg.leg, ended(leg))
            job.plan.write(job.folder.plan)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        began = time.perf_counter()
        again = replace(job_of(Path(place), trials, rows, workers), budget_bytes=0.0)
        prepared_s = time.perf_counter() - began
        found = recover(again, lambda text: None)  # nothing is on disk of the one row that always stays
        recovered_s = time.perf_counter() - began
        ledger = Ledger(str(job.folder.ledger), job.name, job.direction, 0.0)
        ledger.begin(again.entries[found.entered :], job.data, found.entered)
        assert sorted(ledger.waiting()) == list(job.plan.legs[-1].trials), found.todo
        return {
            "trials": trials, "prepared_s": prepared_s, "recovered_s": recovered_s,
            "reopened_s": time.perf_counter() - began, "MB": peak_mb(),
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("real", "simulated", "reopened"))
    parser.add_argument("--trials", type=int, nargs="+", default=[1000])
    parser.add_argument("--rows", type=int, default=16, help="of a leg")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trial-s", type=float, default=0.0, help="a trial's time on its worker")
    parser.add_argument("--tune-ms", type=float, default=12.0, help="Ray Tune's time a leg, for `simulated`")
    parser.add_argument("--call-ms", type=float, default=0.5, help="an actor's call, for `simulated`")
    given = parser.parse_args()
    for trials in given.trials:
        if given.what == "real":
            told = real(trials, given.rows, given.workers, given.trial_s)
        elif given.what == "simulated":
            costs = Costs(given.tune_ms / 1000, given.call_ms / 1000)
            told = simulated(trials, given.rows, given.workers, given.trial_s, costs)
        else:
            told = reopened(trials, given.rows, given.workers)
        print(", ".join(f"{name} {value:.4g}" for name, value in told.items()), flush=True)


if __name__ == "__main__":
    main()
