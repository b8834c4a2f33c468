"""Pictures in class folders, and idx files."""

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpsearch.data.images import read_folder
from hpsearch.data.load import load
from hpsearch.errors import UserError
from hpsearch.study import Data, Split


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hpsearch"


def picture(path: Path, value: int, size: tuple[int, int] = (6, 4), mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = value if mode == "L" else (value, 0, 255)
    Image.new(mode, size, colour).save(path)


def folder(root: Path, n: int = 10, **options: object) -> Path:
    for i in range(n):
        for name, value in (("cat", 10), ("dog", 200)):
            picture(root / name / f"{i:02d}.png", value + i, **options)  # type: ignore[arg-type]
    return root


def test_the_class_is_the_folder_and_channels_come_first(tmp_path: Path) -> None:
    raw = read_folder(folder(tmp_path / "pets"), None, "s.yaml: data.source")
    assert raw.x is not None and raw.y is not None
    assert (raw.x.shape, raw.x.dtype) == ((20, 1, 4, 6), np.uint8)
    assert raw.y.tolist() == ["cat"] * 10 + ["dog"] * 10
    assert raw.x[:, 0, 0, 0].tolist() == [*range(10, 20), *range(200, 210)]
    assert raw.part is None


def test_what_is_no_picture_of_a_class_is_told(tmp_path: Path) -> None:
    pets = folder(tmp_path / "pets", 2)
    assert read_folder(pets, None, "s").notes == ()
    (pets / "empty").mkdir()
    (pets / "dog" / "notes.txt").write_text("good dog")
    (pets / "cat" / ".hidden").mkdir()
    (pets / "cat" / ".hidden" / "thumbs.db").write_text("")
    picture(pets / "stray.png", 5)
    raw = read_folder(pets, None, "s")
    assert raw.notes == (
        "ignored in pets: dog/notes.txt, empty, stray.png",
        "skipped 1 hidden or system files and folders: cat/.hidden",
    )
    assert raw.y is not None
    assert len(raw.y) == 4
    for number in range(3):
        (pets / f"{number}.txt").write_text("")
    assert read_folder(pets, None, "s").notes[0].endswith("dog/notes.txt and 2 more")


def test_pictures_of_one_colour_and_of_three_are_three(tmp_path: Path) -> None:
    folder(tmp_path / "pets", 2)
    picture(tmp_path / "pets" / "dog" / "colour.jpg", 90, mode="RGB")
    raw = read_folder(tmp_path / "pets", None, "s")
    assert raw.x is not None
    assert raw.x.shape == (5, 3, 4, 6)
    assert (raw.x[0, :, 0, 0] == 10).all()
    assert np.abs(raw.x[4, :, 0, 0].astype(int) - [90, 0, 255]).max() < 6


def test_pictures_of_several_sizes_need_one(tmp_path: Path) -> None:
    folder(tmp_path / "pets", 2)
    picture(tmp_path / "pets" / "dog" / "large.png", 7, (12, 8))
    with pytest.raises(UserError, match=r"several sizes \(4 x 6, 8 x 12, …\); name one as data.size, such as 64"):
        read_folder(tmp_path / "pets", None, "s")
    raw = read_folder(tmp_path / "pets", 5, "s")
    assert raw.x is not None
    assert raw.x.shape == (5, 1, 5, 5)


def test_they_are_decoded_once(tmp_path: Path, cache: Path) -> None:
    pets = folder(tmp_path / "pets", 2)
    first = read_folder(pets, None, "s")
    (kept,) = cache.iterdir()
    before = kept.stat().st_mtime_ns
    assert np.array_equal(read_folder(pets, None, "s").x, first.x)  # type: ignore[arg-type]
    assert [path.stat().st_mtime_ns for path in cache.iterdir()] == [before]
    kept.write_bytes(b"junk")
    assert np.array_equal(read_folder(pets, None, "s").x, first.x)  # type: ignore[arg-type]
    picture(pets / "cat" / "00.png", 99)
    changed = read_folder(pets, None, "s")
    assert changed.x is not None
    assert changed.x[0, 0, 0, 0] == 99


def test_a_corrupt_picture_is_named(tmp_path: Path) -> None:
    pets = folder(tmp_path / "pets", 2)
    (pets / "dog" / "bad.png").write_bytes((pets / "dog" / "00.png").read_bytes()[:40])
    with pytest.raises(UserError, match=r"^s\.yaml: data\.source: the picture .*/dog/bad\.png cannot be read: "):
        read_folder(pets, None, "s.yaml: data.source")


def deep(path: Path, value: int) -> None:
    Image.fromarray(np.full((4, 6), value, dtype=np.uint16)).save(path)


def test_pictures_of_16_bits_are_scaled_by_the_full_range(tmp_path: Path) -> None:
    pets = folder(tmp_path / "pets", 2)
    deep(pets / "dog" / "dark.png", 514)  # one of them may be dark
    deep(pets / "dog" / "deep.png", 65535)
    raw = read_folder(pets, None, "s")
    assert raw.x is not None
    assert raw.x[-2:, 0, 0, 0].tolist() == [2, 255]
    assert "2 pictures have 16 bits a channel, and are scaled to 8" in raw.notes


def test_pictures_of_12_bits_in_16_are_refused(tmp_path: Path) -> None:
    pets = folder(tmp_path / "pets", 2)
    for name in ("a.png", "b.tif"):
        deep(pets / "dog" / name, 4000)
    with pytest.raises(
        UserError, match=r"a\.png has 16 bits a channel, of which no picture uses more than 4000 of"
    ):
        read_folder(pets, None, "s")


def test_val_is_the_validation_part_and_others_beside_parts_are_refused(tmp_path: Path) -> None:
    for part in ("train", "val"):
        folder(tmp_path / "pets" / part, 3)
    raw = read_folder(tmp_path / "pets", None, "s")
    assert raw.part is not None
    assert sorted(set(raw.part)) == ["train", "validation"]
    (tmp_path / "pets" / "annotations").mkdir()
    with pytest.raises(UserError, match=r"folders of parts \(train, val\) beside annotations"):
        read_folder(tmp_path / "pets", None, "s")


def test_parts_are_known_in_any_spelling(tmp_path: Path) -> None:
    folder(tmp_path / "pets" / "Training")
    folder(tmp_path / "pets" / "TEST")
    raw = read_folder(tmp_path / "pets", None, "s")
    assert (set(raw.y), set(raw.part)) == ({"cat", "dog"}, {"train", "test"})  # type: ignore[arg-type]


def test_one_folder_named_as_a_part_is_a_class(tmp_path: Path) -> None:
    for name in ("train", "ship"):
        folder(tmp_path / "vehicles" / name / "all", 2)
    assert set(read_folder(tmp_path / "vehicles", None, "s").y) == {"train", "ship"}  # type: ignore[arg-type]


def test_folders_of_parts_are_the_split(tmp_path: Path) -> None:
    folder(tmp_path / "pets" / "train")
    folder(tmp_path / "pets" / "test", 3)
    dataset = load(Data(source="pets"), tmp_path, "s.yaml")
    assert (len(dataset.train.y), len(dataset.validation.y), len(dataset.test.y)) == (16, 4, 6)
    assert dataset.kind == "images"
    assert dataset.target.classes == ("cat", "dog")
    assert set(dataset.test.index) == set(range(6)) or set(dataset.test.index) == set(range(20, 26))
    split = Split(test=0.3)
    with pytest.raises(UserError, match=r"data\.split\.test: the source has a test part of its own; leave it out"):
        load(Data(source="pets", split=split), tmp_path, "s.yaml")


@pytest.mark.parametrize("content", [{}, {"cat": []}, {"a.png": None}])
def test_a_folder_without_classes_is_refused(content: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "pets").mkdir()
    for name, inside in content.items():
        if inside is None:
            picture(tmp_path / "pets" / name, 1)
        else:
            (tmp_path / "pets" / name).mkdir()
    with pytest.raises(UserError, match="has no pictures in folders named by their class, and no idx files"):
        read_folder(tmp_path / "pets", None, "s")


LEFT_BEHIND = [
    ".DS_Store", "._00.png", "cat/._00.png", "cat/.ipynb_checkpoints/00-checkpoint.png", "__MACOSX/cat/00.png",
    "cat/__MACOSX/00.png", "Thumbs.db", "cat/Thumbs.db", "dog/desktop.ini", "dog/@eaDir/00.png/thumb.jpg",
    "lost+found/a.png", "$RECYCLE.BIN/a.png", ".Trash-1000/files/a.png", "System Volume Information/a.png",
    "#recycle/a.png", "cat/00.png~", "dog/~$00.png", "cat/#00.png#",
]  # fmt: skip


@pytest.mark.parametrize("name", LEFT_BEHIND)
@pytest.mark.parametrize("parts", [False, True], ids=["classes", "parts"])
def test_what_systems_leave_behind_is_skipped(parts: bool, name: str, tmp_path: Path) -> None:
    """Wherever it lies, beside classes, in them, or beside the parts; and it is counted."""
    pets = tmp_path / "pets"
    for root in [pets / "train", pets / "test"] if parts else [pets]:
        folder(root, 2)
    clean = read_folder(pets, None, "s")
    roots = [pets / "train" if parts else pets] + [pets] * (parts and not name.startswith(("cat", "dog")))
    for root in roots:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (6, 4), 7).save(root / name, "PNG")
    raw = read_folder(pets, None, "s")
    assert np.array_equal(raw.x, clean.x)  # type: ignore[arg-type]
    assert np.array_equal(raw.y, clean.y)  # type: ignore[arg-type]
    (note,) = raw.notes
    assert note.startswith(f"skipped {len(roots)} hidden or system files and folders: ")


