"""Reduces pixels of more than eight bits to eight bits, with little memory whatever their storage format.

A "16-bit" sample often has only 10, 12 or 14 significant bits (X-ray, scientific and machine cameras, raw developers)
in the lower part of its two bytes, so the white level has to be determined. It is what the file states or, if the file
states only the size of its numbers, the smallest bit depth of cameras that can hold the largest number.
"""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

DEPTHS = (
    8,
    10,
    12,
    14,
    16,
)  # bit depths of cameras' converters; a maximum between two of them means a photo that is not bright
_DEPTHS_OF_SIGNED = (8, 10, 12, 14, 15)  # the same for signed 16-bit numbers without negative values
_STRIP = 1 << 22  # samples that are converted at once, to use little memory beside the picture
_OVERBRIGHT = 2.0  # for floating-point numbers, whose white is 1; on any other scale most of a picture is far above
_MINIMUM_IS_WHITE = 0  # of TIFF's PhotometricInterpretation
_MAX_SAMPLE_VALUE = 281  # TIFF tag
_PNG_SIGNATURE, _PNG_CHUNK = b"\x89PNG\r\n\x1a\n", struct.Struct(">I4s")


def eight_bits(image: Image.Image, data: bytes) -> Image.Image:
    """Convert a decoded image to eight bits per channel, keeping its metadata; 8-bit images are returned unchanged.

    Args:
        image: as Pillow decoded it: grey in mode ``I;16`` (and variants), ``I`` or ``F``, which Pillow's own conversion
            would clip; 16-bit colour is already reduced to its upper eight bits.
        data: the file's bytes, to decode dim 16-bit colour again and to read the stated depth.
    """
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _grey(image, data)
    if image.mode in ("RGB", "RGBA", "LA") and _bits_stated(image, data) == 16:
        return _colour(image, data)
    return image


def _grey(image: Image.Image, data: bytes) -> Image.Image:
    values = np.asarray(image)
    clear = image.info.get("transparency")  # the single transparent value of a 16-bit PNG
    alpha = Image.fromarray(np.where(values == clear, np.uint8(0), np.uint8(255))) if isinstance(clear, int) else None
    if image.mode == "I" and _tiff_tag(image, TiffImagePlugin.SAMPLEFORMAT, 2) == 1:
        values = values.view(np.uint32)
    signed = _tiff_tag(image, TiffImagePlugin.SAMPLEFORMAT, 1) == 2 and _bits_stated(image, data) == 16
    low, white = _range(values, _stated_white(image, data), _DEPTHS_OF_SIGNED if signed else DEPTHS)
    grey = _scaled(values, low, white)
    if _tiff_tag(image, TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 1) == _MINIMUM_IS_WHITE:
        np.subtract(255, grey, out=grey)
    made = Image.fromarray(grey)
    if alpha is not None:
        made = Image.merge("LA", (made, alpha))
    return _with_info_of(image, made)


def _colour(image: Image.Image, data: bytes) -> Image.Image:
    """16-bit colour, of which Pillow keeps the upper eight bits; decoded again if these hold little or nothing."""
    colours = image.getbands()[: -1 if image.mode in ("RGBA", "LA") else None]
    brightest = max(int(image.getchannel(band).getextrema()[1]) for band in colours)  # type: ignore[arg-type]
    white = _white(brightest << 8 | 0xFF, _stated_white(image, data))
    if white > 0xFFFF - 0x100:
        return image
    whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if whole is None or whole.dtype != np.uint16 or whole.ndim != 3 or whole.shape[:2] != (image.height, image.width):
        return image  # a kind that OpenCV does not read; the result is dim, but correct
    white = _white(int(whole[..., :3].max()), _stated_white(image, data))
    bgr = _scaled(whole[..., :3], 0.0, white)
    made = Image.fromarray(np.ascontiguousarray(bgr[..., ::-1]))
    if whole.shape[2] == 4:
        clear = whole[..., 3]
        made.putalpha(Image.fromarray(_scaled(clear, 0.0, _white(int(clear.max()), None))))
    return _with_info_of(image, made)


