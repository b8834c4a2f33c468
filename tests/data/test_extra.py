"""Extra training data: behind the training part's own, never anywhere else, with a weight that is each row's."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpsearch.data.load import Dataset, load
from hpsearch.errors import UserError
from hpsearch.study import Data

N = 60


def frame(n: int = N, **changes: Any) -> pd.DataFrame:
    rng = np.random.default_rng(n)
    return pd.DataFrame(
        {"a": rng.normal(size=n), "word": rng.choice(["x", "y"], n), "y": ["no", "yes"] * (n // 2), **changes}
    )


def prepare(folder: Path, extra: pd.DataFrame, **data: Any) -> Dataset:
    frame().to_csv(folder / "a.csv", index=False)
    extra.to_csv(folder / "more.csv", index=False)
    return load(
        Data.model_validate({"source": "a.csv", "target": "y", "extra": "more.csv", **data}), folder, "s.yaml"
    )


def test_they_come_last_in_training_and_are_scaled_as_it_is(tmp_path: Path) -> None:
    dataset = prepare(tmp_path, frame(20))
    plain = load(Data(source="a.csv", target="y"), tmp_path, "s.yaml")
    assert dataset.train.extra is not None
    assert dataset.train.extra.tolist() == [False] * 36 + [True] * 20
    assert np.array_equal(dataset.train.x[:36], plain.train.x)
    assert np.array_equal(dataset.train.x[36:], plain.schema.transform(frame(20), "s"))  # type: ignore[arg-type]
    assert dataset.train.y[36:].tolist() == [0, 1] * 10
    assert np.array_equal(dataset.validation.x, plain.validation.x)
    assert np.array_equal(dataset.test.x, plain.test.x)
    assert set(dataset.train.index) & set(dataset.validation.index) == set()
    assert dataset.notes[-1] == "extra: 20 more training rows"
    assert dataset.fingerprint() != plain.fingerprint()


def test_weights_of_the_source_stay_and_theirs_are_one(tmp_path: Path) -> None:
    frame().assign(w=np.arange(N) % 3).to_csv(tmp_path / "b.csv", index=False)
    dataset = prepare(tmp_path, frame(20, w=9), source="b.csv", weight="w")
    assert dataset.train.weight is not None
    assert dataset.train.weight[36:].tolist() == [1] * 20


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (frame(20).drop(columns="word"), "data.extra: the column 'word' is missing"),
        (frame(20).drop(columns="y"), "data.extra: no column 'y' in more.csv"),
        (
            frame(20, y=["maybe"] * 20),
            "data.extra: has the class 'maybe', which the source has not; choose from no",
        ),
        (frame(20, y=[None] * 20), "data.extra: row 0 has no target"),
        (frame(20, a=["one"] * 20), "the column 'a' holds numbers, but row 0 has 'one'"),
    ],
)
def test_extra_data_that_do_not_fit_are_refused(extra: pd.DataFrame, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        prepare(tmp_path, extra)
    assert said in str(caught.value)


def test_extra_data_of_another_kind_or_from_code_are_refused(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "a.csv", index=False)
    for extra, said in (("sklearn:digits", "is of another kind than the source"), ("my:load", "must be a file")):
        with pytest.raises(UserError, match=said):
            load(Data(source="a.csv", target="y", extra=extra), tmp_path, "s.yaml")
