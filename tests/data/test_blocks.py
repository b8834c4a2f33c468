"""Rows that are no evidence each of its own."""

import numpy as np
import pandas as pd

from hpsearch.data.blocks import blocks
from hpsearch.study import Split

TABLE = pd.DataFrame(
    {
        "patient": ["a", "b", "a", "c", "b", "c"],
        "day": ["2026-01-03", "2026-01-01", "2026-01-02", "2026-01-01", "2026-01-04", "2026-01-05"],
    }
)
ROWS = np.array([5, 3, 1, 0])


def test_rows_of_a_group_are_a_block() -> None:
    found = blocks(TABLE, Split(group="patient"), ROWS, "s.yaml")
    assert found is not None
    assert found.tolist() == [0, 0, 1, 2]


def test_time_is_cut_into_stretches_and_rows_of_one_moment_stay_together() -> None:
    found = blocks(TABLE, Split(time="day"), ROWS, "s.yaml")
    assert found is not None
    assert found[1] == found[2] < found[3] < found[0]
    days = pd.date_range("2026-01-01", periods=400).astype(str)
    many = blocks(pd.DataFrame({"day": days[::-1]}), Split(time="day"), np.arange(400), "s.yaml")
    assert many is not None
    assert np.bincount(many).tolist() == [20] * 20
    assert (np.diff(many) <= 0).all()


def test_else_there_are_none() -> None:
    assert blocks(TABLE, Split(), ROWS, "s.yaml") is None
    assert blocks(None, Split(group="patient"), ROWS, "s.yaml") is None
