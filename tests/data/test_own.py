"""Data from a loader of the user's own."""

from pathlib import Path

import numpy as np
import pytest

from hpsearch.code import find
from hpsearch.data.load import Dataset, load
from hpsearch.data.preprocess import Category, TableSchema
from hpsearch.errors import UserError
from hpsearch.prepare import prepare
from hpsearch.study import Data

LOADERS = """
import numpy as np
import pandas as pd
import torch

X, Y = np.arange(120.0).reshape(60, 2), np.arange(60) % 2


def arrays():
    return X, Y


def table():
    return pd.DataFrame({"a": X[:, 0], "word": ["x", "y", "z"] * 20, "y": Y}, index=range(100, 160))


class Pairs(torch.utils.data.Dataset):
    def __len__(self):
        return 60

    def __getitem__(self, i):
        return torch.from_numpy(X[i]).view(1, 1, 2), int(Y[i])


def dataset():
    return Pairs()


def parts():
    return {"train": (X[:40], Y[:40]), "test": (X[40:], Y[40:])}


def all_parts():
    return {"train": (X[:30], Y[:30]), "validation": (X[30:45], Y[30:45]), "test": Tail()}


def unlike_parts():
    frame = table()
    return {"train": frame[:40], "test": frame[40:].rename(columns={"a": "A"})}


def categories_by_part():
    frame = pd.DataFrame({"c": np.tile([1, 2], 30), "y": Y})
    later = frame[40:].assign(c=np.tile([1, 3, 2, 3], 5))
    parts = {"train": pd.concat([frame[:40], later]), "test": later[later.c != 2]}
    return {name: part.astype({"c": "category"}) for name, part in parts.items()}


def rounding_parts():
    # the test part has a gap, so its identifiers are floats
    frame = pd.DataFrame({"who": 2**53 + np.arange(60) % 3, "y": Y})
    rest = frame[40:].astype({"who": float})
    rest.iloc[0, 0] = np.nan
    return {"train": frame[:40], "test": rest}


def spelled_labels():
    return X, np.array(["01", "1"] * 30)


class Tail:
    def __len__(self):
        return 15

    def __getitem__(self, i):
        return X[45 + i], Y[45 + i]


def raises():
    return X[100]


def number():
    return 3


def nan():
    return np.where(X == 7, np.nan, X), Y


def words():
    return np.array([["a"]] * 60), Y


def three():
    return X, Y, Y


def two_labels():
    return X, np.stack([Y, Y], 1)


def short():
    return X, Y[:-1]


def floats():
    return X, Y.astype(float)


def wrong_part():
    return {"train": (X, Y), "dev": (X, Y)}


def takes(path):
    return X, Y


def last():
    return np.zeros((60, 5, 5, 3)), Y
"""


def loaded(folder: Path, name: str, **data: object) -> Dataset:
    (folder / "my_loaders.py").write_text(LOADERS)
    source = f"my_loaders:{name}"
    return load(
        Data.model_validate({"source": source, **data}),
        folder,
        "s.yaml",
        find(source, folder, "s.yaml: data.source"),
    )


@pytest.fixture(autouse=True)
def _no_litter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)


@pytest.mark.parametrize("name", ["arrays", "dataset", "floats"])
def test_arrays_and_datasets_are_examples(name: str, tmp_path: Path) -> None:
    dataset = loaded(tmp_path, name)
    assert (len(dataset.train.y), len(dataset.validation.y), len(dataset.test.y)) == (36, 12, 12)
    assert dataset.target.classes == ("0", "1")
    assert dataset.train.x.shape[1:] == ((1, 1, 2) if name == "dataset" else (2,))


def test_a_table_is_read_as_a_csv_is(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, "table", target="y")
    assert dataset.kind == "tables"
    assert dataset.train.x.shape == (36, 4)
    assert sorted([*dataset.train.index, *dataset.validation.index, *dataset.test.index]) == list(range(60))


def test_parts_that_the_loader_makes_stay(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, "parts")
    assert sorted([*dataset.train.index, *dataset.validation.index]) == list(range(40))
    assert len(dataset.validation.y) == 8
    assert dataset.test.index.tolist() == list(range(40, 60))
    whole = loaded(tmp_path, "all_parts")
    assert (len(whole.train.y), len(whole.validation.y), len(whole.test.y)) == (30, 15, 15)


def test_a_category_stays_one_whatever_values_a_part_has_of_it(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, "categories_by_part", target="y")
    assert isinstance(dataset.schema, TableSchema)
    (column,) = dataset.schema.columns
    assert isinstance(column, Category)
    assert column.categories == ("1", "2", "3")


def test_large_identifiers_of_a_part_are_not_rounded(tmp_path: Path) -> None:
    schema = loaded(tmp_path, "rounding_parts", target="y", categorical=["who"]).schema
    assert isinstance(schema, TableSchema)
    (column,) = schema.columns
    assert isinstance(column, Category)
    assert column.categories == tuple(str(2**53 + i) for i in range(3))


def test_labels_of_a_loader_keep_their_spelling(tmp_path: Path) -> None:
    assert loaded(tmp_path, "spelled_labels").target.classes == ("01", "1")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raises", "my_loaders:raises failed: IndexError: index 100 is out of bounds"),
        ("number", "my_loaders:number gave int; give a pair (x, y), a DataFrame, a torch Dataset"),
        ("nan", "x holds NaN or infinity in row 3"),
        ("words", "my_loaders:words: x must be numbers, one row an example, got <U1 [60, 1]"),
        ("three", "my_loaders:three gave 3 things; give a pair (x, y)"),
        ("two_labels", "y must have one value a row of x (60), got shape [60, 2]"),
        ("short", "y must have one value a row of x (60), got shape [59]"),
        ("wrong_part", "my_loaders:wrong_part gave a mapping of train, dev; give a pair"),
        ("unlike_parts", "my_loaders:unlike_parts: the column 'A' is in test and not in train"),
        ("takes", "my_loaders:takes failed: TypeError: takes() missing 1 required positional argument"),
        ("last", "images are channels first: x must be [60, 3, 5, 5], got [60, 5, 5, 3]"),
        ("nothing", "has no function 'nothing'; choose from Pairs, Tail, all_parts"),
    ],
)
def test_a_loader_that_gives_something_else_is_refused(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        loaded(tmp_path, name)
    assert said in str(caught.value)
    assert str(caught.value).startswith("s.yaml: data.source: ")
    assert "\n" not in str(caught.value)


def test_a_study_says_which_file_its_data_come_from_before_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "my_loaders.py").write_text("print('imported')\n" + LOADERS)
    (tmp_path / "s.yaml").write_text(
        "name: s\ndata: {source: 'my_loaders:arrays'}\nparams: {lr: 1, batch_size: 8}"
    )
    heard: list[str] = []
    prepared = prepare(tmp_path / "s.yaml", tell=heard.append)
    assert heard == [f"data: my_loaders:arrays is arrays of {tmp_path}/my_loaders.py"]
    assert [code.spec for code in prepared.code] == ["my_loaders:arrays"]
    assert np.array_equal(np.sort(prepared.dataset.train.index), prepared.dataset.train.index)
