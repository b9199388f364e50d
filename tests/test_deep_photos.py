"""Photos with more than eight bits a channel, whatever part of their numbers they use, and other kinds of pixels than
eight-bit RGB.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from uvatar.photos.decoding import PhotoError, decode_photo

from .test_photo import HEIGHT, WIDTH, difference, encoded, picture

COLOURS = picture()
GREY = COLOURS[..., 0]
GREY_RGB = np.repeat(GREY[..., None], 3, -1)
DEPTHS = (8, 10, 12, 14, 16)


def of_depth(pixels: NDArray[Any], bits: int) -> NDArray[Any]:
    """The picture in the lower ``bits`` bits of 16."""
    return np.round(pixels / 255 * (2**bits - 1)).astype(np.uint16)


def tiff(samples: NDArray[Any], order: Literal["<", ">"] = "<", **tags: int | Sequence[int]) -> bytes:
    """A TIFF file of one strip; ``tags`` by the names below."""
    kind = samples.dtype
    numbers = {"width": 256, "bits": 258, "photometric": 262, "largest": 281, "format": 339}
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    strip = samples.astype(kind.newbyteorder(order)).tobytes()
    sample_format = {"u": 1, "i": 2, "f": 3}[kind.kind]
    entries: dict[int, int | Sequence[int]] = {
        256: samples.shape[1],
        257: samples.shape[0],
        258: [8 * kind.itemsize] * channels,
        259: 1,
    }
    entries |= {262: 2 if channels == 3 else 1, 273: 8, 277: channels, 278: samples.shape[0], 279: len(strip)}
    entries[339] = [sample_format] * channels
    entries |= {numbers[name]: value for name, value in tags.items()}
    start = 8 + len(strip) + len(strip) % 2
    extra, table = b"", b""
    after = start + 2 + 12 * len(entries) + 4
    for tag, value in sorted(entries.items()):
        values = [value] if isinstance(value, int) else list(value)
        letter, number = ("I", 4) if max(values) > 65535 or tag in (273, 279) else ("H", 3)
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(packed) > 4:
            packed, extra = struct.pack(f"{order}I", after + len(extra)), extra + packed
        table += struct.pack(f"{order}HHI", tag, number, len(values)) + packed.ljust(4, b"\0")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{order}I", start) + strip + b"\0" * (len(strip) % 2)
    return head + struct.pack(f"{order}H", len(entries)) + table + struct.pack(f"{order}I", 0) + extra


def png(samples: NDArray[Any], significant: int = 0) -> bytes:
    """A PNG file of 16-bit samples, with an ``sBIT`` chunk where ``significant`` bits are stated."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    channels = 1 if samples.ndim == 2 else samples.shape[2]
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.tobytes() for row in samples.astype(">u2"))
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, colour, 0, 0, 0)
    stated = chunk(b"sBIT", bytes([significant] * channels)) if significant else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + stated
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def opaque(pixels: NDArray[Any]) -> NDArray[Any]:
    return np.dstack([pixels, np.full(pixels.shape[:2], 65535, np.uint16)])


@pytest.mark.parametrize(("bits", "order"), list(itertools.product(DEPTHS, "<>")))
def test_grey_of_any_depth_has_its_brightness(bits: int, order: Literal["<", ">"]) -> None:
    deep = of_depth(GREY, bits)
    assert difference(decode_photo(tiff(deep, order)), GREY_RGB) < 1
    assert difference(decode_photo(png(deep)), GREY_RGB) < 1
    signed = of_depth(GREY, min(bits, 15)).astype(np.int16)
    assert difference(decode_photo(tiff(signed, order)), GREY_RGB) < 1


@pytest.mark.parametrize("bits", DEPTHS)
def test_colour_of_any_depth_has_its_brightness(bits: int) -> None:
    deep = of_depth(COLOURS, bits)
    for data in (
        png(deep),
        png(opaque(deep)),
        tiff(deep),
        tiff(deep, ">"),
        cv2.imencode(".tiff", deep[..., ::-1])[1].tobytes(),
    ):
        assert difference(decode_photo(data), COLOURS) < 1
    grey_and_alpha = np.dstack([of_depth(GREY, bits), np.full(GREY.shape, 65535, np.uint16)])
    assert difference(decode_photo(png(grey_and_alpha)), GREY_RGB) < 1.5


