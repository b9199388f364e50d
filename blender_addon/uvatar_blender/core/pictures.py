# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures without Blender, for threads beside the main one: whether bytes are a whole PNG or JPEG, and pixels as a
PNG.
"""

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
_UP = 2  # the PNG filter that stores what a row's bytes differ by from those above
_COLOURS = {3: 2, 4: 6}  # what a PNG calls pixels without and with alpha, by their channels

# A file's bytes, or pixels as Blender has them: (H, W, 3 or 4), 0 to 1, the lowest row first; they become a PNG.
Picture = bytes | NDArray[np.float32]


def write_pictures(pictures: Mapping[Path, Picture]) -> None:
    """Write files; under its name each is whole or not there, also when this is cut off. Raises OSError."""
    for path, picture in pictures.items():
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(picture if isinstance(picture, bytes) else encode_png(picture))
        os.replace(part, path)


class PictureWriter:
    """Writes pictures one after the other, in a thread of its own.

    All methods but `wait` are for the main thread and return at once.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="uvatar pictures")
        self._under_way: dict[Path, Future[None]] = {}

    @property
    def busy(self) -> bool:
        """Whether `ended` has something to tell, or will have."""
        return bool(self._under_way)

    def write(self, path: Path, picture: Picture) -> None:
        """Have a file written."""
        self._under_way[path] = self._thread.submit(partial(write_pictures, {path: picture}))

    def writing(self, path: Path) -> bool:
        """Whether a file is a moment away."""
        return path in self._under_way

    def ended(self) -> dict[Path, BaseException | None]:
        """Files that were written since the last call, or could not be: then why (OSError, or MemoryError)."""
        over = {path: future for path, future in self._under_way.items() if future.done()}
        for path in over:
            del self._under_way[path]
        return {path: future.exception() for path, future in over.items()}

    def wait(self) -> None:
        """Until all files that are under way are written, or cannot be."""
        wait(list(self._under_way.values()))

    def close(self) -> None:
        """End the thread once it has written what is under way."""
        self._thread.shutdown(wait=False)


def encode_png(pixels: NDArray[np.float32]) -> bytes:
    """Pixels as Blender has them, (H, W, 3 or 4) -> a PNG of 8 bits per channel, with as many channels; quickly rather
    than small.

    Nearly all the time goes by in zlib and numpy, which let other threads run meanwhile.
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
    """Width and height. ValueError if the bytes are not a whole picture: wrong kind, torn, or changed on the way."""
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
    """Walks the segments to the frame header (ITU-T T.81, annex B)."""
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
