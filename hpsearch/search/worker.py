"""What runs on a worker: a leg, as a Ray Tune trial of one step; before the first, the probes of shapes."""

import gc
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray import tune

from hpsearch.data.dataset import Arrays
from hpsearch.errors import DiskFullError
from hpsearch.files import is_full
from hpsearch.folder import Folder
from hpsearch.pack import probe as probing
from hpsearch.pack.probe import Probe
from hpsearch.pack.train import Settings
from hpsearch.safe_path import restore_environment
from hpsearch.search.actors import Ask, ask
from hpsearch.search.failures import line_of, signature, words_of
from hpsearch.search.legs import Work, run_leg, watched
from hpsearch.search.messages import Failure, Outcome, StaleLaunchError, words
from hpsearch.search.packing import Leg
from hpsearch.search.relay import Mark, Relay
from hpsearch.search.signals import die_with_parent, ignore_ctrl_c

_POLL_S = 0.05
_POLLS_A_SECOND = 200  # of all workers together
_PATIENCE_S = 30.0  # then other probes may be waiting for this very worker, since a node has gone


@dataclass(frozen=True)
class Shape:
    """Trials of one shape that are to be probed."""

    name: str
    params: Sequence[Mapping[str, Any]]
    trials: int


class LegTrainable(tune.Trainable):
    """A leg as a Tune trial of one step; the actor is used again for the next leg.

    A trial that probes has two steps: it measures its shapes, and it waits until Tune has legs for the workers.
    Tune ends an actor for which nothing is staged, and until there is a plan nothing is.
    """

    def setup(self, config: dict[str, Any], work: Work, arrays: Any, ledger: Any, mark: Mark, files: Any) -> None:
        ignore_ctrl_c()
        die_with_parent()
        restore_environment()
        self.relay = Relay(mark, ask(files))
        self.work = replace(work, root=str(self.relay.folder.root), node=ray.util.get_node_ip_address())
        self.ledger = ask(ledger)
        if work.metric is not None:
            work.metric.register()
        self.arrays: Arrays = ray.get(arrays) if isinstance(arrays, ray.ObjectRef) else arrays

    def cleanup(self) -> None:
        self.relay.leave()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.config = new_config
        return True

    def step(self) -> dict[str, Any]:
        config = self.config
        try:
            if "leg" in config:
                self._run(config["leg"], config["params"])
            elif self.iteration == 0:
                shapes, workers = config["shapes"], config["workers"]
                return {"probes": _probe_shapes(shapes, self.work, self.arrays, workers, config["budget_s"])}
            else:
                until = time.monotonic() + _PATIENCE_S
                while self.ledger("awaits_plan") and time.monotonic() < until:
                    time.sleep(max(_POLL_S, config["workers"] / _POLLS_A_SECOND))
        except StaleLaunchError:
            raise
        except (Exception, SystemExit) as error:  # a leg that fails is retried; the reason travels with the result
            return {"done": True, "failure": _failure(error)}
        return {"done": True}

    def _run(self, leg: Leg, params: Sequence[Mapping[str, Any]]) -> None:
        launch = self.config["launch"]
        if not self.ledger("start", launch, leg.leg, leg.trials):
            return
        relay, folder = self.relay, self.relay.folder
        relay.fetch(folder.rows(number) for number in (leg.leg, *leg.after))
        listener = _Telling(self.ledger, launch, leg.leg, relay)
        try:
            outcomes = run_leg(leg, params, self.work, self.arrays, listener)
        finally:
            relay.send(folder.leg_log(leg.leg))
            if self.work.objective is not None:
                for trial in leg.trials:
                    relay.send(folder.trial(trial))
        self.ledger("report", launch, leg.leg, outcomes)


@dataclass(frozen=True)
class _Telling:
    """Tells the ledger how a leg goes."""

    ledger: Ask
    launch: int
    leg: int
    relay: Relay

    def stored(self, path: Path) -> None:
        self.relay.send(path)

    def beat(self, share: float) -> bool:
        return bool(self.ledger("beat", self.launch, self.leg, share))

    def kept(self, outcomes: Mapping[int, Outcome]) -> set[int]:
        found: set[int] = self.ledger("kept", self.launch, outcomes)
        return found


def _failure(error: BaseException) -> Failure:
    import torch

    kind = "error"
    if isinstance(error, DiskFullError) or is_full(error):
        return Failure("full", words(error))
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or _NO_MEMORY.search(words_of(error)):
        kind = "memory"
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return Failure(kind, line_of(error)[:2000], signature(error) if kind == "error" else None)


# torch's words for a CPU's memory that is at its end
_NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|bad_alloc|cannot allocate memory", re.IGNORECASE)


def _probe_shapes(
    shapes: Sequence[Shape], work: Work, arrays: Arrays, workers: int, budget_s: float
) -> list[tuple[str, Probe | None]]:
    """Probes shapes on a worker, so that they are measured where they will train; pairs of name and probe.

    Once the budget is over the others are left out: None.
    """
    import torch

    torch.set_num_threads(1)
    settings = Settings(work.seed, work.net.factory(), "vmap", work.device)
    memory = _free_memory(work.device) / (2 * workers)
    end = time.monotonic() + budget_s
    found: list[tuple[str, Probe | None]] = []
    with watched(Folder(Path(work.root)).probe_hang(os.getpid()), work.hang_s) as alive:
        for shape in shapes:
            late = bool(found) and time.monotonic() > end
            found.append((shape.name, None if late else _probe(shape, settings, arrays, memory, alive)))
    return found


def _probe(shape: Shape, settings: Settings, arrays: Arrays, memory: float, alive: Callable[[], None]) -> Probe:
    """What probing a shape gave. One that cannot be tried out is left to its legs, whose trials then fail."""
    try:
        return probing.probe(settings, arrays, shape.params, shape.trials, memory, alive)
    except Exception as error:
        return probing.untried(shape.trials, _failure(error).text)


def _free_memory(device: str) -> float:
    """Bytes that are free on this machine's device."""
    if device == "cpu":
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    import torch

    return float(torch.cuda.mem_get_info()[0])
