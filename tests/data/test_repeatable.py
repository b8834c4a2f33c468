"""Data of a loader are the same from call to call and from launch to launch, or refused with the reason."""

import itertools
import random
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import ConcatDataset, IterableDataset, Subset, TensorDataset, random_split

from hpsearch.data.items import AUGMENTATION, OTHERWISE
from hpsearch.data.own import read_own
from hpsearch.data.raw import Raw
from hpsearch.data.sketch import difference, sketch
from hpsearch.errors import UserError
from hpsearch.knobs import KNOBS

N = 40
X = torch.arange(3.0 * N * 16).reshape(N, 3, 4, 4)
Y = np.arange(N) % 2
PLAIN = TensorDataset(X, torch.tensor(Y))


def read(load: Callable[[], Any]) -> Raw:
    return read_own(load, "my:load", "s: data.source", str)


class Items:
    """A Dataset of a function of the place."""

    def __init__(self, item: Callable[[int], Any], count: Callable[[], int] = lambda: N) -> None:
        self._item, self._count = item, count

    def __len__(self) -> int:
        return self._count()

    def __getitem__(self, i: int) -> Any:
        return self._item(i)


# --- items that differ ------------------------------------------------------------------------------------------


def jitter(i: int) -> Any:
    return X[i] + torch.randn(3, 4, 4), Y[i]


def crop(i: int) -> Any:
    at = random.randrange(2)
    return X[i][:, at : at + 3], Y[i]


def rare_flip(i: int) -> Any:
    return (X[i].flip(2) if np.random.rand() < 0.2 else X[i]), Y[i]


def own_generator(i: int, rng: np.random.Generator = np.random.default_rng()) -> Any:  # noqa: B008
    return X[i].numpy() * rng.uniform(), Y[i]


def noisy_target(i: int) -> Any:
    return X[i], secrets.randbelow(10**6)


def in_place() -> Items:
    stored = X.clone()
    return Items(lambda i: (stored[i].mul_(0.5), Y[i]))


def counting() -> Items:
    count = itertools.count()
    return Items(lambda i: (X[i], next(count)))


CHANGING: dict[str, Callable[[], Any]] = {
    "jitter": lambda: Items(jitter),
    "crop": lambda: Items(crop),
    "rare flip": lambda: Items(rare_flip),
    "own generator": lambda: Items(own_generator),
    "target": lambda: Items(noisy_target),
    "in place": in_place,
    "counter": counting,
    "in a part": lambda: {"train": Items(jitter), "test": PLAIN},
    "Subset": lambda: Subset(Items(jitter), range(20)),  # type: ignore[arg-type]
    "ConcatDataset": lambda: ConcatDataset([PLAIN, Items(jitter)]),  # type: ignore[list-item]
}


@pytest.mark.parametrize("name", CHANGING)
def test_items_that_differ_from_read_to_read_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="gave a Dataset whose items differ from read to read: item ") as caught:
        read(CHANGING[name])
    assert "Training would be frozen to one random draw" in str(caught.value)
    assert "augmentation is parameters of the study (shift, flip," in str(caught.value)


def test_the_augmentation_that_is_named_exists() -> None:
    for kind, names in (("images", AUGMENTATION), ("arrays", OTHERWISE)):
        assert all(kind in (KNOBS[name].of or (kind,)) for name in names)
    with pytest.raises(UserError, match=r"augmentation is parameters of the study \(noise, mixup\)"):
        read(lambda: Items(lambda i: (np.random.rand(5), 0)))


def by_the_place(i: int) -> Any:
    return X[i] * np.random.default_rng(i).uniform(), Y[i]


STEADY: dict[str, Callable[[], Any]] = {
    "TensorDataset": lambda: PLAIN,
    "Subset": lambda: Subset(PLAIN, range(N)),
    "ConcatDataset": lambda: ConcatDataset([Subset(PLAIN, range(9)), Subset(PLAIN, range(9, N))]),
    "clamped in place": lambda: Items(lambda i: (X[i].clamp_(0), Y[i])),
    "NaN": lambda: Items(lambda i: (X[i], float("nan") if i == 3 else 1.0)),
}