def test_transparency_of_dim_colour_is_laid_over_white() -> None:
    deep = opaque(of_depth(COLOURS, 12))
    deep[:, : WIDTH // 2, 3] = 0
    pixels = decode_photo(png(deep)).pixels
    assert (pixels[:, : WIDTH // 2] == 255).all() and np.abs(
        pixels[:, WIDTH // 2 :].astype(int) - COLOURS[:, WIDTH // 2 :]
    ).max() <= 1


def packed_twelve(samples: NDArray[Any]) -> bytes:
    """A TIFF whose BitsPerSample is 12: three bytes hold two samples, the upper bits first."""
    first, second = np.moveaxis(samples.reshape(-1, 2).astype(int), 1, 0)
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], -1).astype(np.uint8)
    return tiff(packed.reshape(HEIGHT, -1), bits=12, width=WIDTH)


def test_twelve_bits_packed() -> None:
    deep = of_depth(GREY, 12)
    assert difference(decode_photo(packed_twelve(deep)), GREY_RGB) < 1
    assert (
        difference(decode_photo(packed_twelve(deep // 8)), GREY_RGB / 8.0) < 1
    )  # what is stated counts, not the largest number


@pytest.mark.parametrize("shades", [GREY, COLOURS])
def test_what_the_file_states_counts_before_its_largest_number(shades: NDArray[Any]) -> None:
    expected = np.broadcast_to((shades if shades.ndim == 3 else shades[..., None]) / 4.0, COLOURS.shape)
    dim = of_depth(shades, 12) // 4  # the largest number would fit 10 bits
    assert difference(decode_photo(png(dim, significant=12)), expected) < 1
    assert difference(decode_photo(tiff(dim, largest=4095)), expected) < 1
    # a PNG by the standard: 12 bits of light, stretched to 16
    assert difference(decode_photo(png(of_depth(shades, 16) // 4, significant=12)), expected) < 1
    assert difference(decode_photo(png(of_depth(shades, 16) // 4, significant=16)), expected) < 1


def test_numbers_with_a_sign_and_of_32_bits() -> None:
    full = of_depth(GREY, 16).astype(np.int64)
    for samples in ((full - 32768).astype(np.int16), (full * 65537).astype(np.uint32), (full * 32767).astype(np.int32)):
        assert difference(decode_photo(tiff(samples)), GREY_RGB) < 1
        if samples.dtype != np.uint32:  # which Pillow knows in one order only
            assert difference(decode_photo(tiff(samples, ">")), GREY_RGB) < 1
    noise = of_depth(GREY, 12).astype(np.int16)
    noise[::7, ::5] = -3  # as a dark frame leaves it when it is taken off
    assert np.median(np.abs(decode_photo(tiff(noise)).pixels[..., 0].astype(int) - GREY)) <= 1


@pytest.mark.parametrize("white", [1, 255, 4095, 65535])
def test_floating_point(white: int) -> None:
    data = tiff((GREY / 255 * white).astype(np.float32))
    assert difference(decode_photo(data), GREY_RGB) < 1


def test_floating_point_beyond_white_and_not_finite() -> None:
    values = (GREY / 255).astype(np.float32)
    values[5, :4] = (np.nan, np.inf, -np.inf, 7.5)
    pixels = decode_photo(tiff(values)).pixels
    assert pixels[5, :4, 0].tolist() == [0, 255, 0, 255]
    assert np.abs(pixels[6:, :, 0].astype(int) - GREY[6:]).max() <= 1
    with pytest.raises(PhotoError, match="8 or 16 bits per channel"):
        decode_photo(tiff((COLOURS / 255).astype(np.float32)))


def test_white_may_be_zero() -> None:
    for samples in (of_depth(GREY, 16), of_depth(GREY, 12)):
        white = 65535 if samples.max() > 4095 else 4095
        assert difference(decode_photo(tiff((white - samples).astype(np.uint16), photometric=0)), GREY_RGB) < 1


def test_one_grey_of_16_bits_may_be_transparent() -> None:
    grey = of_depth(GREY, 16)
    grey[:10] = 40_000
    photo = decode_photo(encoded(Image.fromarray(grey), "PNG", transparency=40_000))
    assert (photo.pixels[:10] == 255).all() and np.array_equal(photo.pixels[10:, :, 0], GREY[10:])


def test_lab_and_ycbcr() -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    in_lab = ImageCms.profileToProfile(Image.fromarray(COLOURS), srgb, lab, outputMode="LAB")
    assert in_lab is not None
    assert difference(decode_photo(encoded(in_lab, "TIFF")), COLOURS) < 2
    assert difference(decode_photo(encoded(Image.fromarray(COLOURS).convert("YCbCr"), "TIFF")), COLOURS) < 2


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_is_not_inverted(kind: str) -> None:
    """Adobe's JPEGs hold inverted CMYK, which Pillow writes and knows by Adobe's marker; TIFFs hold it as it is."""
    data = encoded(Image.fromarray(COLOURS).convert("CMYK"), kind, **({"quality": 95} if kind == "JPEG" else {}))
    assert b"Adobe" in data or kind == "TIFF"
    assert difference(decode_photo(data), COLOURS) < 2


@pytest.mark.parametrize("form", ["PNG", "GIF", "TIFF"])
def test_palettes_with_alpha(form: str) -> None:
    palette = Image.fromarray(COLOURS).quantize(16)
    clear = np.asarray(palette) == 0
    expected = np.where(clear[..., None], 255, np.asarray(palette.convert("RGB")))
    options: dict[str, dict[str, Any]] = {
        "PNG": {"transparency": bytes([0] + [255] * 15)},
        "GIF": {"transparency": 0},
        "TIFF": {},
    }
    if form == "TIFF":
        palette = palette.convert("PA")
        palette.putalpha(Image.fromarray(np.where(clear, 0, 255).astype(np.uint8)))
    assert difference(decode_photo(encoded(palette, form, **options[form])), expected) < 1


def test_a_giant_of_16_bits_takes_little_memory_beside_its_pixels() -> None:
    """The conversion works strip by strip; eight bytes a pixel, twice, it once took."""
    import tracemalloc

    from uvatar.photos import deep_pixels

    values = np.full((3000, 4000), 4095, np.uint16)
    tracemalloc.start()
    grey = deep_pixels._scaled(values, 0.0, 4095.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (grey == 255).all() and peak < grey.nbytes + 6 * 4 * deep_pixels._STRIP
