from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpsearch.errors import UserError
from hpsearch.prepare import prepare


def study_of(folder: Path, rows: int, params: str = "") -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=rows), "y": np.arange(rows) % 2})
    frame.to_csv(folder / "few.csv", index=False)
    path = folder / "study.yaml"
    path.write_text(f"name: few\ndata: {{source: few.csv, target: y}}\nparams: {{epochs: 2{params}}}\n")
    return path


def test_training_rows_that_do_not_fill_the_default_batch_are_one_batch(tmp_path: Path) -> None:
    told: list[str] = []
    prepared = prepare(study_of(tmp_path, 40), tell=told.append)
    rows = len(prepared.arrays.train.y)
    assert prepared.space.highest("batch_size") == prepared.space.lowest("batch_size") == rows
    assert told == [f"batch_size: {rows}, all training rows, since they do not fill the default"]


def test_a_share_of_the_training_rows_counts(tmp_path: Path) -> None:
    prepared = prepare(study_of(tmp_path, 160, ", train_share: 0.5"))
    assert prepared.space.highest("batch_size") == round(len(prepared.arrays.train.y) * 0.5)


def test_a_batch_that_the_study_names_is_not_changed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="training part has"):
        prepare(study_of(tmp_path, 40, ", batch_size: 64"))
