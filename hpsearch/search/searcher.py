"""Hands a search's work to Ray Tune."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ray.tune.search import Searcher

from hpsearch.errors import DiskFullError, RunError
from hpsearch.pack.probe import Probe, untried
from hpsearch.search import packing
from hpsearch.search.actors import Ask
from hpsearch.search.job import Job
from hpsearch.search.messages import Failure, words
from hpsearch.search.packing import Leg
from hpsearch.search.recover import Found
from hpsearch.search.worker import Shape

_ATTEMPTS = 3  # of a leg, before its rows are split; one that did not fit in memory is split at once
_PROBED = 0.15  # of a timeout that trying nets out may take; what is left out waits for the next launch


class Legs(Searcher):
    """Hands work to Tune: first the probes of shapes that no plan has, then the legs, longest first.

    `ledger` is asked and answers; `begun` waits for the launch's number, and is called only when the first leg is
    due, so that workers and ledger start side by side. `most`: how many legs Tune is given at once.

    A leg that failed comes back, then in halves, then its trial fails. Tune never asks again a searcher that
    said FINISHED, so that is said only when nothing runs.

    `tell` hears in words what went wrong and what is done about it. `deaths` is filled by who sees workers die.
    """

    def __init__(
        self, job: Job, found: Found, ledger: Ask, begun: Callable[[], int], most: float,
        tell: Callable[[str], None],
    ) -> None:  # fmt: skip
        super().__init__(metric=None, mode=None)
        self.job, self.plan, self._ledger, self._begun, self._tell = job, found.plan, ledger, begun, tell
        self._most = most
        self._todo, self._next_leg = found.todo, found.next_leg
        self.launch = 0
        self.stopping = self.planned = False
        self.error: str | None = None
        self.deaths: dict[str, str] = {}
        self._queue: list[Leg] = []
        self._running: dict[str, Leg | list[Shape]] = {}
        self._attempts: dict[int, int] = {}
        self._errors: dict[int, str | None] = {}  # the signature of each leg's last failure
        self._probes: dict[str, Probe | None] = {}
        self._probe_deaths: dict[str, int] = {}
        missing = sorted(found.todo - self.plan.trials)
        if job.objective is not None:
            threads = max(job.cpus // job.workers, 1)
            self.plan = self.plan.extended(packing.singles(missing, threads, found.next_leg))
            missing = []
        self._groups = packing.by_shape({number: job.params[number] for number in missing}, job.structural)
        shapes = [
            Shape(name, [job.params[trial] for trial in trials[:64]], len(trials))
            for name, trials in self._groups.items()
        ]
        self._to_probe = [shapes[i :: job.workers] for i in range(job.workers)] if shapes else []
        self._waited_for = bool(shapes)
        if not shapes:
            self._enqueue()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        legs = sum(isinstance(entry, Leg) for entry in self._running.values())
        open_for_more = not self.stopping and legs < self._most
        if open_for_more and self._to_probe:
            shapes = self._running[trial_id] = self._to_probe.pop(0)
            budget = math.inf if self.job.timeout_s is None else _PROBED * self.job.timeout_s
            return {"shapes": shapes, "workers": self.job.workers, "budget_s": budget}
        if open_for_more and self._queue:
            leg = self._running[trial_id] = self._queue.pop(0)
            params = [self.job.params[trial] for trial in leg.trials]
            if legs + 1 >= self.job.workers or not self._queue:
                self._let_workers_go()
            return {"leg": leg, "params": params, "launch": self.launch}
        if self._running or (not self.stopping and (self._queue or self._to_probe)):
            return None
        return str(Searcher.FINISHED)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Takes in what a worker has probed; the worker then waits for the plan."""
        if "probes" in result:
            with self._told():
                self._take_in(dict(result["probes"]))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        with self._told():
            self._ended(trial_id, result or {}, error)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except DiskFullError as fault:
            self.error, self.stopping = words(fault), True
        except Exception as fault:  # Tune would log it and go on without us
            self.error, self.stopping = f"{type(fault).__name__}: {words(fault)}", True

    def _ended(self, trial_id: str, result: dict[str, Any], error: bool) -> None:
        entry = self._running.pop(trial_id, None)
        if entry is None:
            return
        failure: Failure | None = result.get("failure")
        if error:
            failure = Failure("death", self.deaths.pop(trial_id, "the worker died"))
        if failure is None:
            return
        if failure.kind == "full":
            self.error, self.stopping = failure.text, True
        elif isinstance(entry, Leg):
            self._again(entry, self._named(failure, entry))
        else:
            self._probe_again(entry, self._hung_probe(failure))

    def _hung_probe(self, failure: Failure) -> Failure:
        """The failure, with its cause where the process was ended because a net hung."""
        for path in sorted((self.job.folder.root / "logs").glob("probe-*.hang")):
            if failure.kind == "death" and path.stat().st_size > 0:
                kept = path.replace(path.with_suffix(".hung"))
                what = f"no step ended within {self.job.hang_s:g} s (resources.trial_timeout)"
                return Failure("hang", f"{what}; what it was doing: {kept}")
        return failure

    def _probe_again(self, shapes: list[Shape], failure: Failure) -> None:
        """Shapes whose probe took the worker along are tried again, each by itself; then their legs must do."""
        for shape in shapes:
            deaths = self._probe_deaths[shape.name] = self._probe_deaths.get(shape.name, 0) + 1
            if deaths < _ATTEMPTS:
                self._to_probe.append([shape])
            else:
                self._tell(f"{shape.name}: cannot be tried out: {failure.text}")
                self._take_in({shape.name: untried(shape.trials, failure.text)})
        if self._to_probe:
            self._tell(f"a worker died while it tried nets out ({failure.text}); they are tried out again")

    def _named(self, failure: Failure, leg: Leg) -> Failure:
        """The failure, with its cause where the process was ended because the leg hung."""
        hang = self.job.folder.hang(leg.leg)
        if self.job.hang_s is not None and failure.kind == "death" and hang.exists() and hang.stat().st_size > 0:
            text = (
                f"no epoch ended within {self.job.hang_s:g} s (resources.trial_timeout); what it was doing: {hang}"
            )
            return Failure("hang", text)
        return failure

    def _take_in(self, probes: Mapping[str, Probe | None]) -> None:
        """Once every shape is probed, or left out for want of time, there is a plan."""
        known = len(self._probes)
        self._probes |= probes
        for name, probe in probes.items():
            if probe is None or not probe.ms.keys() <= {"loop"} or (probe.rows == 1 and not probe.ms):
                continue
            self._tell(f"{name or 'the net'}: trials are looped: {probe.why}")
        if known < len(self._groups) == len(self._probes):
            self._make_plan()

    def _make_plan(self) -> None:
        probes = {name: probe for name, probe in self._probes.items() if probe is not None}
        groups = {name: trials for name, trials in self._groups.items() if name in probes}
        legs = packing.pack(
            groups, probes, self.job.workers, self.job.cpus, self._next_leg, self._rows_in_time(groups, probes)
        )
        self.plan = self.plan.extended(legs)
        self._enqueue()
        if not self._queue:
            self._let_workers_go()

    def _rows_in_time(
        self, groups: Mapping[str, Sequence[int]], probes: Mapping[str, Probe]
    ) -> dict[str, int] | None:
        """How many rows of each shape train to their end in a fourth of the timeout, as its probe says."""
        if self.job.timeout_s is None:
            return None
        found = {}
        for shape, trials in groups.items():
            params = self.job.params[trials[0]]
            count = len(self.job.arrays.train.y) * float(params["train_share"])
            steps = max(int(count) // int(params["batch_size"]), 1) * int(params["epochs"])
            row_s = probes[shape].row_ms * steps / 1000
            found[shape] = max(int(self.job.timeout_s / 4 / max(row_s, 1e-9)), 1)
        return found

    def _let_workers_go(self) -> None:
        """Ends the trials that probed. Earlier, Tune might end their actors: no leg would wait for them."""
        if self._waited_for:
            self._waited_for = False
            self.planned = True
            self._ledger("plan_is_made")

    def _enqueue(self) -> None:
        self.plan.write(self.job.folder.plan)
        self.launch = self._begun()
        self._queue = [leg for leg in self.plan.latest() if self._todo & set(leg.trials)]

    def _again(self, leg: Leg, failure: Failure) -> None:
        """Gives a leg that failed another chance, or its halves; at last its one trial fails.

        An error that recurs at once is not tried a third time.
        """
        attempts = self._attempts[leg.leg] = self._attempts.get(leg.leg, 0) + 1
        recurs = failure.signature is not None and self._errors.get(leg.leg) == failure.signature
        self._errors[leg.leg] = failure.signature
        over = attempts >= _ATTEMPTS or recurs
        failure = self._with_log(failure, leg)
        same = ", the same error again" if recurs else ""
        said = f"leg {leg.leg} failed ({attempts} of {_ATTEMPTS}{same}): {failure.text}"
        if len(leg.trials) > 1 and (failure.kind == "memory" or over):
            halves = self.plan.halves(leg, failure.text[:200])
            self.plan = self.plan.extended(halves)
            self.plan.write(self.job.folder.plan)
            if failure.kind != "memory":
                self._attempts |= {half.leg: _ATTEMPTS - 1 for half in halves}
                self._errors |= {half.leg: failure.signature for half in halves}
            self._queue = halves + self._queue
            self._tell(f"{said}; its {len(leg.trials)} rows go on as legs {halves[0].leg} and {halves[1].leg}")
        elif not over:
            self._queue.insert(0, leg)
            self._tell(f"{said}; it is tried again")
        else:
            self._tell(f"{said}; its trial {leg.trials[0]} is given up")
            self._ledger("fail", self.launch, leg.trials, leg.leg, failure.text)

    def _with_log(self, failure: Failure, leg: Leg) -> Failure:
        """The failure, with the file that has its whole traceback."""
        if failure.kind != "error":
            return failure
        return replace(failure, text=f"{failure.text}; its traceback: {self.job.folder.leg_log(leg.leg)}")

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger and the plan are the state."""

    def restore(self, checkpoint_path: str) -> None:
        raise RunError("a search is resumed from its ledger, not from Tune's snapshot")
