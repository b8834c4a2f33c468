"""Data as they lie at their source, before anything is recognised or split."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hpsearch.errors import UserError


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


def channels_first(x: np.ndarray, place: str) -> np.ndarray:
    """Images as [N, C, H, W]: grey ones get their channel; other arrays as they are.

    Raises:
        UserError: they have their channels last.
    """
    if x.ndim == 4 and x.shape[3] in (1, 3, 4) and x.shape[1] not in (1, 3, 4):
        wanted = [len(x), x.shape[3], *x.shape[1:3]]
        raise UserError(f"{place}: images are channels first: x must be {wanted}, got {list(x.shape)}")
    return x[:, None] if x.ndim == 3 else x
