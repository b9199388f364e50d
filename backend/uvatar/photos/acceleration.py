"""The direction of gravity that a phone's accelerometer measured, from the maker's notes in EXIF.

Only Apple's are read: tag 8 of their maker notes, "AccelerationVector", three signed fractions in g. As ExifTool
describes it (exiftool.org, Apple tags), the axes are those of the phone seen from its front: x to the left, y to the
bottom, z into the face of the phone; a phone held upright says (0, -1, 0), so that the vector points up. Other makers
document nothing of the kind.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

_HEADER, _FIRST = b"Apple iOS\x00", 14  # start of the notes; offset of the number of their entries
_ENTRY = struct.Struct(">HHII")  # tag, type, count, offset from the start of the notes
_ACCELERATION, _SIGNED_FRACTION = 8, 10
_MOST_ENTRIES = 200
# A phone that is moved or shaken measures more or less than 1 g, and one that looks straight down does not say which
# way the photographer stood.
_LENGTH = (0.9, 1.1)
_MOST_TILT = np.radians(60)
# EXIF's Orientation -> what it does to x (right) and y (down) of the sensor's picture.
_TURNED = {
    1: ((1, 0), (0, 1)),
    2: ((-1, 0), (0, 1)),
    3: ((-1, 0), (0, -1)),
    4: ((1, 0), (0, -1)),
    5: ((0, 1), (1, 0)),
    6: ((0, -1), (1, 0)),
    7: ((0, -1), (-1, 0)),
    8: ((0, 1), (-1, 0)),
}


def measured_up(notes: bytes, orientation: int, lens: str = "") -> tuple[float, float, float] | None:
    """The direction up in the frame of the camera that takes the upright photo (x right, y down, z forward).

    Args:
        notes: EXIF's MakerNote.
        orientation: EXIF's Orientation, 1 to 8, which the upright photo is turned by.
        lens: EXIF's LensModel. The camera on the front of a phone looks the other way: it is left out.

    Returns:
        (3,) unit vector; None where the notes have none, or one that cannot be used.
    """
    vector = _apple_vector(notes)
    if vector is None or "front" in lens.lower():
        return None
    length = float(np.linalg.norm(vector))
    if not _LENGTH[0] < length < _LENGTH[1]:
        return None
    x, y, z = vector / length
    # The sensor's picture is upright where the phone lies on its right side, seen from its front.
    right, down = np.array(_TURNED.get(orientation, _TURNED[1])) @ [y, x]
    if -down < np.cos(_MOST_TILT):
        return None
    return float(right), float(down), float(z)


def _apple_vector(notes: bytes) -> NDArray[np.float64] | None:
    """(3,) the acceleration in g as Apple writes it; None where the notes do not have it. Never raises."""
    if not notes.startswith(_HEADER) or len(notes) < _FIRST + 2:
        return None
    (count,) = struct.unpack_from(">H", notes, _FIRST)
    for number in range(min(count, _MOST_ENTRIES)):
        place = _FIRST + 2 + number * _ENTRY.size
        if place + _ENTRY.size > len(notes):
            return None
        tag, kind, length, offset = _ENTRY.unpack_from(notes, place)
        if tag == _ACCELERATION:
            if kind != _SIGNED_FRACTION or length != 3 or offset + 24 > len(notes):
                return None
            fractions = np.array(struct.unpack_from(">6i", notes, offset), float).reshape(3, 2)
            return fractions[:, 0] / fractions[:, 1] if fractions[:, 1].all() else None
    return None
