"""Images in folders (class = folder) and in idx files, as arrays."""

import contextlib
import gzip
import hashlib
import math
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from joblib import cpu_count

from hpsearch.data.raw import Raw
from hpsearch.errors import UserError

_PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_PARTS = {
    "train": "train", "training": "train", "validation": "validation", "val": "validation", "valid": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
_IDX_PARTS = {**_PARTS, "t10k": "test"}
_MOST_PIXELS = 64_000_000  # of one picture: more is a mistake, or meant to fill the memory


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

    Grey where all are grey, else RGB. All have one size: their own, or `size` x `size`. Decoded in parallel, once:
    a copy is kept in the user's cache.
    """
    files = _listed(folder, place)
    if not files:
        raise UserError(f"{place}: {folder} has no pictures in folders named by their class, and no idx files")
    paths = [path for path, _, _ in files]
    x = _cached(folder, paths, size, lambda: _decoded(paths, size, place))
    part = np.array([part for _, _, part in files])
    y = np.array([name for _, name, _ in files])
    notes = _ignored(folder, paths)
    return Raw(folder.name, x=x, y=y, part=part if (part != "").any() else None, pictures=True, notes=notes)


def _ignored(folder: Path, taken: Sequence[Path]) -> tuple[str, ...]:
    """What lies in the folder and is no picture of a class, in a line."""
    known = {*taken, *(parent for path in taken for parent in path.parents)}
    inside = (path.relative_to(folder) for path in folder.rglob("*") if path not in known)
    others = sorted(str(path) for path in inside if not any(part.startswith(".") for part in path.parts))
    if not others:
        return ()
    some = ", ".join(others[:4])
    return (f"ignored in {folder.name}: {some}{f' and {len(others) - 4} more' if len(others) > 4 else ''}",)


def _listed(folder: Path, place: str) -> list[tuple[Path, str, str]]:
    """Each picture with its class and its part, in the order of their names."""
    children = sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    parts, others = ([c.name for c in children if (c.name.lower() in _PARTS) is known] for known in (True, False))
    if len(parts) > 1 and others:  # one alone may be a class: a train among cars and ships
        raise UserError(
            f"{place}: {folder} has folders of parts ({', '.join(parts)}) beside {others[0]}; move it away"
        )
    roots = [(folder, "")] if others else [(child, _PARTS[child.name.lower()]) for child in children]
    found = []
    for root, part in roots:
        for name in sorted(child for child in root.iterdir() if child.is_dir() and not child.name.startswith(".")):
            pictures = sorted(path for path in name.rglob("*") if path.suffix.lower() in _PICTURES)
            found += [(path, name.name, part) for path in pictures]
    return found


def _decoded(paths: Sequence[Path], size: int | None, place: str) -> np.ndarray:
    """uint8 [N, C, H, W]."""
    with ThreadPoolExecutor(cpu_count()) as pool:  # decoding lets other threads run
        pictures = list(pool.map(lambda path: _picture(path, size, place), paths))
    channels = max(picture.shape[0] for picture in pictures)
    shapes = {picture.shape[1:] for picture in pictures}
    if len(shapes) > 1:
        some = ", ".join(f"{height} x {width}" for height, width in sorted(shapes)[:3])
        raise UserError(f"{place}: the pictures have several sizes ({some}, …); name one as data.size, such as 64")
    return np.stack([np.broadcast_to(picture, (channels, *picture.shape[1:])) for picture in pictures])


def _picture(path: Path, size: int | None, place: str) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                raise UserError(f"{path}: has {opened.width} x {opened.height} pixels, which is too many")
            if opened.mode[0] in "IF":  # 16 or 32 bits a pixel, which a conversion would clip
                raise UserError(f"{place}: {path} has more than 8 bits a pixel; give 8, or arrays by a loader")
            grey = opened.mode in ("1", "L", "LA")
            picture: Image.Image = opened.convert("L" if grey else "RGB")
            if size is not None and picture.size != (size, size):
                picture = picture.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
            array = np.asarray(picture)
    except UserError:
        raise
    except Exception as error:  # a decoder meets anything
        told = " ".join(str(error).split())[:150]
        raise UserError(f"{place}: the picture {path} cannot be read: {told}") from None
    return array[None] if array.ndim == 2 else np.moveaxis(array, 2, 0)


def _cached(folder: Path, paths: Sequence[Path], size: int | None, decode: Callable[[], np.ndarray]) -> np.ndarray:
    """What `decode` gives, or gave: a file in the user's cache, by names, sizes and times of the pictures."""
    digest = hashlib.sha256(f"{folder.resolve()} {size}".encode())
    for path in paths:
        stat = path.stat()
        digest.update(f"\n{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}".encode())
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    place = Path(home) / "hpsearch" / f"images-{digest.hexdigest()[:32]}.npy"
    try:
        return np.asarray(np.load(place, allow_pickle=False))
    except (OSError, ValueError, EOFError):
        x = decode()
    # a cache that cannot be written is none
    with contextlib.suppress(OSError), tempfile.TemporaryDirectory(dir=_made(place.parent)) as beside:
        np.save(Path(beside) / place.name, x)
        (Path(beside) / place.name).replace(place)
    return x


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
    found = sorted(p for p in folder.iterdir() if f"-{what}-idx" in p.name.replace(".idx", "-idx") and p.is_file())
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
