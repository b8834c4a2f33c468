"""θ: the parameters of K nets of one shape as the rows of one matrix, and what belongs to a row.

Shapes: K rows, P parameters of one net.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hpsearch.nets.layers import Dropout

_ALIGNED = 16  # numbers; 64 bytes of float32


@dataclass(frozen=True)
class Slot:
    """Where one parameter of the net lies in a row."""

    name: str
    shape: torch.Size
    start: int
    stop: int


class Rows:
    """The state of K nets in training: θ, gradients, two moments, and the nets' buffers, stacked.

    `modules[k]` is row k's own net. Its parameters and buffers are views of row k, so running it alone and
    running all rows at once read and write the same numbers. Parameters that need no gradient are stacked
    beside the buffers. A tied parameter is stored once.
    """

    def __init__(self, modules: Sequence[nn.Module], device: torch.device) -> None:
        self.modules = [module.to(device) for module in modules]
        self.device = device
        trained = [(n, p) for n, p in self.modules[0].named_parameters() if p.requires_grad]
        if not trained:
            raise ValueError("the net has no parameter that needs a gradient")
        self.slots: list[Slot] = []
        for name, parameter in trained:
            start = self.slots[-1].stop if self.slots else 0
            self.slots.append(Slot(name, parameter.shape, start, start + parameter.numel()))
        self.dtype = trained[0][1].dtype
        self.theta = self._matrix(len(self.modules))
        self.buffers: dict[str, Tensor] = {}
        self._gather()
        self.grad, self.first, self.second, self.work = (self._matrix(len(modules)) for _ in range(4))
        self.scratch: dict[str, Tensor] = {}  # what a way forward keeps from step to step instead of allocating
        self.draws: list[int] | None = None  # seeds of rows whose nets draw random numbers themselves
        self.dropouts = [name for name, m in self.modules[0].named_modules() if isinstance(m, Dropout)]

    def __len__(self) -> int:
        return len(self.theta)

    def _matrix(self, rows: int) -> Tensor:
        """Zeros [rows, P], each row at a multiple of 64 bytes.

        Products round differently at other addresses, and a row is to give the same bits in any place.
        """
        size = self.slots[-1].stop
        return torch.zeros(rows, -(-size // _ALIGNED) * _ALIGNED, dtype=self.dtype, device=self.device)[:, :size]

    def views(self, matrix: Tensor) -> dict[str, Tensor]:
        """The matrix [K, P] cut into the net's parameters, name → [K, ...], without copying."""
        return {s.name: matrix[:, s.start : s.stop].unflatten(1, s.shape) for s in self.slots}

    def _gather(self) -> None:
        """Copies each module's parameters and buffers into the matrices, then makes them views."""
        for k, module in enumerate(self.modules):
            own = dict(module.named_parameters())
            for slot in self.slots:
                self.theta[k, slot.start : slot.stop] = own[slot.name].detach().reshape(-1)
        frozen = {n for n, p in self.modules[0].named_parameters() if not p.requires_grad}
        stacked: dict[str, list[Tensor]] = {}
        for module in self.modules:
            for name, tensor in [*_buffers_of(module), *module.named_parameters()]:
                if name in frozen or not isinstance(tensor, nn.Parameter):
                    stacked.setdefault(name, []).append(tensor.detach())
        self.buffers = {name: torch.stack(tensors) for name, tensors in stacked.items()}
        self._bind()

    def _bind(self) -> None:
        """Points the modules at their rows."""
        self.dropout_layers = [m for module in self.modules for m in module.modules() if isinstance(m, Dropout)]
        for k, module in enumerate(self.modules):
            own = dict(module.named_parameters())
            for slot in self.slots:
                own[slot.name].data = self.theta[k, slot.start : slot.stop].view(slot.shape)
            for name, tensor in self.buffers.items():
                if name in own:
                    own[name].data = tensor[k]
                else:
                    _put_buffer(module, name, tensor[k])

    def set_buffer(self, name: str, value: Tensor) -> None:
        """Replaces a stacked buffer by another [K, ...]."""
        self.buffers[name] = value
        for k, module in enumerate(self.modules):
            _put_buffer(module, name, value[k])

    def collect_reassigned(self, k: int) -> None:
        """Takes back buffers that row k's net replaced, rather than wrote into, in its forward pass."""
        for name, tensor in _buffers_of(self.modules[k]):
            row = self.buffers[name][k]
            if tensor.data_ptr() != row.data_ptr():
                row.copy_(tensor)
                _put_buffer(self.modules[k], name, row)

    def state_names(self) -> list[str]:
        """The buffers that are a net's state: masks and per-row hyperparameters are not."""
        mine = tuple(f"{name}.{part}".lstrip(".") for name in self.dropouts for part in ("p", "mask"))
        return [name for name in self.buffers if not name.startswith(mine)]

    def keep(self, places: Sequence[int]) -> None:
        """Drops all rows but these."""
        index = torch.tensor(list(places), device=self.device)
        kept = [self._matrix(len(index)).copy_(m[index]) for m in (self.theta, self.first, self.second)]
        self.theta, self.first, self.second = kept
        self.grad, self.work = self._matrix(len(index)), self._matrix(len(index))
        self.scratch = {}
        self.buffers = {name: tensor[index] for name, tensor in self.buffers.items()}
        self.modules = [self.modules[k] for k in places]
        self.draws = None if self.draws is None else [self.draws[k] for k in places]
        self._bind()


def _buffers_of(module: nn.Module) -> list[tuple[str, Tensor]]:
    """Every buffer by its place; one that two layers share has two places, and is two, as after `.to(device)`."""
    return [
        (f"{path}.{leaf}".lstrip("."), tensor)
        for path, owner in module.named_modules()
        for leaf, tensor in owner._buffers.items()
        if tensor is not None
    ]


def _put_buffer(module: nn.Module, name: str, tensor: Tensor) -> None:
    path, _, leaf = name.rpartition(".")
    module.get_submodule(path)._buffers[leaf] = tensor
