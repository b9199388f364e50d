# SPDX-License-Identifier: GPL-3.0-or-later
"""PNG and JPEG files without Blender, for threads other than the main one: checking them, and encoding PNG."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_LARGEST = 32_768  # pixels on a side
_STRIP = 64  # rows that are encoded at a time
_UP = 2  # the PNG filter that stores the difference to the row above
_COLOURS = {3: 2, 4: 6}  # number of channels -> PNG colour type

# The bytes of a file, or pixels as Blender stores them, which become a PNG: (H, W, 3 or 4), 0 to 1, bottom row first.
Picture = bytes | NDArray[np.float32]


def write_pictures(pictures: Mapping[Path, Picture]) -> None:
    """Write files atomically: even if this is interrupted, each is complete or missing.

    Raises:
        OSError: a file cannot be written.
    """
    for path, picture in pictures.items():
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(picture if isinstance(picture, bytes) else encode_png(picture))
        os.replace(part, path)


class PictureWriter:
    """Writes pictures one by one in a thread of its own.

    All methods except `wait` are for the main thread and return at once.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="uvatar pictures")
        self._under_way: dict[Path, Future[None]] = {}

    @property
    def busy(self) -> bool:
        """Whether files are being written, or `ended` has not reported them yet."""
        return bool(self._under_way)

    def write(self, path: Path, picture: Picture) -> None:
        """Write a file in the background."""
        self._under_way[path] = self._thread.submit(partial(write_pictures, {path: picture}))

    def writing(self, path: Path) -> bool:
        """Whether a file is being written."""
        return path in self._under_way

    def ended(self) -> dict[Path, BaseException | None]:
        """Return the files finished since the last call, each with the error (OSError, MemoryError) or None."""
        over = {path: future for path, future in self._under_way.items() if future.done()}
        for path in over:
            del self._under_way[path]
        return {path: future.exception() for path, future in over.items()}

    def wait(self) -> None:
        """Wait until all files that are being written are finished or have failed."""
        wait(list(self._under_way.values()))

    def close(self) -> None:
        """End the thread once it has written the remaining files."""
        self._thread.shutdown(wait=False)


def encode_png(pixels: NDArray[np.float32]) -> bytes:
    """Encode pixels as a PNG with 8 bits per channel, fast rather than small.

    Nearly all the time is spent in zlib and NumPy, which let other threads run meanwhile.

    Args:
        pixels: (H, W, 3 or 4), 0 to 1, the bottom row first, as Blender stores them.
    """
    height, width, channels = pixels.shape
    compressor, packed = zlib.compressobj(1), []
    above = np.zeros((1, width * channels), np.uint8)
    for top in range(0, height, _STRIP):
        strip = pixels[::-1][top : top + _STRIP]
        rows = np.clip(strip * 255 + 0.5, 0, 255).astype(np.uint8).reshape(len(strip), -1)
        filtered = np.full((len(rows), 1 + width * channels), _UP, np.uint8)
        np.subtract(rows, np.concatenate([above, rows[:-1]]), out=filtered[:, 1:])
        packed.append(compressor.compress(filtered.data))
        above = rows[-1:]
    packed.append(compressor.flush())
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOURS[channels], 0, 0, 0)
    return PNG + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"".join(packed)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def picture_size(data: bytes) -> tuple[int, int]:
    """Return width and height of a PNG or JPEG.

    Raises:
        ValueError: the bytes are no PNG or JPEG, or it is truncated or damaged.
    """
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
    """Walk through the chunks and check the CRC of each (PNG specification, section 5)."""
    place, kind, size = len(PNG), b"", None
    view = memoryview(data)
    while kind != b"IEND":
        if place + 12 > len(data):
            raise ValueError("a truncated PNG")
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
    """Walk through the segments to the frame header (ITU-T T.81, annex B)."""
    if b"\xff\xd9" not in data[-64:]:
        raise ValueError("a truncated JPEG")
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
