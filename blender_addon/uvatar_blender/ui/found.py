# SPDX-License-Identifier: GPL-3.0-or-later
"""The people who were found in the photos on the list: what is kept of them, and the pictures that show them."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

import base64
import hashlib
from pathlib import Path

import bpy

from ..core.choices import Choice
from ..core.found_people import SAME_PERSON, FoundPeople, named, overlap
from ..protocol.heights import heights_of
from .boxed_picture import write_boxed


def _only_heights(person: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    """Empty the field of a height that is none."""
    if person.height and not height_of(person):
        person.height = ""


class UVATAR_PG_person(bpy.types.PropertyGroup):
    """Somebody who was found in a photo."""

    name: bpy.props.StringProperty(name="Name", description="The avatar's name; may be empty")  # type: ignore[valid-type]
    include: bpy.props.BoolProperty(name="Use", description="Make an avatar of this person", default=True)  # type: ignore[valid-type]
    height: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Height (cm)",
        description="How tall the person is, in centimetres; empty if you do not know",
        update=_only_heights,
    )
    likely: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]
    box: bpy.props.FloatVectorProperty(size=4, options={"HIDDEN"})  # type: ignore[valid-type]


def height_of(person: bpy.types.PropertyGroup) -> float:
    """Return somebody's height in centimetres, 0 if it is unknown or no height."""
    try:
        return next((height or 0.0 for height in heights_of(person.height)), 0.0)
    except ValueError:
        return 0.0


def choices(photo: bpy.types.PropertyGroup) -> list[Choice]:
    """Return the people found in a photo."""
    return [Choice(tuple(person.box), person.include, height_of(person)) for person in photo.people]


def take(photo: bpy.types.PropertyGroup, found: FoundPeople) -> None:
    """Keep the people found in a photo. Those who were found before keep name, height and switch."""
    known = [(tuple(person.box), person.include, person.name, person.height) for person in photo.people]
    photo.people.clear()
    for one in found.people:
        person = photo.people.add()
        person.box, person.likely, person.include = one.box, one.likely, one.likely
        before = max(known, key=lambda other: overlap(other[0], one.box), default=None)
        if before is not None and overlap(before[0], one.box) >= SAME_PERSON:
            _, person.include, person.name, person.height = before
    photo.size = found.width, found.height
    photo.picture = base64.b64encode(found.jpeg).decode("ascii")
    photo.active_person = 0


def name_of(scene: bpy.types.Scene, photo: str, box: list[float]) -> str:
    """Return the name that somebody in a photo, by its file name, was given; "" for none."""
    people = [
        (tuple(person.box), person.name)
        for one in scene.uvatar.photos
        if one.people and one.file().name == photo
        for person in one.people
    ]
    return named(box, people)


def picture_file(photo: bpy.types.PropertyGroup) -> Path:
    """Return the file that shows the people of a photo with their present switches; it need not exist yet."""
    state = [(tuple(person.box), person.include) for person in photo.people]
    key = hashlib.sha256(repr((photo.path, tuple(photo.size), state)).encode()).hexdigest()[:24]
    return Path(bpy.app.tempdir, f"uvatar-found-{key}.png")


def write_picture(photo: bpy.types.PropertyGroup) -> Path | None:
    """Write `picture_file`; None where it cannot be made. Not to be called while a panel is drawn."""
    try:
        jpeg = base64.b64decode(photo.picture, validate=True)
    except ValueError:
        return None
    width, height = (max(side, 1) for side in photo.size)
    boxes = [
        (left / width, top / height, right / width, bottom / height)
        for left, top, right, bottom in (person.box for person in photo.people)
    ]
    return write_boxed(picture_file(photo), jpeg, boxes, [person.include for person in photo.people])
