"""Damage to bytes: what disks, transfers and people with bad intentions do to files and messages."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from random import Random

_TELLING = (
    b"\x00",
    b"\xff",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b"\xff" * 8,
    b"\x00" * 8,
    b"-1",
    b"1e999",
    b"9" * 40,
)


def mutated(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """The bytes with a few changes: bits, numbers, pieces lost, repeated, moved, or taken from another file."""
    if random.random() < 0.4 and data[:4] == b"PK\x03\x04":
        return _mutated_member(data, others, random)
    damaged = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        _change(damaged, others, random)
    return bytes(damaged)


def _change(data: bytearray, others: Sequence[bytes], random: Random) -> None:
    place = random.randrange(len(data) + 1)
    length = min(len(data) - place, random.choice((1, 1, 2, 4, 8, 64, 1000)))
    kind = random.randrange(8)
    if kind == 0 and place < len(data):
        data[place] ^= 1 << random.randrange(8)
    elif kind == 1:
        data[place : place + length] = random.randbytes(length)
    elif kind == 2:
        del data[place : place + length]
    elif kind == 3:
        telling = random.choice(_TELLING)
        data[place : place + len(telling)] = telling
    elif kind == 4:
        data[place:place] = data[place : place + length] * random.choice((1, 2, 50))
    elif kind == 5:
        other = random.choice(others)
        start = random.randrange(len(other) + 1)
        data[place : place + length] = other[start : start + random.choice((1, 16, 256, 4096))]
    elif kind == 6:
        del data[place:]
    else:
        data[place:place] = random.randbytes(length)


def _mutated_member(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """A zip archive (npz, PyTorch's files) with changes in one member and its checksum right, so that the member is
    read.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {item.filename: archive.read(item) for item in archive.infolist()}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError):
        return data[: random.randrange(len(data) + 1)]
    if not members:
        return data
    chosen = random.choice(list(members))
    content = bytearray(members[chosen])
    for _ in range(random.choice((1, 1, 2, 4))):
        _change(content, others, random)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, member in members.items():
            archive.writestr(name, bytes(content) if name == chosen else member)
    return out.getvalue()
