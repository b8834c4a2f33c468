"""Images in folders (class = folder) and in idx files, as arrays."""

import contextlib
import gzip
import hashlib
import math
import os
import struct
import tempfile
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import cpu_count

from hpsearch.data.raw import Raw
from hpsearch.data.tree import Tree, is_litter, some, tree
from hpsearch.errors import UserError
from hpsearch.files import home

if TYPE_CHECKING:
    from hpsearch.data.picture import Picture

_PICTURES = {
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".bmp", ".dib", ".gif", ".webp", ".avif", ".tif",
    ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
}  # fmt: skip
_READING = 2  # of `picture`: another number when the same file is read otherwise, so that no cache serves the old
_PARTS = {
    "train": "train", "training": "train", "validation": "validation", "val": "validation", "valid": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
_IDX_PARTS = {**_PARTS, "t10k": "test"}


def read_folder(folder: Path, size: int | None, place: str) -> Raw:
    """A folder of images or of idx files.

    Raises:
        UserError: it holds neither, or a file cannot be read.
    """
    if _idx_files(folder, "images"):
        return read_idx(folder, place)
    return read_images(folder, size, place)


# --- class folders ----------------------------------------------------------------------------------------------


def read_images(folder: Path, size: int | None, place: str) -> Raw:
    """Pictures in folders named by their class, or in folders of parts (`_PARTS`) and then by class.

    Grey where all are grey by their mode, else RGB. All have one size: their own, or `size` x `size`. Decoded in
    parallel, once: a copy is kept in the user's cache.
    """
    found = tree(folder, place)
    files = _listed(folder, found, place)
    if not files:
        raise UserError(f"{place}: {folder} has no pictures in folders named by their class, and no idx files")
    paths = [path for path, _, _ in files]
    x, told = _cached(folder, paths, size, lambda: _decoded(paths, size, place))
    part = np.array([part for _, _, part in files])
    y = np.array([name for _, name, _ in files])
    notes = (*_ignored(folder, found, paths), *told)
    return Raw(folder.name, x=x, y=y, part=part if (part != "").any() else None, pictures=True, notes=notes)


def _ignored(folder: Path, found: Tree, taken: Sequence[Path]) -> tuple[str, ...]:
    """What lies in the folder and is no picture of a class, and what lies elsewhere, in a line each."""
    known = set(taken)
    others = sorted([path for path in found.files if path not in known] + found.empty)
    outside = [path for path in found.outside if path in known]
    notes = []
    if others:
        notes.append(f"ignored in {folder.name}: {some(others, folder)}")
    if found.skipped:
        notes.append(
            f"skipped {len(found.skipped)} hidden or system files and folders: {some(found.skipped, folder)}"
        )
    if outside:
        notes.append(
            f"{len(outside)} pictures lie outside of {folder.name}, behind links: {some(outside, folder)}"
        )
    return tuple(notes)


def _listed(folder: Path, found: Tree, place: str) -> list[tuple[Path, str, str]]:
    """Each picture with its class and its part, in the order of their names."""
    inside = [(path, path.relative_to(folder).parts) for path in (*found.files, *found.empty)]
    folders = dict.fromkeys(parts[0] for path, parts in inside if len(parts) > 1 or path in found.empty)
    parts, others = ([name for name in folders if (name.lower() in _PARTS) is known] for known in (True, False))
    if len(parts) > 1 and others:  # one alone may be a class: a train among cars and ships
        raise UserError(
            f"{place}: {folder} has folders of parts ({', '.join(parts)}) beside {others[0]}; move it away"
        )
    level = 0 if others else 1  # of the class among the folders above a picture
    files = []
    for path in found.files:
        above = path.relative_to(folder).parts[:-1]
        if len(above) > level and path.suffix.lower() in _PICTURES:
            files.append((path, _class(above[level], path, place), "" if others else _PARTS[above[0].lower()]))
    return files


def _class(name: str, path: Path, place: str) -> str:
    """A class by its folder's name, whose letters each system composes in its own way."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"{place}: the folder of {str(path)!a} has a name that is no UTF-8; rename it") from None
    return unicodedata.normalize("NFC", name)


def _decoded(paths: Sequence[Path], size: int | None, place: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """uint8 [N, C, H, W], and what a person should know of the reading."""
    from hpsearch.data.picture import is_dim, read_picture

    for path in paths:
        if not path.is_file():
            raise UserError(f"{place}: {path} is no regular file; remove it")
    with warnings.catch_warnings(), ThreadPoolExecutor(cpu_count()) as pool:  # decoding lets other threads run
        warnings.simplefilter("ignore")  # of Pillow, on metadata that are damaged
        pictures = list(pool.map(lambda path: read_picture(path, size, place), paths))
    deep = [picture.deepest for picture in pictures if picture.deepest is not None]
    if deep and is_dim(max(deep)):
        first = next(path for path, picture in zip(paths, pictures, strict=True) if picture.deepest is not None)
        raise UserError(
            f"{place}: {first} has 16 bits a channel, of which no picture uses more than {max(deep)} of 65535; "
            "8 bits of that would be nearly black. Scale them to 8 bits, or give arrays by a loader"
        )
    channels = max(picture.pixels.shape[0] for picture in pictures)
    shapes = {picture.pixels.shape[1:] for picture in pictures}
    if len(shapes) > 1:
        sizes = ", ".join(f"{height} x {width}" for height, width in sorted(shapes)[:3])
        raise UserError(
            f"{place}: the pictures have several sizes ({sizes}, …); name one as data.size, such as 64"
        )
    x = np.stack([np.broadcast_to(p.pixels, (channels, *p.pixels.shape[1:])) for p in pictures])
    return x, _read_so(pictures)


def _read_so(pictures: Sequence["Picture"]) -> tuple[str, ...]:
    told = {
        "are animated or have several pages: the first one is read": [p.frames > 1 for p in pictures],
        "have 16 bits a channel, and are scaled to 8": [p.deepest is not None for p in pictures],
        "are CMYK without a profile: their colours are by the plain formula": [p.guessed for p in pictures],
    }
    return tuple(f"{sum(which)} pictures {what}" for what, which in told.items() if any(which))


def _cached(
    folder: Path, paths: Sequence[Path], size: int | None, decode: Callable[[], tuple[np.ndarray, tuple[str, ...]]]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """What `decode` gives, or gave: a file in the user's cache, by names, sizes and times of the pictures."""
    digest = hashlib.sha256(os.fsencode(f"{_READING} {folder.resolve()} {size}"))
    for path in paths:
        stat = path.stat()
        digest.update(os.fsencode(f"\n{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}"))
    cache = os.environ.get("XDG_CACHE_HOME") or home() / ".cache"
    place = Path(cache) / "hpsearch" / f"images-{digest.hexdigest()[:32]}.npz"
    try:
        with np.load(place, allow_pickle=False) as kept:
            return kept["x"], tuple(kept["notes"].tolist())
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
        x, notes = decode()
    # a cache that cannot be written is none
    with contextlib.suppress(OSError), tempfile.TemporaryDirectory(dir=_made(place.parent)) as beside:
        np.savez(Path(beside) / place.name, x=x, notes=np.array(notes, dtype=np.str_))
        (Path(beside) / place.name).replace(place)
    return x, notes


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# --- idx files --------------------------------------------------------------------------------------------------


def read_idx(folder: Path, place: str) -> Raw:
    """Images and labels in idx files, plain or gzipped (LeCun's MNIST format), each pair named by its part.

    `train-images-idx3-ubyte.gz` belongs to `train-labels-idx1-ubyte.gz`, `t10k-…` is the test part.
    """
    xs, ys, parts = [], [], []
    for path in _idx_files(folder, "images"):
        prefix = path.name.partition("-")[0]
        labels = [p for p in _idx_files(folder, "labels") if p.name.partition("-")[0] == prefix]
        if prefix not in _IDX_PARTS or not labels:
            raise UserError(f"{place}: {path} has no labels beside it, or is of no part: train, validation, t10k")
        x, y = _idx(path), _idx(labels[0])
        if x.ndim not in (3, 4) or y.shape != x.shape[:1]:
            raise UserError(f"{place}: {path} and {labels[0].name} do not fit: {list(x.shape)}, {list(y.shape)}")
        xs.append(x if x.ndim == 4 else x[:, None])
        ys.append(y)
        parts += [_IDX_PARTS[prefix]] * len(y)
    if len({x.shape[1:] for x in xs}) > 1:
        raise UserError(f"{place}: the idx files of {folder} hold images of several sizes")
    part = np.array(parts) if len(set(parts)) > 1 else None
    return Raw(folder.name, x=np.concatenate(xs), y=np.concatenate(ys), part=part)


def _idx_files(folder: Path, what: str) -> list[Path]:
    """One of each name: of a plain and a gzipped file, the plain one."""
    visible = (path for path in folder.iterdir() if not is_litter(path.name) and path.is_file())
    found = sorted(path for path in visible if f"-{what}-idx" in path.name.replace(".idx", "-idx"))
    return list({path.name.removesuffix(".gz"): path for path in reversed(found)}.values())[::-1]


_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def _idx(path: Path) -> np.ndarray:
    """The array of one file: two zeros, type, number of axes, sizes, numbers.

    Raises:
        UserError: it is no such file, or breaks off.
    """
    opened: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            zeros, kind, axes = struct.unpack(">HBB", file.read(4))
            shape = struct.unpack(f">{axes}I", file.read(4 * axes))
            if zeros != 0 or kind not in _IDX_TYPES:
                raise ValueError("it does not begin as one")
            dtype = np.dtype(_IDX_TYPES[kind])
            wanted = math.prod(shape) * dtype.itemsize
            data = file.read(wanted)
    except (OSError, struct.error, ValueError, OverflowError, EOFError, zlib.error, MemoryError) as error:
        raise UserError(f"{path}: cannot be read as idx: {' '.join(str(error).split())[:150]}") from None
    if len(data) != wanted:
        raise UserError(f"{path}: cannot be read as idx: it breaks off after {len(data)} of {wanted} bytes")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))
