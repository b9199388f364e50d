"""Messages as files: the same frames as on a socket, with their lengths and a sha256 over all."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import Any

from .atomic_files import write_atomically
from .errors import UvatarError
from .framing import LIMITS, Limits, check_sizes, pack, unpack

_FILE_MAGIC = b"UVATAR\r\n"  # damaged by any transfer that takes the file for text
_FILE_START = struct.Struct("<8sI")  # magic, number of frames
_FRAME_SIZE = struct.Struct("<Q")
_SEAL_BYTES = hashlib.sha256().digest_size


def dump(message: Any, path: Path) -> None:
    """Write a message to one file: magic and frame count, the lengths of all frames, the frames, the sha256 of all
    this.

    Readers see the old file or the whole new one. Raises UvatarError as `pack`, OSError if the file cannot be
    written.
    """
    frames = pack(message)
    lengths = b"".join(_FRAME_SIZE.pack(memoryview(frame).nbytes) for frame in frames)
    chunks = [_FILE_START.pack(_FILE_MAGIC, len(frames)), lengths, *frames]
    seal = hashlib.sha256()
    for chunk in chunks:
        seal.update(chunk)
    write_atomically(path, [*chunks, seal.digest()])


def load(path: Path, limits: Limits = LIMITS) -> Any:
    """Read a message from a file that `dump` wrote.

    Raises UvatarError if it is not one or is damaged, OSError as `open`.
    """
    damaged = UvatarError(
        f"{Path(path).name} is damaged or is not a Uvatar result.", fix="Reconstruct the photo again."
    )
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(_FILE_START.size)
        if len(start) < _FILE_START.size:
            raise damaged
        magic, count = _FILE_START.unpack(start)
        if magic != _FILE_MAGIC or not 1 <= count <= limits.frames + 1:
            raise damaged
        table = file.read(count * _FRAME_SIZE.size)
        if len(table) != count * _FRAME_SIZE.size:
            raise damaged
        lengths = [length for (length,) in _FRAME_SIZE.iter_unpack(table)]
        if file.tell() + sum(lengths) + _SEAL_BYTES != size:
            raise damaged
        check_sizes(lengths, limits)
        frames = [file.read(length) for length in lengths]
        seal = hashlib.sha256(start + table)
        for frame in frames:
            seal.update(frame)
        if seal.digest() != file.read(_SEAL_BYTES):
            raise damaged
        return unpack(frames, limits)
