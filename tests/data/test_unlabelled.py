"""Inputs without a target: scaled as the training part, refused where they do not fit."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpsearch.data.load import load
from hpsearch.errors import UserError
from hpsearch.study import Data

N = 60


def frame(rows: int = N) -> pd.DataFrame:
    rng = np.random.default_rng(rows)
    return pd.DataFrame(
        {"a": rng.normal(3, 2, rows), "word": rng.choice(["x", "y"], rows), "y": ["no", "yes"] * (rows // 2)}
    )


def test_rows_are_scaled_as_the_training_part_and_need_no_target(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "a.csv", index=False)
    more = frame(20).drop(columns="y").assign(other=1)
    more.to_csv(tmp_path / "more.csv", index=False)
    plain = load(Data(source="a.csv", target="y"), tmp_path, "s")
    dataset = load(Data(source="a.csv", target="y", unlabelled="more.csv"), tmp_path, "s")
    assert plain.unlabelled is None
    assert dataset.unlabelled is not None
    assert np.array_equal(dataset.unlabelled, plain.schema.transform(more, "s"))  # type: ignore[arg-type]
    assert np.array_equal(dataset.train.x, plain.train.x)
    assert dataset.notes[-1] == "unlabelled: 20 rows"
    assert dataset.fingerprint() != plain.fingerprint()


def test_an_npz_needs_x_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", x=rng.normal(size=(N, 3)), y=np.arange(N) % 2)
    np.savez(tmp_path / "more.npz", x=rng.normal(size=(7, 3)))
    dataset = load(Data(source="a.npz", unlabelled="more.npz"), tmp_path, "s")
    assert dataset.unlabelled is not None
    assert dataset.unlabelled.shape == (7, 3)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.csv", "no such file"),
        ("sklearn:digits", "data.unlabelled: 'sklearn:digits' must be a file; choose from .csv"),
        ("b.npz", "b.npz is of another kind than the source"),
        ("short.csv", "data.unlabelled: the column 'word' is missing"),
        ("empty.csv", "data.unlabelled: empty.csv has no rows"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, said: str, tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "a.csv", index=False)
    np.savez(tmp_path / "b.npz", x=np.zeros((3, 2)))
    frame(20).drop(columns="word").to_csv(tmp_path / "short.csv", index=False)
    frame(20).head(0).to_csv(tmp_path / "empty.csv", index=False)
    with pytest.raises(UserError) as caught:
        load(Data(source="a.csv", target="y", unlabelled=name), tmp_path, "s")
    assert said in str(caught.value)


def test_categories_are_read_as_in_training(tmp_path: Path) -> None:
    """A file of numbers alone would be read as numbers, and 007 as 7."""
    codes = ["007", "x", "y"] * (N // 3)
    frame().assign(word=codes).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame({"a": [1.0, 2.0], "word": ["007", "7"]}).to_csv(tmp_path / "more.csv", index=False)
    dataset = load(Data(source="a.csv", target="y", unlabelled="more.csv"), tmp_path, "s")
    assert dataset.unlabelled is not None
    assert dataset.unlabelled[:, 1:].tolist() == [[1, 0, 0], [0, 0, 0]]