@pytest.mark.parametrize("name", STEADY)
def test_items_that_stay_are_read(name: str) -> None:
    assert np.array_equal(read(STEADY[name]).x, X.numpy())  # type: ignore[arg-type]


def test_a_seed_of_each_item_is_no_random_read() -> None:
    assert read(lambda: Items(by_the_place)).x is not None


# --- other faults of Datasets -----------------------------------------------------------------------------------


def test_items_in_one_buffer_are_copied() -> None:
    buffer = torch.zeros(3, 4, 4)
    assert np.array_equal(read(lambda: Items(lambda i: (buffer.copy_(X[i]), Y[i]))).x, X.numpy())  # type: ignore[arg-type]


class Stream(IterableDataset):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return N

    def __iter__(self) -> Any:
        return iter(PLAIN)


FAULTY: dict[str, tuple[Callable[[], Any], str]] = {
    "stream": (Stream, "gave Stream; give a pair (x, y), a DataFrame, a torch Dataset"),
    "empty": (lambda: Items(lambda i: (X[i], 0), lambda: 0), "gave a Dataset without items"),
    "mappings": (
        lambda: Items(lambda i: {"image": X[i], "label": Y[i]}),
        "whose items are mappings of 'image', 'label'; its items must be pairs (x, y)",
    ),
    "single": (lambda: TensorDataset(X), "whose items are no pairs (x, y), but 1 values each"),
    "three": (lambda: Items(lambda i: (X[i], Y[i], 1)), "whose items are no pairs (x, y), but 3 values each"),
    "x alone": (lambda: Items(lambda i: X[i]), "whose items are no pairs (x, y), but Tensor values"),
    "one-hot": (
        lambda: Items(lambda i: (X[i], np.eye(2)[Y[i]])),
        "whose targets have 2 values each; give the class of a one-hot target, its argmax()",
    ),
    "several": (lambda: Items(lambda i: (X[i], [3, 4])), "targets have 2 values each; several targets are not"),
    "shapes": (
        lambda: Items(lambda i: (X[i][:, : 3 + i % 2], 0)),
        "several shapes: [3, 3, 4] in item 0, [3, 4, 4] in",
    ),
    "masked": (
        lambda: Items(lambda i: (np.ma.masked_equal(X[i], 5), 0)),
        "the input of item 0 is a masked array that hides",
    ),
    "texts": (lambda: Items(lambda i: ("a.png", 0)), "x must be numbers, one row an example, got "),
    "mixed targets": (
        lambda: Items(lambda i: (X[i], "a" if i == 7 else 1)),
        "y holds numbers (1 of type int) and words",
    ),
    "no target": (lambda: Items(lambda i: (X[i], np.ma.masked)), "the target of item 0 is a masked array"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_dataset_that_is_none_is_refused(name: str) -> None:
    load, said = FAULTY[name]
    with pytest.raises(UserError) as caught:
        read(load)
    assert said in str(caught.value)
    assert str(caught.value).startswith("s: data.source: my:load")


def test_a_length_that_changes_is_refused() -> None:
    lengths = itertools.chain([N], itertools.repeat(N - 1))
    with pytest.raises(UserError, match="a Dataset whose length changed from 40 to 39 while it was read"):
        read(lambda: Items(lambda i: (X[i], Y[i]), lambda: next(lengths)))


# --- loaders that differ ----------------------------------------------------------------------------------------


def shuffled(permutation: Any) -> Any:
    return X[permutation], Y[permutation]


UNSEEDED: dict[str, Callable[[], Any]] = {
    "numpy": lambda: shuffled(np.random.permutation(N)),
    "random": lambda: shuffled(random.sample(range(N), N)),
    "torch": lambda: shuffled(torch.randperm(N)),
    "random_split": lambda: dict(zip(("train", "test"), random_split(PLAIN, [30, 10]), strict=True)),
    "pandas": lambda: pd.DataFrame({"a": X[:, 0, 0, 0], "y": Y}).sample(frac=0.5),
    "noise": lambda: (X + torch.randn_like(X), Y),
}


@pytest.mark.parametrize("name", UNSEEDED)
def test_a_loader_without_a_seed_is_repeatable(name: str) -> None:
    """Also when the generators are elsewhere at the next launch; their states are left as they were."""
    sketches = []
    for seed in (1, 2):
        random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
        states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[union-attr,index]
        sketches.append(sketch(read(UNSEEDED[name])))
        assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == states  # type: ignore[union-attr,index]
    assert sketches[0] == sketches[1]


RANDOM: dict[str, tuple[Callable[[], Any], str]] = {
    "shuffled": (lambda: shuffled(np.random.default_rng().permutation(N)), "the same rows came in another order"),
    "noise": (
        lambda: (X + secrets.randbelow(10**9), Y),
        "40 of 40 rows that were compared differ, the first is row 0",
    ),
    "targets": (lambda: (X, np.random.default_rng().permutation(Y)), "rows that were compared differ"),
    "table": (
        lambda: pd.DataFrame({"a": np.arange(N), "b": np.random.default_rng().normal(size=N), "y": Y}),
        "40 of 40 rows that were compared differ",
    ),
}


@pytest.mark.parametrize("name", RANDOM)
def test_a_loader_that_stays_random_is_refused(name: str) -> None:
    load, said = RANDOM[name]
    with pytest.raises(
        UserError, match="my:load returned other data when it was called a second time: "
    ) as caught:
        read(load)
    assert said in str(caught.value)
    assert "give default_rng() a seed" in str(caught.value)


def test_a_loader_that_shrinks_is_refused() -> None:
    left = list(range(N))
    with pytest.raises(UserError, match="it has 38 rows, and had 39"):
        read(lambda: (left.pop(), (X[: len(left)], Y[: len(left)]))[1])


def test_a_slow_loader_is_called_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpsearch.data.own._QUICK_S", 0.0)
    heard: list[int] = []
    read(lambda: (heard.append(1), (X, Y))[1])
    assert heard == [1]


def test_sketches_say_what_differs() -> None:
    one, other = Raw("a", x=X.numpy(), y=Y), Raw("a", x=X.numpy().copy(), y=Y)
    assert difference(sketch(one), sketch(other)) == ""
    assert other.x is not None
    other.x[7, 0, 0, 0] += 1
    assert difference(sketch(one), sketch(other)) == "1 of 40 rows that were compared differ, the first is row 7"
    assert difference(None, sketch(one)) == ""
    words = Raw("a", table=pd.DataFrame({"a": ["x", None, 3]}))
    assert sketch(words) == sketch(Raw("a", table=pd.DataFrame({"a": ["x", None, 3]})))


# --- a run that goes on -----------------------------------------------------------------------------------------

STUDY = "name: s\ndata: {source: 'drawn_rows:load'}\nparams: {batch_size: 8}\n"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("np.random.default_rng().normal(size=(60, 2))", "60 of 60 rows that were compared differ"),
        ("np.random.normal(size=(60, 2))", None),
    ],
)
def test_a_resume_names_the_loader_whose_data_differ(
    body: str, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hpsearch import begun
    from hpsearch.folder import Folder
    from hpsearch.prepare import prepare

    monkeypatch.setattr("sys.dont_write_bytecode", True)
    monkeypatch.setattr("hpsearch.data.own._QUICK_S", 0.0)
    (tmp_path / "drawn_rows.py").write_text(
        f"import numpy as np\n\ndef load():\n    return {body}, np.arange(60) % 2\n"
    )
    (tmp_path / "s.yaml").write_text(STUDY)
    folder = Folder(tmp_path / "runs" / "s")
    folder.create()
    begun.enter(folder, prepare(tmp_path / "s.yaml"), print)
    if said is None:
        begun.refuse_changed(folder, prepare(tmp_path / "s.yaml"), None)
        return
    with pytest.raises(
        UserError, match="drawn_rows:load returned other data than at the first launch: "
    ) as caught:
        begun.refuse_changed(folder, prepare(tmp_path / "s.yaml"), None)
    assert said in str(caught.value)
    assert "belongs to another study" not in str(caught.value)