def test_a_class_may_be_called_as_a_bin(tmp_path: Path) -> None:
    for name in ("trash", "recycled", "tmp", "thumbs"):
        picture(tmp_path / "waste" / name / "a.png", 3)
    assert set(read_folder(tmp_path / "waste", None, "s").y) == {"trash", "recycled", "tmp", "thumbs"}  # type: ignore[arg-type]


def test_endings_in_capitals_and_wrong_endings_are_read(tmp_path: Path) -> None:
    picture(tmp_path / "pets" / "cat" / "a.PNG", 3)
    picture(tmp_path / "pets" / "cat" / "b.JPEG", 3)
    Image.new("L", (6, 4), 3).save(tmp_path / "pets" / "cat" / "c.jpg", "GIF")
    raw = read_folder(tmp_path / "pets", None, "s")
    assert raw.y is not None
    assert (len(raw.y), raw.notes) == (3, ())


def test_an_empty_picture_is_named(tmp_path: Path) -> None:
    pets = folder(tmp_path / "pets", 2)
    (pets / "cat" / "zero.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"cat/zero\.png cannot be read: it is empty"):
        read_folder(pets, None, "s")


def test_pictures_with_several_frames_are_counted_also_from_the_cache(tmp_path: Path) -> None:
    pets = folder(tmp_path / "pets", 2)
    first, second = (Image.new("L", (6, 4), value) for value in (9, 90))
    first.save(pets / "cat" / "move.gif", save_all=True, append_images=[second])
    for _ in range(2):
        assert read_folder(pets, None, "s").notes == (
            "1 pictures are animated or have several pages: the first one is read",
        )


def test_the_cache_of_another_reading_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pets = folder(tmp_path / "pets", 2)
    read_folder(pets, None, "s")
    monkeypatch.setattr("hpsearch.data.images._READING", 1)
    read_folder(pets, None, "s")
    assert len(list((tmp_path / "cache" / "hpsearch").iterdir())) == 2


def test_links_are_followed_and_those_that_lead_out_are_counted(tmp_path: Path) -> None:
    pets, store = folder(tmp_path / "pets", 2), folder(tmp_path / "store", 3)
    (pets / "cat" / "inner.png").symlink_to(pets / "cat" / "00.png")
    assert read_folder(pets, None, "s").notes == ()
    (pets / "cat" / "outer.png").symlink_to(store / "cat" / "02.png")
    (pets / "owl").symlink_to(store / "dog")
    (pets / "dog" / "more").symlink_to(store / "dog")
    raw = read_folder(pets, None, "s")
    assert raw.y is not None
    assert {name: int((raw.y == name).sum()) for name in set(raw.y)} == {"cat": 4, "dog": 5, "owl": 3}
    assert raw.notes[0].startswith("7 pictures lie outside of pets, behind links: cat/outer.png, dog/more/00.png")


def link_to_nothing(pets: Path) -> None:
    (pets / "cat" / "gone.png").symlink_to("nowhere.png")


def link_into_a_circle(pets: Path) -> None:
    (pets / "cat" / "again").symlink_to(pets)


def link_to_itself(pets: Path) -> None:
    (pets / "cat" / "self.png").symlink_to("self.png")


def named_pipe(pets: Path) -> None:
    os.mkfifo(pets / "cat" / "pipe.png")


@pytest.mark.parametrize(
    ("put", "said"),
    [
        (link_to_nothing, r"cat/gone\.png is a link to nowhere\.png, where there is nothing"),
        (link_into_a_circle, r"cat/again is a link to a folder that it lies in"),
        (link_to_itself, r"cat/self\.png is a link to self\.png, where there is nothing"),
        (named_pipe, r"cat/pipe\.png is no regular file"),
    ],
)
def test_what_is_no_file_is_refused_by_name(put: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    put(folder(tmp_path / "pets", 2))
    with pytest.raises(UserError, match=said):
        read_folder(tmp_path / "pets", None, "s")


def test_one_class_of_two_systems_is_one(tmp_path: Path) -> None:
    """A Mac writes é in two letters."""
    for part, name in (("train", "caf\u00e9"), ("test", "cafe\u0301")):
        picture(tmp_path / "pets" / part / name / "a.png", 3)
    assert set(read_folder(tmp_path / "pets", None, "s").y) == {"caf\u00e9"}  # type: ignore[arg-type]


def test_a_class_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    pets = folder(tmp_path / "pets", 2)
    (pets / "cat").rename(os.fsdecode(os.fsencode(pets) + b"/c\xff"))
    with pytest.raises(UserError, match=r"has a name that is no UTF-8; rename it"):
        read_folder(pets, None, "s")


# --- idx --------------------------------------------------------------------------------------------------------


def idx(path: Path, array: np.ndarray) -> None:
    data = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(">u1").tobytes()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.mark.parametrize("ends", [("",), (".gz",), ("", ".gz")], ids=["plain", "gzipped", "both"])
def test_idx_files_are_their_arrays_with_their_parts(ends: tuple[str, ...], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (50, 5, 4)), np.arange(50) % 3
    for name, rows in (("train", slice(0, 40)), ("t10k", slice(40, 50))):
        for end in ends:
            idx(tmp_path / "set" / f"{name}-images-idx3-ubyte{end}", x[rows])
            idx(tmp_path / "set" / f"{name}-labels-idx1-ubyte{end}", y[rows])
    dataset = load(Data(source="set/"), tmp_path, "s.yaml")
    assert (len(dataset.train.y), len(dataset.validation.y), len(dataset.test.y)) == (32, 8, 10)
    raw = read_folder(tmp_path / "set", None, "s")
    assert raw.x is not None and raw.y is not None and raw.part is not None
    for part, (rows, name) in {"train": (slice(0, 40), "train"), "test": (slice(40, 50), "t10k")}.items():
        assert np.array_equal(raw.x[raw.part == part][:, 0], x[rows]), name
        assert np.array_equal(raw.y[raw.part == part], y[rows])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cannot be read as idx"),
        (struct.pack(">HBB1I", 0, 8, 1, 9) + b"123", "it breaks off after 3 of 9 bytes"),
        (struct.pack(">HBB1I", 0, 77, 1, 9) + b"1" * 9, "it does not begin as one"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2**31), "cannot be read as idx"),
    ],
)
def test_a_broken_idx_file_is_refused(data: bytes, said: str, tmp_path: Path) -> None:
    idx(tmp_path / "set" / "train-labels-idx1-ubyte", np.arange(9))
    (tmp_path / "set" / "train-images-idx3-ubyte").write_bytes(data)
    with pytest.raises(UserError, match=said):
        read_folder(tmp_path / "set", None, "s")


def test_hidden_idx_files_are_skipped(tmp_path: Path) -> None:
    idx(tmp_path / "set" / "train-images-idx3-ubyte", np.zeros((9, 2, 2)))
    idx(tmp_path / "set" / "train-labels-idx1-ubyte", np.zeros(9))
    (tmp_path / "set" / "._train-images-idx3-ubyte").write_bytes(b"Mac")
    raw = read_folder(tmp_path / "set", None, "s")
    assert raw.x is not None
    assert raw.x.shape == (9, 1, 2, 2)


def test_idx_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    idx(tmp_path / "set" / "train-images-idx3-ubyte", np.zeros((9, 2, 2)))
    with pytest.raises(UserError, match="has no labels beside it"):
        read_folder(tmp_path / "set", None, "s")
    idx(tmp_path / "set" / "train-labels-idx1-ubyte", np.zeros(8))
    with pytest.raises(UserError, match=r"do not fit: \[9, 2, 2\], \[8\]"):
        read_folder(tmp_path / "set", None, "s")
