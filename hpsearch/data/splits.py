"""Training, validation and test parts: by share and seed, or by a column of the data."""

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from hpsearch.errors import UserError

PARTS = ("train", "validation", "test")


def by_share(y: np.ndarray, validation: float, test: float, seed: int, stratify: bool) -> dict[str, np.ndarray]:
    """Row numbers of each part, sorted; the same for the same seed, whatever the study's seed."""
    rows = np.arange(len(y))
    labels = y if stratify else None
    rest, test_rows = train_test_split(rows, test_size=test, random_state=seed, stratify=labels)
    left = y[rest] if stratify else None
    train, validation_rows = train_test_split(
        rest, test_size=validation / (1 - test), random_state=seed, stratify=left
    )
    return {"train": np.sort(train), "validation": np.sort(validation_rows), "test": np.sort(test_rows)}


def in_two(
    rows: np.ndarray, y: np.ndarray, share: float, seed: int, stratify: bool
) -> tuple[np.ndarray, np.ndarray]:
    """These rows without a share of them, and that share; both sorted.

    Raises:
        ValueError: there are too few rows.
    """
    rest, drawn = train_test_split(
        rows, test_size=share, random_state=seed, stratify=y[rows] if stratify else None
    )
    return np.sort(rest), np.sort(drawn)


def by_group(groups: pd.Series, validation: float, test: float, seed: int) -> dict[str, np.ndarray]:
    """Row numbers of each part, by share of the groups: rows of one group are all in one part.

    Raises:
        ValueError: there are too few groups.
    """
    rows, names = np.arange(len(groups)), groups.astype("string").fillna("").to_numpy()
    rest, test_rows = next(GroupShuffleSplit(1, test_size=test, random_state=seed).split(rows, groups=names))
    again = GroupShuffleSplit(1, test_size=validation / (1 - test), random_state=seed)
    train, validation_rows = next(again.split(rest, groups=names[rest]))
    return {"train": rest[train], "validation": rest[validation_rows], "test": test_rows}


def by_time(times: np.ndarray, validation: float, test: float) -> dict[str, np.ndarray]:
    """Row numbers of each part: the earliest train, the latest test; rows of one time are all in one part.

    Raises:
        ValueError: there are too few times.
    """
    order = np.sort(times)
    cuts = [order[min(round(len(times) * share), len(times) - 1)] for share in (1 - validation - test, 1 - test)]
    part = np.searchsorted(cuts, times, side="right")
    parts = {name: np.flatnonzero(part == place) for place, name in enumerate(PARTS)}
    empty = [name for name, rows in parts.items() if len(rows) == 0]
    if empty:
        raise ValueError(f"no time is left for {empty[0]}")
    return parts


def by_column(column: pd.Series, place: str) -> dict[str, np.ndarray]:
    """Row numbers of each part, from a column that holds train, validation, test."""
    values = column.astype("string").fillna("")
    unknown = sorted(set(values) - set(PARTS))
    if unknown:
        raise UserError(f"{place}: data.split.column: holds {unknown[0]!r}; choose from {', '.join(PARTS)}")
    parts = {part: np.flatnonzero(values == part) for part in PARTS}
    for part, rows in parts.items():
        if len(rows) == 0:
            raise UserError(f"{place}: data.split.column: no row is marked {part!r}")
    return parts
