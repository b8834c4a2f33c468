"""What runs on a worker: a leg, as a Ray Tune trial of one step; before the first, the probes of shapes."""

import os
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune

from hpsearch.data.dataset import Arrays
from hpsearch.nets.build import NETS
from hpsearch.pack import probe as probing
from hpsearch.pack.train import Settings
from hpsearch.search.legs import Work, run_leg
from hpsearch.search.messages import StaleLaunchError
from hpsearch.search.packing import Leg
from hpsearch.search.signals import ignore_ctrl_c

_POLL_S = 0.05


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

    def setup(self, config: dict[str, Any], work: Work, arrays: Any, ledger: Any, device: str) -> None:
        ignore_ctrl_c()
        self.work, self.ledger, self.device = work, ledger, device
        self.arrays: Arrays = ray.get(arrays) if isinstance(arrays, ray.ObjectRef) else arrays

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
                return {"probes": _probe_shapes(shapes, self.work, self.arrays, self.device, workers)}
            else:
                while ray.get(self.ledger.awaits_plan.remote()):
                    time.sleep(_POLL_S)
        except StaleLaunchError:
            raise
        except Exception as error:  # a leg that fails is retried; the reason travels with the result
            last = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"
            return {"done": True, "failure": reason[:2000]}
        return {"done": True}

    def _run(self, leg: Leg, params: Sequence[Mapping[str, Any]]) -> None:
        launch = self.config["launch"]
        if not ray.get(self.ledger.start.remote(launch, leg.leg, leg.trials)):
            return

        def beat(share: float) -> bool:
            return bool(ray.get(self.ledger.beat.remote(launch, leg.leg, share)))

        ended = run_leg(leg, params, self.work, self.arrays, self.device, beat)
        ray.get(self.ledger.report.remote(launch, leg.leg, ended.outcomes))


def _probe_shapes(shapes: Sequence[Shape], work: Work, arrays: Arrays, device: str, workers: int) -> list[Any]:
    """Probes shapes on a worker, so that they are measured where they will train; pairs of name and probe."""
    import torch

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
