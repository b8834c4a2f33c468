"""One picture as 8-bit numbers, the way a viewer shows it.

Turned as its EXIF data say, transparent parts over white, colours by its ICC profile. A mode of Pillow is in one
of the tables here, or the picture is refused with the mode's name.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageCms

from hpsearch.errors import UserError

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000", "DIB", "AVIF")  # none runs a program
_MOST_PIXELS = 64_000_000  # of one picture: more is a mistake, or meant to fill the memory
_ORIENTATION = 0x0112  # the EXIF tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N")
_FULL = 65535  # the largest value of 16 bits
_GREY = ("1", "L", "LA", "La", *_DEEP)
_COLOURED = ("RGB", "RGBX", "RGBA", "RGBa", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV")
_SPACES = {"GRAY": ("L",), "RGB ": ("RGB",), "CMYK": ("CMYK",)}  # of ICC profiles: the modes that they describe


@dataclass(frozen=True)
class Picture:
    """Pixels uint8 [C, H, W], one channel or three; what a person should know of the reading.

    `frames`: the pictures in the file, of which this is the first. `deepest`: for 16 bits a channel, the largest
    value that the file uses. `guessed`: CMYK without a profile, whose colours are a formula's.
    """

    pixels: np.ndarray
    frames: int = 1
    deepest: int | None = None
    guessed: bool = False


def read_picture(path: Path, size: int | None, place: str) -> Picture:
    """Read a picture file, scaled to `size` x `size` pixels if a size is given.

    Raises:
        UserError: the file is empty, damaged, too large, or of a mode that has no one reading in 8 bits.
    """
    try:
        # by a handle: of a path Pillow maps the memory, and then garbles a TIFF that has an orientation
        with path.open("rb") as file, Image.open(file, formats=_formats()) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                raise UserError(f"{path}: has {opened.width} x {opened.height} pixels, which is too many")
            views = opened.format == "MPO"  # of one scene: frames of another meaning
            frames = 1 if views else getattr(opened, "n_frames", 1)
            raw = _raw_mode(opened)
            opened.load()
            return as_seen(opened, size, f"{place}: {path}", frames, raw)
    except UserError:
        raise
    except Exception as error:  # a decoder meets anything
        told = "it is empty (0 bytes)" if _is_empty(path) else " ".join(str(error).split())[:150]
        raise UserError(f"{place}: the picture {path} cannot be read: {told}") from None


@lru_cache(maxsize=1)
def _formats() -> list[str]:
    """Those of `_FORMATS` that this Pillow reads."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def as_seen(image: Image.Image, size: int | None, what: str, frames: int = 1, raw: str = "") -> Picture:
    """Convert an image of Pillow; `what` names it in errors, `raw` is the layout of its pixels in the file.

    Raises:
        UserError: its mode has no one reading in 8 bits, or white on transparent is all that it shows.
    """
    turn = _TURNS.get(_orientation(image))
    turned = image if turn is None else image.transpose(turn)
    deepest = None
    if _is_deep(image):
        flat, deepest = _from_16_bits(turned, image)
    elif image.mode in _GREY + _COLOURED:
        flat = _flat(turned, image, what)
        flat = flat.convert("L") if image.mode in _GREY or raw.startswith("LA") else flat
    else:
        told = {"I": "32 bits a pixel", "F": "fractions for pixels"}.get(image.mode, f"the mode {image.mode!r}")
        raise UserError(f"{what} has {told}; give 8 bits a channel, or arrays by a loader")
    pixels = np.asarray(flat)
    if ";16" in raw and deepest is None:
        deepest = _brightest(image) * 257
    if size is not None and flat.size != (size, size):
        pixels = np.asarray(flat.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0))
    pixels = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
    return Picture(pixels, frames, deepest, image.mode == "CMYK" and _profile(image, "CMYK") is None)


def is_dim(deepest: int) -> bool:
    """Whether 16-bit pictures use so little of their range that 8 bits of it would lose them."""
    return deepest <= _FULL // 2


# --- modes ------------------------------------------------------------------------------------------------------


