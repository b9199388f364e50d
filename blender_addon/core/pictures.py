# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures without Blender, for threads beside the main one: whether bytes are a whole PNG or JPEG, and pixels as a PNG."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_LARGEST = 32_768  # pixels on a side
_STRIP = 64  # rows that are encoded at a time
_UP = 2  # the PNG filter that stores what a row's bytes differ by from those above

Picture = bytes | NDArray[np.float32]  # a PNG file, or pixels as Blender has them: (H, W, 4), 0 to 1, the lowest row first


def write_pictures(pictures: Mapping[Path, Picture]) -> None:
    """Write PNG files. Raises OSError."""
    for path, picture in pictures.items():
        path.write_bytes(picture if isinstance(picture, bytes) else encode_png(picture))


def encode_png(pixels: NDArray[np.float32]) -> bytes:
    """Pixels as Blender has them -> a PNG of 8 bits per channel, without alpha; quickly rather than small.

    Nearly all the time goes by in zlib and numpy, which let other threads run meanwhile.
    """
    height, width = pixels.shape[:2]
    compressor, packed = zlib.compressobj(1), []
    above = np.zeros((1, width * 3), np.uint8)
    for top in range(0, height, _STRIP):
        strip = pixels[::-1][top : top + _STRIP, :, :3]
        rows = np.clip(strip * 255 + 0.5, 0, 255).astype(np.uint8).reshape(len(strip), -1)
        filtered = np.full((len(rows), 1 + width * 3), _UP, np.uint8)
        np.subtract(rows, np.concatenate([above, rows[:-1]]), out=filtered[:, 1:])
        packed.append(compressor.compress(filtered.data))
        above = rows[-1:]
    packed.append(compressor.flush())
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 2: colours
    return PNG + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"".join(packed)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height. ValueError where the bytes are not a whole picture: wrong kind, torn, or changed on the way."""
    if data.startswith(PNG):
        width, height = _png_size(data)
    elif data.startswith(_JPEG):
        width, height = _jpeg_size(data)
    else:
        raise ValueError("neither PNG nor JPEG")
    if not (0 < width <= _LARGEST and 0 < height <= _LARGEST):
        raise ValueError(f"{width} x {height} pixels")
    return width, height


def _png_size(data: bytes) -> tuple[int, int]:
    """Walks the chunks and checks the sum of each (PNG specification, section 5)."""
    place, kind, size = len(PNG), b"", None
    view = memoryview(data)
    while kind != b"IEND":
        if place + 12 > len(data):
            raise ValueError("a torn PNG")
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        if end + 4 > len(data) or zlib.crc32(view[place + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise ValueError("a damaged PNG")
        if size is None:
            if kind != b"IHDR" or length < 8:
                raise ValueError("a damaged PNG")
            size = struct.unpack_from(">II", data, place + 8)
        place = end + 4
    assert size is not None
    return size


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walks the segments to the frame header (ITU-T T.81, annex B)."""
    if b"\xff\xd9" not in data[-64:]:
        raise ValueError("a torn JPEG")
    place = 2
    while place + 9 <= len(data):
        marker = data[place + 1]
        if data[place] != 0xFF:
            break
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        if marker == 0xFF:  # padding
            place += 1
            continue
        place += 2 + struct.unpack_from(">H", data, place + 2)[0]
    raise ValueError("a damaged JPEG")
