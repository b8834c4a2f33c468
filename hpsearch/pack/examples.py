"""What rows are trained and judged on, on their device.

Shapes: K rows, N examples of a batch, C outputs.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from hpsearch import keyed
from hpsearch.data.dataset import Arrays
from hpsearch.tricks.losses import Targets

_PART = 4096  # examples at a time


@dataclass(frozen=True)
class Batch:
    """Each row's own examples: x [K, N, ...] and targets [K, N].

    Where there is a teacher, what it says [K, N, C]; where examples have weights, those [K, N]; where some are
    extra, whether they are; where some have a teacher alone, whether they have a label.
    """

    x: Tensor
    targets: Targets
    teacher: Tensor | None = None
    weight: Tensor | None = None
    extra: Tensor | None = None
    labelled: Tensor | None = None


def passed(x: np.ndarray, front: nn.Module | None) -> np.ndarray:
    """Inputs as they come out of a front, part by part."""
    if front is None:
        return x
    with torch.no_grad():
        parts = [front(torch.from_numpy(x[at : at + _PART].copy())) for at in range(0, len(x), _PART)]
    return torch.cat(parts).numpy()


def share_of(arrays: Arrays, share: float, seed: int) -> np.ndarray | None:
    """The training examples that a trial may see, by their places; None where that is all.

    `train_share`: the share of the training examples that a trial may see, the same ones for every trial of a
    study; smaller shares are parts of larger ones. It answers what more data would buy: a learning curve. Extra
    data stay whole. Scales, chosen features and the cuts of `pieces` are known from all, which flatters small
    shares a little.
    """
    own, count = len(arrays.train.own_y), len(arrays.train.y)
    if share >= 1:
        return None
    order = keyed.permutations(keyed.keys(seed, [0], "train share"), own)[0]
    return np.concatenate([np.sort(order[: max(round(share * own), 1)]), np.arange(own, count)])


_LABELLED = 4  # one example in so many, where a teacher speaks of others too


def held_out(folds: np.ndarray) -> list[np.ndarray]:
    """The places of each fold's examples."""
    return [np.flatnonzero(folds == fold) for fold in range(folds.max() + 1)]


class Examples:
    """The training and the validation part as tensors; every row draws its batches from the same.

    Behind the training part lie the examples that a teacher alone has something to say of. In cross-validation
    both parts are the same, and a row trains on all but the fold that it holds out.
    """

    def __init__(
        self,
        arrays: Arrays,
        device: torch.device,
        dtype: torch.dtype,
        front: nn.Module | None = None,
        kept: np.ndarray | None = None,
    ) -> None:
        """`front` is what inputs pass through before a net, `kept` the places of the examples to train on."""
        train = arrays.train if kept is None else arrays.train.at(kept)

        def place(array: np.ndarray) -> Tensor:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # shared arrays are read-only, and only read
                tensor = torch.from_numpy(array).to(device)
            return tensor.to(dtype) if tensor.is_floating_point() else tensor

        self.device = device
        self.x, self.y = place(passed(train.x, front)), place(arrays.target.scaled(train.y))
        self.x_validation = place(passed(arrays.validation.x, front))
        folds = arrays.folds if arrays.folds is None or kept is None else arrays.folds[kept]
        self._trained = None if folds is None else [np.flatnonzero(folds != f) for f in range(folds.max() + 1)]
        self._held_out = None if arrays.folds is None else held_out(arrays.folds)
        self.y_validation = torch.tensor(arrays.validation.y, device=device)  # in its own precision
        self.labelled = len(self.y)
        teacher = arrays.teacher if arrays.teacher is None or kept is None else arrays.teacher[kept]
        if arrays.pool is not None:
            assert teacher is not None
            self.x = torch.cat([self.x, place(passed(arrays.pool.x, front))])
            teacher = np.concatenate([teacher, arrays.pool.teacher])
        more = len(self.x) - self.labelled
        self.y = torch.cat([self.y, self.y.new_zeros(more)])
        self.teacher = None if teacher is None else place(teacher)
        self.weight = None if train.weight is None else pad(place(train.weight), (0, more), value=1.0)
        self.extra = None if train.extra is None else pad(place(train.extra), (0, more), value=False)

    def __len__(self) -> int:
        """How many an epoch has: those with a label, in cross-validation those of the smallest row."""
        return self.labelled if self._trained is None else min(map(len, self._trained))

    def order(self, keys_K: np.ndarray, has_teacher_K: np.ndarray, folds: Sequence[int | None]) -> np.ndarray:
        """The places of each row's examples in an epoch, int64 [K, N]; those without a label need a teacher."""
        if self._trained is not None:
            mine = [self._trained[fold or 0] for fold in folds]
            orders = [keyed.permutations(keys_K[k : k + 1], len(own))[0] for k, own in enumerate(mine)]
            return np.stack([own[order[: len(self)]] for own, order in zip(mine, orders, strict=True)])
        order_KN = keyed.permutations(keys_K, len(self))
        for k in np.flatnonzero(has_teacher_K) if len(self.x) > self.labelled else ():
            order_KN[k] = self._with_pool(keys_K[k : k + 1], order_KN[k])
        return order_KN

    def _with_pool(self, key: np.ndarray, order_N: np.ndarray) -> np.ndarray:
        """An epoch of which a quarter has a label; the rest, as far as there are so many, a teacher alone."""
        pool = keyed.permutations(keyed.fold(key, 1), len(self.x) - self.labelled)[0] + self.labelled
        taken = pool[: len(order_N) - len(order_N) // _LABELLED]
        both = np.concatenate([order_N[: len(order_N) - len(taken)], taken])
        return np.asarray(both[keyed.permutations(keyed.fold(key, 2), len(both))[0]])

    def held_out(self, folds: Sequence[int | None]) -> list[np.ndarray] | None:
        """The places in the validation part of what each row is judged on; None where that is all of it."""
        return None if self._held_out is None else [self._held_out[fold or 0] for fold in folds]

    def spread(self, size: int, count: int, folds: Sequence[int | None]) -> list[Tensor]:
        """`count` batches of inputs from all over the training part, [size, ...] for every row the same.

        In cross-validation each row has its own, [K, size, ...].
        """
        places = np.arange(size * count) * len(self) // (size * count)
        if self._trained is None:
            return [self.x[torch.from_numpy(places[i::count]).to(self.device)] for i in range(count)]
        own_KN = np.stack([self._trained[fold or 0][places] for fold in folds])
        return [self.x[torch.from_numpy(own_KN[:, i::count]).to(self.device)] for i in range(count)]

    def batch(self, index_KN: np.ndarray) -> Batch:
        """The examples with these places, int64 [K, N]."""
        index = torch.from_numpy(index_KN).to(self.device)
        flat, size = index.reshape(-1), tuple(index.shape)

        def gathered(tensor: Tensor) -> Tensor:
            found: Tensor = tensor.index_select(0, flat).unflatten(0, size)
            return found

        teacher = None if self.teacher is None else gathered(self.teacher)
        weight = None if self.weight is None else gathered(self.weight)
        extra = None if self.extra is None else gathered(self.extra)
        labelled = index < self.labelled if len(self.x) > self.labelled else None
        return Batch(gathered(self.x), Targets(gathered(self.y)), teacher, weight, extra, labelled)