def _range(values: NDArray[Any], stated: float | None, depths: tuple[int, ...]) -> tuple[float, float]:
    """The values of black and white."""
    if values.dtype.kind == "f":
        finite = values[np.isfinite(values)]
        if not finite.size or np.percentile(finite, 95) <= _OVERBRIGHT:
            return 0.0, 1.0
        return 0.0, _white(int(min(finite.max(), 2.0**31)), stated, depths)
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low < 0 and -low > high / 2:  # values around zero, not values from zero upwards with some noise below
        half = _white(max(-low - 1, high), None, tuple(depth - 1 for depth in DEPTHS))
        return float(-half - 1), float(half)
    return 0.0, _white(high, stated, depths)


def _white(largest: int, stated: float | None, depths: tuple[int, ...] = DEPTHS) -> float:
    """The value of white if ``largest`` is the largest value in the picture."""
    if stated is not None:
        return stated if largest <= stated else max(65535.0, float(largest))
    full = next((depth for depth in depths if largest < 1 << depth), max(largest.bit_length(), 1))
    return float((1 << full) - 1)


def _scaled(values: NDArray[Any], low: float, white: float) -> NDArray[np.uint8]:
    """Scale values of any type to 0..255 between black and white; non-finite ones become black."""
    scaled = np.empty(values.shape, np.uint8)
    rows = max(1, _STRIP // max(1, values[:1].size))
    for start in range(0, len(values), rows):
        strip = values[start : start + rows].astype(np.float32)
        strip = (strip - np.float32(low)) * np.float32(255.0 / (white - low)) + np.float32(0.5)
        scaled[start : start + rows] = np.clip(np.nan_to_num(strip, nan=0.0), 0, 255).astype(np.uint8)
    return scaled


def _with_info_of(image: Image.Image, made: Image.Image) -> Image.Image:
    made.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return made


# -- what the file states ----------------------------------------------------------------------------------------------


def _tiff_tag(image: Image.Image, tag: int, default: int) -> int:
    """The first value of a tag; the default if there is none or the image is not a TIFF."""
    value = getattr(image, "tag_v2", {}).get(tag, default)
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else default


def _bits_stated(image: Image.Image, data: bytes) -> int:
    """Bits per sample as stored in the file."""
    if data.startswith(_PNG_SIGNATURE):
        return data[24] if len(data) > 24 else 8
    return _tiff_tag(image, TiffImagePlugin.BITSPERSAMPLE, 8)


def _stated_white(image: Image.Image, data: bytes) -> float | None:
    """White as the file states it; None if it states only the size of its numbers."""
    if data.startswith(_PNG_SIGNATURE):
        bits = _significant_bits(data)
        # By the standard such a PNG is still scaled to 16 bits; if so, its numbers are larger, and they decide.
        return float((1 << bits) - 1) if bits else None
    bits, largest = _tiff_tag(image, TiffImagePlugin.BITSPERSAMPLE, 0), _tiff_tag(image, _MAX_SAMPLE_VALUE, 0)
    if largest > 255:
        return float(largest)
    return float((1 << bits) - 1) if 8 < bits < 16 else None


def _significant_bits(data: bytes) -> int:
    """The largest number in a PNG's ``sBIT`` chunk; 0 if there is none before the pixels."""
    place = len(_PNG_SIGNATURE)
    while place + _PNG_CHUNK.size <= len(data):
        length, kind = _PNG_CHUNK.unpack_from(data, place)
        if kind == b"IDAT":
            break
        if kind == b"sBIT":
            found = data[place + _PNG_CHUNK.size : place + _PNG_CHUNK.size + min(length, 4)]
            return max((bits for bits in found if 8 < bits <= 16), default=0)
        place += _PNG_CHUNK.size + length + 4
    return 0
