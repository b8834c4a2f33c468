"""Every mode and every picture file of Pillow is read as a person sees it, or refused by name."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageMode, ImageOps

from hpsearch.data.picture import as_seen, is_dim, read_picture
from hpsearch.errors import UserError

RNG = np.random.default_rng(0)
COLOUR = Image.fromarray(np.kron(RNG.integers(0, 256, (3, 4, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8)))
GREY = COLOUR.convert("L")
ALPHA = Image.fromarray(RNG.integers(0, 256, GREY.size[::-1], dtype=np.uint8))
REFUSED = {"I": "32 bits a pixel", "F": "fractions for pixels"}


def image_of(mode: str) -> Image.Image:
    """COLOUR or GREY in a mode, half transparent in those with alpha."""
    if mode in ("LA", "La", "RGBA", "RGBa", "PA"):
        image = (GREY if mode[0] == "L" else COLOUR).convert(mode.upper() if mode != "PA" else "RGBA")
        image.putalpha(ALPHA)
        return image.convert(mode)
    if mode.startswith("I;16"):
        values = np.asarray(GREY).astype(ImageMode.getmode(mode).typestr) * 257
        return Image.frombytes(mode, GREY.size, values.astype(ImageMode.getmode(mode).typestr).tobytes())
    if mode == "LAB":
        to_lab = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        return ImageCms.applyTransform(COLOUR, to_lab)
    return COLOUR.convert(mode)


def over_white(colour: Image.Image) -> np.ndarray:
    """[C, H, W], by the formula."""
    c = np.asarray(colour).astype(float)
    a = np.asarray(ALPHA).astype(float)[..., None] / 255
    return np.moveaxis((c if c.ndim == 3 else c[..., None]) * a + 255 * (1 - a), 2, 0)


@pytest.mark.parametrize("mode", Image.MODES)
def test_every_mode_is_read_or_refused(mode: str) -> None:
    if mode in REFUSED:
        with pytest.raises(UserError, match=f"^a\\.tif has {REFUSED[mode]}; give 8 bits"):
            as_seen(image_of(mode), None, "a.tif")
        return
    image = image_of(mode)
    found = as_seen(image, None, "a.tif").pixels
    grey = (mode[0] in "1L" and mode != "LAB") or mode.startswith("I;16")
    assert (found.dtype, len(found)) == (np.uint8, 1 if grey else 3)
    if mode[-1] in "Aa":
        seen = over_white(GREY if mode[0] == "L" else COLOUR)
        assert np.abs(found - seen).max() <= 2 if mode != "PA" else np.abs(found - seen).mean() < 25
    else:
        exact = {"1": COLOUR.convert("1").convert("L")}.get(mode, GREY if grey else COLOUR)
        seen = np.asarray(exact)[None] if grey else np.moveaxis(np.asarray(exact), 2, 0)
        off = np.abs(found.astype(int) - seen)
        loose = {"P": 25, "LAB": 14, "HSV": 4, "YCbCr": 3}.get(mode, 0)
        assert (off.mean() if mode == "P" else off.max()) <= loose


def test_a_mode_that_is_new_is_refused_by_name() -> None:
    class Other(Image.Image):
        mode = "RGB;64"  # type: ignore[assignment]

    with pytest.raises(UserError, match=r"a\.png has the mode 'RGB;64'; give 8 bits a channel"):
        as_seen(Other(), None, "a.png")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "GIF", "BMP", "JPEG", "PPM", "JPEG2000", "AVIF", "DIB"])
@pytest.mark.parametrize("mode", Image.MODES)
def test_what_pillow_writes_is_read_or_refused(mode: str, kind: str, tmp_path: Path) -> None:
    """Through a file a mode may become another, and is then read as that."""
    image, path = image_of(mode), tmp_path / "a.png"
    try:
        image.save(path, kind)
    except (OSError, KeyError, ValueError):
        return  # the format has no such mode
    try:
        found = read_picture(path, None, "s").pixels
    except UserError as error:
        assert "32 bits a pixel" in str(error) or "fractions" in str(error)
        return
    if mode in REFUSED or mode == "1":
        return  # clipped by Pillow as it was written
    grey = GREY if mode[0] in "LI" and mode != "LAB" else COLOUR
    alpha_kept = mode[-1] in "Aa" and kind in ("PNG", "TIFF", "WEBP", "JPEG2000", "AVIF")
    seen = over_white(grey) if alpha_kept else np.moveaxis(np.atleast_3d(np.asarray(grey)), 2, 0)
    if (mode[-1] in "Aa" and kind == "GIF") or (mode.startswith("I;16") and kind in ("GIF", "WEBP", "AVIF")):
        return  # alpha is there or not; 16 bits are clipped by Pillow
    assert np.abs(found.astype(float) - seen).mean() < 30


# --- orientation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_a_picture_is_turned_as_its_exif_says(turn: int, kind: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    COLOUR.save(tmp_path / "a", kind, exif=exif, quality=95, lossless=True)
    with Image.open(tmp_path / "a") as opened:
        seen = np.asarray(ImageOps.exif_transpose(opened))
    found = read_picture(tmp_path / "a", None, "s").pixels
    assert found.shape == (3, 24, 32) if turn < 5 else found.shape == (3, 32, 24)
    assert np.array_equal(np.moveaxis(found, 0, 2), seen)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_a_picture_of_another_mode_is_turned_too(mode: str, kind: str, tmp_path: Path) -> None:
    """Pillow itself garbles some of these TIFFs, when it opens them by their path."""
    if (mode, kind) == ("CMYK", "PNG"):
        return
    image, exif = image_of(mode), Image.Exif()
    image.save(tmp_path / "plain", kind)
    exif[0x0112] = 6
    image.save(tmp_path / "turned", kind, exif=exif)
    plain, turned = (read_picture(tmp_path / name, None, "s").pixels for name in ("plain", "turned"))
    assert np.array_equal(turned, np.rot90(plain, -1, axes=(1, 2)))


@pytest.mark.parametrize(
    "exif",
    [b"", b"Exif\0\0", b"Exif\0\0junk", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12",
     b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0\0\0\0\0"],
)  # fmt: skip
def test_a_picture_with_damaged_exif_stays_as_it_is(exif: bytes, tmp_path: Path) -> None:
    COLOUR.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(
        read_picture(tmp_path / "a.png", None, "s").pixels, np.moveaxis(np.asarray(COLOUR), 2, 0)
    )


@given(exif=st.binary(max_size=60), turn=st.one_of(st.none(), st.binary(max_size=8), st.text(max_size=4)))
@settings(max_examples=25, deadline=None)
def test_no_exif_data_stop_the_reading(exif: bytes, turn: Any) -> None:
    image = COLOUR.copy()
    image.info["exif"] = b"Exif\0\0" + exif
    if turn is not None:
        image.info["xmp"] = turn
    assert as_seen(image, None, "a").pixels.shape[0] == 3


# --- transparency -----------------------------------------------------------------------------------------------


def shape(value: Any, mode: str = "RGBA") -> Image.Image:
    """A square of one colour in the middle of what is transparent."""
    alpha = Image.new("L", (8, 8), 0)
    alpha.paste(255, (2, 2, 6, 6))
    image = Image.new(mode, (8, 8), value)
    image.putalpha(alpha)
    return image


@pytest.mark.parametrize("image", [shape((0, 0, 0, 255)), shape((0, 255), "LA")], ids=["RGBA", "LA"])
def test_a_black_shape_on_transparent_is_black_on_white(image: Image.Image, tmp_path: Path) -> None:
    image.save(tmp_path / "a.png")
    found = read_picture(tmp_path / "a.png", None, "s").pixels
    assert (found[:, 0, 0].tolist(), found[:, 4, 4].tolist()) == ([255] * len(found), [0] * len(found))


@pytest.mark.parametrize("image", [shape((255, 255, 255, 255)), shape((255, 255), "LA")], ids=["RGBA", "LA"])
def test_white_on_transparent_is_refused(image: Image.Image, tmp_path: Path) -> None:
    image.save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png has its content in its transparency alone"):
        read_picture(tmp_path / "a.png", None, "s")


def test_a_picture_that_is_transparent_all_over_is_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (9, 9, 9, 0)).save(tmp_path / "a.png")
    assert (read_picture(tmp_path / "a.png", None, "s").pixels == 255).all()


@pytest.mark.parametrize(
    ("image", "hidden"),
    [
        (Image.new("L", (4, 4), 40), 40),
        (Image.new("RGB", (4, 4), (1, 2, 3)), (1, 2, 3)),
        (Image.new("1", (4, 4), 0), 0),
        (Image.new("P", (4, 4), 0), 0),
        (Image.new("P", (4, 4), 0), bytes([0, 255])),
        (Image.fromarray(np.full((4, 4), 8000, dtype=np.uint16)), 8000),
    ],
    ids=["L", "RGB", "1", "P", "palette", "I;16"],
)
def test_a_colour_that_means_transparent_is_white(image: Image.Image, hidden: Any, tmp_path: Path) -> None:
    image.save(tmp_path / "a.png", transparency=hidden)
    assert (read_picture(tmp_path / "a.png", None, "s").pixels == 255).all()


# --- depth ------------------------------------------------------------------------------------------------------


def png_of_16_bits(path: Path, values_HWC: np.ndarray) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width, channels = values_HWC.shape
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values_HWC)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_are_scaled_to_8(channels: int, tmp_path: Path) -> None:
    values = np.full((5, 6, channels), 200 * 257)
    values[..., channels - 1] = 65535 if channels in (2, 4) else 200 * 257
    png_of_16_bits(tmp_path / "a.png", values)
    found = read_picture(tmp_path / "a.png", None, "s")
    assert found.pixels.shape == (1 if channels < 3 else 3, 5, 6)
    assert (found.pixels == 200).all()
    assert found.deepest is not None
    assert not is_dim(found.deepest)


@pytest.mark.parametrize("kind", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_12_bits_in_16_are_known_by_what_they_use(channels: int, kind: str, tmp_path: Path) -> None:
    if channels > 1 and kind == "tif":
        return  # Pillow does not write it
    if kind == "png":
        png_of_16_bits(tmp_path / "a.png", np.full((5, 6, channels), 4095))
    else:
        Image.fromarray(np.full((5, 6), 4095, dtype=np.uint16)).save(tmp_path / "a.tif")
    deepest = read_picture(tmp_path / f"a.{kind}", None, "s").deepest
    assert deepest is not None
    assert is_dim(deepest)


def test_a_pgm_states_its_range(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 3 1 4095\n" + struct.pack(">3H", 0, 2048, 4095))
    found = read_picture(tmp_path / "a.pgm", None, "s")
    assert found.pixels.tolist() == [[[0, 128, 255]]]
    assert found.deepest is not None
    assert not is_dim(found.deepest)


# --- colours ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adobe", [True, False], ids=["Adobe", "plain"])
def test_the_ink_of_a_cmyk_jpeg_is_dark(adobe: bool, tmp_path: Path) -> None:
    """Adobe stores the inverse, with a marker; a JPEG without the marker stores the ink itself."""
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    stream = io.BytesIO()
    ink.save(stream, "JPEG", quality=95)
    data = stream.getvalue()
    if not adobe:  # the same bytes without the marker mean the inverse
        at = data.find(b"\xff\xee")
        data = data[:at] + data[at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0] :]
    (tmp_path / "a.jpg").write_bytes(data)
    found = read_picture(tmp_path / "a.jpg", None, "s")
    assert np.abs(found.pixels[:, 8, 8].astype(int) - ([255, 0, 0] if adobe else [0, 0, 0])).max() < 8
    assert found.guessed


def swapped_profile() -> bytes:
    """sRGB with red and green exchanged: a picture of it looks otherwise than its numbers say."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", data[128:132])[0]
    places = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = (bytes(data[places[name] + 4 : places[name] + 12]) for name in (b"rXYZ", b"gXYZ"))
    data[places[b"rXYZ"] + 4 : places[b"rXYZ"] + 12], data[places[b"gXYZ"] + 4 : places[b"gXYZ"] + 12] = green, red
    return bytes(data).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
