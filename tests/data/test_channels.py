"""Channels of arrays come first, unless the study says otherwise; a shape that looks otherwise is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.data.load import Dataset, load
from hpsearch.data.raw import channels_first
from hpsearch.errors import UserError
from hpsearch.study import Data

Y = np.arange(20) % 2


def npz(folder: Path, shape: tuple[int, ...]) -> np.ndarray:
    x = np.arange(20.0 * np.prod(shape)).reshape(20, *shape)
    np.savez(folder / "a.npz", x=x, y=Y)
    return x


def loaded(folder: Path, **data: Any) -> Dataset:
    return load(Data.model_validate({"source": "a.npz", **data}), folder, "s.yaml")


@pytest.mark.parametrize(
    "shape",
    [(28, 28, 1), (28, 28, 3), (28, 28, 4), (28, 28, 5), (64, 64, 13), (480, 640, 3), (20, 30, 12), (4, 4, 3),
     (3, 3, 13), (5, 5, 103), (9, 9, 200), (4, 28, 3), (13, 13, 5), (16, 32, 32, 3), (8, 8, 8, 1)],
)  # fmt: skip
def test_channels_that_look_last_are_refused(shape: tuple[int, ...]) -> None:
    wanted = (
        f"x must be [7, {shape[-1]}, {', '.join(map(str, shape[:-1]))}], got [7, {', '.join(map(str, shape))}]"
    )
    with pytest.raises(UserError) as caught:
        channels_first(np.zeros((7, *shape)), "s")
    assert wanted in str(caught.value)
    assert "data.channels: last takes it so, and data.channels: first takes it as it stands" in str(caught.value)


@pytest.mark.parametrize(
    "shape",
    [(1, 28, 28), (3, 32, 32), (4, 28, 28), (13, 64, 64), (3, 480, 640), (200, 9, 9), (64, 8, 8), (8, 8, 8),
     (3, 3, 3), (1, 1, 100), (2, 1, 100), (1, 28, 1), (5, 9, 200), (1, 16, 16, 16), (3, 8, 64, 64), (2, 16, 16, 8),
     (64, 8, 8, 8), (32, 16, 16, 5), (1, 10, 10, 3), (4, 4, 4, 4), (2, 3, 4, 5, 6)],
)  # fmt: skip
def test_channels_that_come_first_are_taken(shape: tuple[int, ...]) -> None:
    assert channels_first(np.zeros((7, *shape)), "s").shape == (7, *shape)


@given(st.integers(1, 11), st.integers(12, 40), st.integers(12, 40), st.integers(1, 40))
def test_no_usual_image_or_volume_is_refused(channels: int, height: int, width: int, depth: int) -> None:
    for shape in ((channels, height, width), (channels, height, width, depth)):
        if len(shape) == 3 or depth >= min(channels, 5):
            assert channels_first(np.zeros((2, *shape), dtype=np.int8), "s").shape == (2, *shape)


def test_the_study_decides(tmp_path: Path) -> None:
    x = npz(tmp_path, (6, 6, 5))
    with pytest.raises(UserError, match=r"^s\.yaml: data\.source: images are channels first"):
        loaded(tmp_path)
    last, first = (loaded(tmp_path, channels=axis) for axis in ("last", "first"))
    assert (last.train.x.shape[1:], first.train.x.shape[1:]) == ((5, 6, 6), (6, 6, 5))
    assert last.raw is not None
    assert np.array_equal(last.raw.x, x.transpose(0, 3, 1, 2))  # type: ignore[arg-type]
    assert "inputs: images of 5 channels, 6 high and 6 wide" in last.notes


@pytest.mark.parametrize("shape", [(6,), (6, 6)])
def test_arrays_without_channels_take_no_such_key(shape: tuple[int, ...], tmp_path: Path) -> None:
    npz(tmp_path, shape)
    with pytest.raises(UserError, match=r"data\.channels: is for images with channels, got \[20, 6"):
        loaded(tmp_path, channels="last")


def test_a_table_takes_no_such_key(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,y\n" + "1,x\n2,z\n" * 9)
    with pytest.raises(UserError, match=r"data\.channels: is for arrays x, and a\.csv has none; leave it out"):
        loaded(tmp_path, source="a.csv", target="y", channels="last")


def test_unlabelled_inputs_go_by_the_same_key(tmp_path: Path) -> None:
    x = npz(tmp_path, (6, 6, 5))
    np.savez(tmp_path / "more.npz", x=x[:3])
    dataset = loaded(tmp_path, channels="last", unlabelled="more.npz")
    assert dataset.unlabelled is not None
    assert dataset.unlabelled.shape == (3, 5, 6, 6)


def test_idx_files_with_channels_last_are_refused(tmp_path: Path) -> None:
    import struct

    for name, array in (("images-idx4", np.zeros((9, 8, 8, 3), np.uint8)), ("labels-idx1", np.zeros(9, np.uint8))):
        head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        (tmp_path / f"train-{name}-ubyte").write_bytes(head + array.tobytes())
    with pytest.raises(UserError, match=r"images are channels first: x must be \[9, 3, 8, 8\]"):
        loaded(tmp_path.parent, source=tmp_path.name)
