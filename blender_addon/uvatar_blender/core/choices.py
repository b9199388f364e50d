# SPDX-License-Identifier: GPL-3.0-or-later
"""Which people of which photos become avatars, as a job is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..protocol.photo_lists import photo_name


@dataclass(frozen=True)
class Choice:
    """Somebody who was found in a photo.

    Attributes:
        box: left, top, right, bottom, pixels of the upright photo.
        include: whether an avatar is made.
        height: centimetres; 0 for an unknown one.
    """

    box: tuple[float, float, float, float]
    include: bool = True
    height: float = 0.0


def chosen_rows(people: Sequence[Choice]) -> list[list[float]]:
    """Return those who are included as the protocol has them (`protocol.given_people.CHOSEN`)."""
    return [
        [number, *map(float, person.box), float(person.height)]
        for number, person in enumerate(people)
        if person.include
    ]


def given_people(photos: Mapping[Path, Sequence[Choice]]) -> list[dict[str, Any]] | None:
    """Return the option ``given_people`` for the photos in which people were found; None if there are none.

    It knows photos by their names: photos of the same name are left out, and everybody in them is used.
    """
    names = [photo_name(path.name) for path in photos]
    return [
        {"photo": name, "chosen": rows}
        for name, people in zip(names, photos.values(), strict=True)
        if names.count(name) == 1 and (rows := chosen_rows(people))
    ] or None


def told_apart(photos: Sequence[Path]) -> list[list[Path]]:
    """Divide photos so that no two of the same file name are together: a job tells its photos apart by their names."""
    parts: list[list[Path]] = []
    for path in photos:
        part = next((one for one in parts if all(other.name != path.name for other in one)), None)
        if part is None:
            parts.append(part := [])
        part.append(path)
    return parts


def height_of_one(people: Sequence[Choice]) -> str:
    """Return the height of the one person who is included, as the option ``height`` has it; "" if it is unknown."""
    known = [person.height for person in people if person.include and person.height]
    return f"{known[0]:g}" if known else ""
