"""A study that is sound: its space of parameters, its data, its code, and what training may see of them."""

from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from hpsearch.capacity import Capacity
from hpsearch.code import Code, Reference
from hpsearch.data.dataset import Arrays
from hpsearch.data.load import Dataset
from hpsearch.errors import UserError
from hpsearch.metrics import Own
from hpsearch.nets.build import Net
from hpsearch.ondemand import OnDemand
from hpsearch.space import Space, draw
from hpsearch.study import Study, seconds


@dataclass(frozen=True)
class Overrides:
    """What the command line changes in a study."""

    trials: int | None = None
    timeout: str | None = None
    seed: int | None = None
    workers: int | None = None

    def applied(self, study: Study, place: str) -> Study:
        """The study with these changes.

        Raises:
            UserError: one of them is out of range.
        """
        for name, least in (("trials", 1), ("workers", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < least):
                raise UserError(f"{place}: --{name}: must be an integer from {least}, got {value!r}")
        try:
            seconds("1s" if self.timeout is None else str(self.timeout))
        except ValueError as error:
            raise UserError(f"{place}: --timeout: {error}, got {self.timeout!r}") from None
        search = _updated(study.search, trials=self.trials, timeout=self.timeout)
        resources = _updated(study.resources, workers=self.workers)
        return study.model_copy(
            update={
                "search": search,
                "resources": resources,
                "seed": study.seed if self.seed is None else self.seed,
            }
        )


def _updated(model: Any, **changes: Any) -> Any:
    return model.model_copy(update={name: value for name, value in changes.items() if value is not None})


@dataclass(frozen=True)
class Prepared:
    """A sound study: its space of parameters, its data, and what training may see of it."""

    study: Study
    place: str
    base: Path
    net: Net
    code: tuple[Code, ...]  # of the user's own, which the study names
    metric: Own | None  # of the user's own
    objective: Reference | None  # a training function of the user's own
    space: Space
    dataset: Dataset
    arrays: Arrays
    searched: Arrays  # what trials are trained on: cross-validated where the study has folds, else the arrays
    capacity: Capacity = field(default_factory=Capacity.here)

    @cached_property
    def draws(self) -> OnDemand[dict[str, Any]]:
        """Each trial's params, as drawn."""
        return OnDemand(self.study.search.trials, partial(draw, self.space))

    def params(self, number: int) -> dict[str, Any]:
        """Trial `number`'s params with every default, as training reads them."""
        drawn = self.draws[number]
        return drawn if self.objective is not None else self.space.complete(drawn)

    def without_raw(self) -> "Prepared":
        """The same without the data as they were read, which only checks look at."""
        return replace(self, dataset=replace(self.dataset, raw=None))

    @property
    def gpus(self) -> float:
        """GPUs of a leg: what the study asks for, else one where there is one."""
        asked = self.study.resources.gpus_per_pack
        return float(self.capacity.gpus >= 1) if asked == "auto" else asked

    @property
    def device(self) -> str:
        """Where a leg trains; GPUs that Ray only counts are given to legs on the CPU with `device: cpu`."""
        asked = self.study.resources.device
        return asked if asked != "auto" else "cuda" if self.gpus > 0 else "cpu"

    @property
    def care(self) -> dict[str, Any]:
        """How a search looks after its rows and its legs: arguments of a Job."""
        resources = self.study.resources
        return {
            "checkpoint_s": seconds(resources.checkpoint),
            "hang_s": seconds(resources.trial_timeout) if resources.trial_timeout else None,
            "budget_bytes": resources.disk_gb * 1e9,
            "device": self.device,
            "cpus": self.capacity.cpus,
            "cluster": self.capacity.shared,
            "elastic": self.capacity.shared and resources.workers is None,
        }

    @property
    def workers(self) -> int:
        """Legs that train at once: what the study asks for, else as many as the GPUs or the cores carry."""
        carried = int(self.capacity.gpus / self.gpus) if self.gpus else self.capacity.cpus
        return self.study.resources.workers or max(carried, 1)
