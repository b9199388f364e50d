# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing folder names from FBX files: Blender's exporter writes the full paths of the .blend and the textures."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

_MAGIC = b"Kaydara FBX Binary  \x00\x1a\x00"
_LONG_OFFSETS = 7500  # from this version on, offsets are 64 bits
_SIZES = {b"Y": 2, b"C": 1, b"I": 4, b"F": 4, b"D": 8, b"L": 8}
_ABSOLUTE = re.compile(rb"^(/|\\\\|[A-Za-z]:[\\/])")
# Strings that are paths: elements with these names, and values of properties ("P") with these names.
_PATHS = {b"Filename", b"FileName", b"RelativeFilename"}
_PATH_PROPERTIES = {b"Path", b"DocumentUrl", b"SrcDocumentUrl", b"Original|FileName", b"Original|ApplicationNativeFile"}
_SOURCE = b"Original|ApplicationNativeFile"


def hide_folders(path: Path) -> None:
    """Overwrite the folders in the absolute paths of a binary FBX file; textures keep their names.

    Raises:
        OSError: the file cannot be read or written.
        ValueError: it is not a binary FBX file.
    """
    data = bytearray(path.read_bytes())
    for start, end, is_source in _absolute_paths(data):
        name = b"" if is_source else re.split(rb"[\\/]", data[start:end])[-1]
        # The length stays, so that nothing in the file moves: "./" repeated is still the same folder.
        filler = end - start - len(name)
        data[start:end] = b" " * filler if is_source else (b"./" * filler)[: filler - 1] + b"/" + name
    path.write_bytes(data)


def _absolute_paths(data: bytearray) -> Iterator[tuple[int, int, bool]]:
    """Yield start and end of each absolute path, and whether it is that of the .blend."""
    if not data.startswith(_MAGIC):
        raise ValueError("This is not a binary FBX file.")
    version = struct.unpack_from("<I", data, len(_MAGIC))[0]
    record = "<QQQB" if version >= _LONG_OFFSETS else "<IIIB"
    waiting = [(len(_MAGIC) + 4, len(data))]
    while waiting:
        place, stop = waiting.pop()
        while place + struct.calcsize(record) <= stop:
            end, count, length, name_length = struct.unpack_from(record, data, place)
            if end == 0:
                break  # of this list
            place += struct.calcsize(record)
            name = bytes(data[place : place + name_length])
            place += name_length
            texts = list(_texts(data, place, count))
            of_property = bytes(data[slice(*texts[0])]) if name == b"P" and texts else b""
            if name in _PATHS or of_property in _PATH_PROPERTIES:
                for start, finish in texts[1:] if of_property else texts:
                    if _ABSOLUTE.match(data[start:finish]):
                        yield start, finish, of_property == _SOURCE
            waiting.append((place + length, end))
            place = end


def _texts(data: bytearray, place: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each string among the properties of a record."""
    for _ in range(count):
        kind = bytes(data[place : place + 1])
        place += 1
        if kind in _SIZES:
            place += _SIZES[kind]
        elif kind in b"SR":
            length = struct.unpack_from("<I", data, place)[0]
            place += 4
            if kind == b"S":
                yield place, place + length
            place += length
        else:  # an array: length, encoding, bytes
            place += 12 + struct.unpack_from("<I", data, place + 8)[0]
