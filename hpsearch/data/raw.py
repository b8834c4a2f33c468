"""Data as they lie at their source, before anything is recognised or split."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hpsearch.errors import UserError

MOST_BYTES = 8e9  # of a data set's inputs


@dataclass(frozen=True)
class Raw:
    """Data as read. `table` has named columns (the target among them), or `x` and `y` [N] are arrays.

    Images are [N, C, H, W], channels first; other inputs [N, D]. `part`, where the source itself is split: train,
    validation, test, or an empty word for each row, [N]. `pictures`: decoded from picture files. `notes`: what a
    person should know of the reading. `typed`: the table's columns have types of their own, which those of a CSV
    have not: there the target's are text, as the file has them.
    """

    name: str
    table: pd.DataFrame | None = None
    target: str | None = None
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    part: np.ndarray | None = None
    pictures: bool = False
    notes: tuple[str, ...] = ()
    typed: bool = True


def channels_first(x: np.ndarray, place: str, channels: str | None = None) -> np.ndarray:
    """Images as [N, C, H, W], and volumes; grey images get their channel; other arrays as they are.

    `channels`: first or last, as the study says. If it says nothing, first, unless the shape looks like the other.

    Raises:
        UserError: they may have their channels last, or have none.
    """
    if channels is not None and x.ndim < 4:
        raise UserError(f"{place}: data.channels: is for images with channels, got {list(x.shape)}; leave it out")
    if channels == "last":
        return np.moveaxis(x, -1, 1)
    if channels is None and _looks_last(x.shape[1:]):
        wanted = [len(x), x.shape[-1], *x.shape[1:-1]]
        raise UserError(
            f"{place}: images are channels first: x must be {wanted}, got {list(x.shape)}, which looks like "
            "channels last. data.channels: last takes it so, and data.channels: first takes it as it stands"
        )
    return x[:, None] if x.ndim == 3 else x


def _looks_last(shape: tuple[int, ...]) -> bool:
    """Whether images or volumes of a shape may have their channels last.

    Of images the last axis is then the shortest, or the first two are alike and the third is not. Volumes
    have as many shapes as there are instruments: of them only a last axis of at most 4, shorter than all others.
    """
    if len(shape) == 3:
        first, second, last = shape
        return last < min(first, second) or (first == second != last and first > 2)
    return len(shape) > 3 and shape[-1] <= 4 and shape[-1] < min(shape[:-1])