def test_colours_are_those_of_the_profile(mode: str, tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 4), (255, 0, 0)).convert(mode)
    image.save(tmp_path / "a.png", icc_profile=swapped_profile())
    found = read_picture(tmp_path / "a.png", None, "s").pixels[:, 0, 0].astype(int)
    assert np.abs(found - [0, 255, 0]).max() <= 2


@pytest.mark.parametrize(
    "profile", [b"junk", b"\0" * 200, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()]
)
def test_a_profile_that_says_nothing_is_ignored(profile: bytes, tmp_path: Path) -> None:
    COLOUR.save(tmp_path / "a.png", icc_profile=profile)
    assert np.array_equal(
        read_picture(tmp_path / "a.png", None, "s").pixels, np.moveaxis(np.asarray(COLOUR), 2, 0)
    )


# --- files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_of_several_frames_the_first_is_read(kind: str, tmp_path: Path) -> None:
    more = [Image.new("RGB", COLOUR.size, c) for c in ("red", "blue")]
    COLOUR.save(tmp_path / "a", kind, save_all=True, append_images=more, lossless=True, duration=9)
    found = read_picture(tmp_path / "a", None, "s")
    assert found.frames == 3
    assert np.abs(found.pixels.astype(int) - np.moveaxis(np.asarray(COLOUR), 2, 0)).mean() < 8


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "AVIF"])
def test_a_file_that_breaks_off_is_refused(kind: str, tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(stream, kind)
    (tmp_path / "a.png").write_bytes(stream.getvalue()[: len(stream.getvalue()) * 3 // 5])
    with pytest.raises(UserError, match=r"^s: the picture .*a\.png cannot be read: "):
        read_picture(tmp_path / "a.png", None, "s")


def test_an_empty_file_is_refused_as_empty(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"the picture .*a\.png cannot be read: it is empty \(0 bytes\)"):
        read_picture(tmp_path / "a.png", None, "s")


def test_postscript_is_no_picture_whatever_its_name(tmp_path: Path) -> None:
    """Pillow would start Ghostscript for it."""
    COLOUR.save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    with pytest.raises(UserError, match="cannot identify"):
        read_picture(tmp_path / "a.png", None, "s")