def _flat(image: Image.Image, source: Image.Image, what: str) -> Image.Image:
    """L or RGB, over white. `source` has the metadata, which a turned picture may lack."""
    clear = source.has_transparency_data
    base, alpha = _PARTS.get(image.mode, _part)(image, clear)
    if image.mode == "CMYK" and source.format == "JPEG" and "adobe" not in source.info:
        base = ImageChops.invert(base)  # Pillow takes every CMYK JPEG for one of Adobe's, whose ink is inverted
    base = _by_profile(base, source)
    if alpha is None:
        return base
    seen = Image.composite(base, Image.new(base.mode, base.size, "white"), alpha)
    if all(low == high for low, high in _extremes(seen)) and alpha.getextrema()[0] != alpha.getextrema()[1]:
        raise UserError(
            f"{what} has its content in its transparency alone: over white nothing of it is seen. "
            "Put it on a background, or give arrays by a loader"
        )
    return seen


def _extremes(image: Image.Image) -> list[Any]:
    found = image.getextrema()
    return [found] if image.mode == "L" else list(found)


_Parts = tuple[Image.Image, Image.Image | None]


def _part(image: Image.Image, clear: bool) -> _Parts:
    """Colour or grey, and the share of it that is seen, if it is transparent anywhere."""
    grey = image.mode in _GREY
    if not clear:
        return (image if image.mode == "CMYK" else image.convert("L" if grey else "RGB")), None
    whole = image.convert("LA" if grey else "RGBA")
    return whole.convert("L" if grey else "RGB"), whole.getchannel("A")


def _premultiplied(image: Image.Image, clear: bool) -> _Parts:
    """Colours are stored times their alpha."""
    pixels = np.asarray(image).astype(np.float32)
    alpha = pixels[..., -1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        colour = np.where(alpha > 0, np.minimum(np.rint(pixels[..., :-1] * 255 / alpha), 255), 0)
    colour = colour.astype(np.uint8)
    return Image.fromarray(colour[..., 0] if colour.shape[2] == 1 else colour), image.getchannel(
        image.getbands()[-1]
    )


_PARTS: dict[str, Callable[[Image.Image, bool], _Parts]] = {"RGBa": _premultiplied, "La": _premultiplied}


def _is_deep(image: Image.Image) -> bool:
    """Whether it is grey of 16 bits; a PGM of more than 8 bits is I, scaled by Pillow to 16."""
    return image.mode in _DEEP or (image.mode == "I" and image.format == "PPM")


def _from_16_bits(image: Image.Image, source: Image.Image) -> tuple[Image.Image, int]:
    values = np.asarray(image).astype(np.int64)
    deepest = _FULL if source.format == "PPM" else int(values.max())  # a PGM states its range
    hidden = source.info.get("transparency")
    if isinstance(hidden, int):
        values = np.where(values == hidden, _FULL, values)
    return Image.fromarray(np.rint(values / 257).astype(np.uint8)), deepest


def _brightest(image: Image.Image) -> int:
    """The largest value of any colour, whatever shows through it."""
    return max(int(np.asarray(image.getchannel(band)).max()) for band in image.getbands() if band != "A")


def _raw_mode(opened: Image.Image) -> str:
    """The layout of the pixels in the file, such as RGB;16B, as far as Pillow says."""
    bits = getattr(opened, "tag_v2", {}).get(258)  # BitsPerSample of a TIFF
    if bits is not None:
        return ";16" if max(bits if isinstance(bits, tuple) else (bits,)) > 8 else ""
    args = [tile[3] for tile in getattr(opened, "tile", [])]
    first = args[0] if args else ""
    return str(first[0] if isinstance(first, tuple) and first else first or "")


# --- metadata ---------------------------------------------------------------------------------------------------


def _orientation(image: Image.Image) -> int:
    """How the camera was held, 1 to 8; damaged EXIF data say nothing, as in a viewer."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # as many kinds as there are damages
        return 1
    return found if isinstance(found, int) else 1


def _by_profile(image: Image.Image, source: Image.Image) -> Image.Image:
    """Colours as sRGB, by the file's own profile; CMYK without one by the plain formula."""
    to_srgb = _profile(source, image.mode)
    if to_srgb is None:
        return image.convert("RGB") if image.mode == "CMYK" else image
    seen: Image.Image = to_srgb.apply(image)
    return seen.convert("L") if image.mode == "L" else seen


def _profile(source: Image.Image, mode: str) -> Any:
    data = source.info.get("icc_profile")
    return _transform(data, mode) if isinstance(data, bytes) and data else None


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> Any:
    """The way from a profile to sRGB; None for sRGB itself, and for a damaged profile or another's."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if mode not in _SPACES.get(opened.profile.xcolor_space, ()):
            return None
        if "srgb" in (opened.profile.profile_description or "").lower():
            return None
        return ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")
    except Exception:  # a viewer ignores it, too
        return None


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except OSError:
        return False
