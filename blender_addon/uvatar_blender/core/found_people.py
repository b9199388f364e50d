# SPDX-License-Identifier: GPL-3.0-or-later
"""The people that the backend found in a photo, before avatars are made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .result import ResultError

_MOST = 256  # people of one photo, as the protocol has it
_LARGEST = 1e6  # pixels on a side of a photo
SAME_PERSON = 0.5  # intersection over union from which two boxes in a photo are of one person

Box = tuple[float, float, float, float]  # left, top, right, bottom, pixels of the upright photo


@dataclass(frozen=True)
class FoundPerson:
    """Somebody in a photo.

    Attributes:
        box: around the person.
        likely: whether it is likely enough that this is a person.
    """

    box: Box
    likely: bool


@dataclass(frozen=True)
class FoundPeople:
    """Everybody in a photo.

    Attributes:
        name: file name of the photo.
        digest: sha256 of the file.
        jpeg: the upright photo, small.
        width, height: of the photo in full size, pixels.
        people: the most prominent first, after them those who are not likely.
    """

    name: str
    digest: str
    jpeg: bytes
    width: int
    height: int
    people: tuple[FoundPerson, ...]


def parse_found(result: Mapping[str, Any]) -> FoundPeople:
    """Check the people of a photo as they come from the backend.

    Raises:
        ResultError: they are damaged.
    """
    try:
        photo, people = result["found"]["photo"], result["found"]["people"]
        width, height = int(photo["width"]), int(photo["height"])
        if not (0 < width <= _LARGEST and 0 < height <= _LARGEST):
            raise ValueError(f"the photo is {width} x {height} pixels large")
        found = tuple(FoundPerson(_box(person["box"], width, height), bool(person["likely"])) for person in people)
        if len(found) > _MOST:
            raise ValueError(f"it has {len(found)} people")
        if not isinstance(photo["jpeg"], bytes):
            raise TypeError("the picture is not bytes")
        return FoundPeople(str(photo["name"]), str(photo["digest"]), photo["jpeg"], width, height, found)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise ResultError(f"The backend's result is damaged: {type(error).__name__} {error}.") from error


def _box(sides: Sequence[Any], width: int, height: int) -> Box:
    left, top, right, bottom = (float(side) for side in sides)
    box = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
    if not (np.isfinite([left, top, right, bottom]).all() and box[0] < box[2] and box[1] < box[3]):
        raise ValueError("a box is empty")
    return box


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return float(both / (sum(areas) - both))


def named(box: Sequence[float], people: Sequence[tuple[Sequence[float], str]]) -> str:
    """Return the name of the person with a box, "" for one who has none.

    Args:
        box: of somebody in the photo.
        people: the boxes of the people who were found, and the names that somebody has given them.
    """
    best = max(people, key=lambda person: overlap(person[0], box), default=None)
    return best[1] if best is not None and overlap(best[0], box) >= SAME_PERSON else ""
