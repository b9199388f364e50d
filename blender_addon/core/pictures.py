# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether bytes are a whole PNG or JPEG picture, found out without decoding it: so that the main thread need not."""

from __future__ import annotations

import struct
import zlib

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_LARGEST = 32_768  # pixels on a side


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height. ValueError where the bytes are not a whole picture: wrong kind, torn, or changed on the way."""
    if data.startswith(_PNG):
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
    place, kind, size = len(_PNG), b"", None
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
