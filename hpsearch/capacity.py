"""What there is to train on: this machine, or a Ray cluster as it is when a launch begins."""

from dataclasses import dataclass

import torch
from joblib import cpu_count


@dataclass(frozen=True)
class Capacity:
    """`shared`: the nodes of a cluster, which other work may use and which may come and go."""

    cpus: int
    gpus: float
    shared: bool = False

    @classmethod
    def here(cls) -> "Capacity":
        """This machine's."""
        return cls(cpu_count(), torch.cuda.device_count())

    @property
    def told(self) -> str:
        return f"this cluster has {self.gpus:g} GPUs" if self.shared else f"this machine has {self.gpus:g} GPUs"
