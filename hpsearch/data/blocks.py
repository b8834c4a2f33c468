"""Which rows belong together: those of a group, or of one stretch of time, are no evidence each of its own."""

import numpy as np
import pandas as pd

from hpsearch.data.load import times
from hpsearch.study import Split

_STRETCHES = 20  # that time is cut into


def blocks(
    table: pd.DataFrame | None, split: Split, index_N: np.ndarray, place: str, form: str | None = None
) -> np.ndarray | None:
    """The block of each of these rows of a table, int64 [N]; None where the split is by neither group nor time.

    `form`: the format that the study names for the column of times.
    """
    name = split.group or split.time
    if name is None or table is None:
        return None
    if split.group is not None:
        return np.asarray(pd.factorize(table[name].iloc[index_N])[0], dtype=np.int64)
    moments = times(table[name], f"{place}: data.split.time", form)[index_N]
    order = pd.Series(moments).rank(method="min").to_numpy() - 1
    return (order * _STRETCHES // max(len(order), 1)).astype(np.int64)
