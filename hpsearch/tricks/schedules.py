"""Learning-rate schedules as fractions of a trial's own run, never in somebody else's epochs.

Each is a pure function of the progress in [0, 1) after the warm-up and of columns; all give the rate as
lr_min + (lr - lr_min) * shape.
"""

from collections.abc import Callable, Mapping

import numpy as np

Shape = Callable[[np.ndarray, Mapping[str, np.ndarray]], np.ndarray]


def constant(progress: np.ndarray, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """The same rate throughout: the safe default, decay is tuned at the very end."""
    return np.ones_like(progress)


def cosine(progress: np.ndarray, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Half a cosine from lr down to lr_min (Loshchilov & Hutter 2017, "SGDR", one period)."""
    return np.asarray(0.5 * (1 + np.cos(np.pi * progress)))


def cyclic(progress: np.ndarray, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """`cycles` equal cosine periods, each restarting at lr (Loshchilov & Hutter 2017, "SGDR").

    The weights at the minima give an ensemble (Huang et al. 2017, "Snapshot Ensembles"): nothing else is to be
    set, the net at the end of each cycle is a candidate of its own, and its kind is `snapshot`.
    """
    within = np.mod(progress * columns["cycles"], 1.0)
    return np.asarray(0.5 * (1 + np.cos(np.pi * within)))


def one_cycle(progress: np.ndarray, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Up from a 25th of lr for three tenths of the run, then down to lr_min, each by half a cosine.

    (Smith 2018, arXiv 1803.09820, in torch.optim.lr_scheduler.OneCycleLR's form, without its cycle of momentum.)
    Allows a higher lr than a constant rate does.
    """
    rise = np.minimum(progress / _RISE, 1)
    fall = np.clip((progress - _RISE) / (1 - _RISE), 0, 1)
    up = _FIRST + (1 - _FIRST) * 0.5 * (1 - np.cos(np.pi * rise))
    return np.where(progress < _RISE, up, 0.5 * (1 + np.cos(np.pi * fall)))


def step(progress: np.ndarray, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Falls to `lr_decay` of itself `lr_drops` times, after equal shares of the run (He et al. 2016, ResNet)."""
    return np.asarray(columns["lr_decay"] ** np.floor(progress * (columns["lr_drops"] + 1) + 1e-9))


_RISE, _FIRST = 0.3, 1 / 25  # of one_cycle
SCHEDULES: dict[str, Shape] = {
    "constant": constant, "cosine": cosine, "one_cycle": one_cycle, "step": step, "cyclic": cyclic,
}  # fmt: skip


def rates(
    kinds: list[str], columns: Mapping[str, np.ndarray], step_KS: np.ndarray, total_K1: np.ndarray
) -> np.ndarray:
    """The learning rates of K rows at S steps, float64 [K, S]; `step` counts from 0, `total` is a row's last.

    `warmup`: the share of the run in which the rate rises linearly to the schedule's first; 0.02 to 0.1 for deep
    nets, large batches or high rates (Goyal et al. 2017, arXiv 1706.02677).
    """
    first_K1 = np.round(columns["begins"] * total_K1)  # of a trial that goes on: the schedule is of what is left
    warm_K1 = np.round(columns["warmup"] * total_K1)
    progress_KS = np.clip((step_KS - first_K1 - warm_K1) / np.maximum(total_K1 - first_K1 - warm_K1, 1), 0, 1)
    shape_KS = np.empty_like(progress_KS)
    for kind in set(kinds):
        rows = [k for k, name in enumerate(kinds) if name == kind]
        shape_KS[rows] = SCHEDULES[kind](
            progress_KS[rows], {name: column[rows] for name, column in columns.items()}
        )
    ramp_KS = np.minimum((step_KS + 1) / np.maximum(warm_K1, 1), 1)
    lr_K1, floor_K1 = columns["lr"], np.minimum(columns["lr_min"], columns["lr"])
    return np.asarray((floor_K1 + (lr_K1 - floor_K1) * shape_KS) * ramp_KS)
