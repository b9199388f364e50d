# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing people on a photo before avatars are made of them."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

from pathlib import Path

import bpy

from ..core.session import Link
from ..protocol.options import FIND_PEOPLE
from . import state
from .found import picture_file, write_picture
from .runs import begin, can_begin, linked
from .translation import tr

_HIDDEN = {"HIDDEN", "SKIP_SAVE"}
_PICTURE = 10.0  # size of a photo with boxes, in heights of a button
_MOST_ROWS = 8
_shown: dict[str, Path] = {}  # by the photo's path, the last picture of its people
_failed: set[Path] = set()  # pictures that cannot be made


class UVATAR_OT_find_people(bpy.types.Operator):
    """Find the people in the photo, to choose those of whom avatars are made"""

    bl_idname = "uvatar.find_people"
    bl_label = "Find People"

    everywhere: bpy.props.BoolProperty(options=_HIDDEN)  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not can_begin(cls):
            return False
        session = state.session()
        if session.link is Link.ON and FIND_PEOPLE not in session.options:
            cls.poll_message_set("The backend is too old for this: update it")
            return False
        return bool(context.scene.uvatar.photos)

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.uvatar
        photos = [photo for photo in settings.photos if photo.include] if self.everywhere else [settings.active()]
        if not photos or photos[0] is None or not linked(self, context):
            return {"CANCELLED"}
        begin([([photo.file() for photo in photos], {FIND_PEOPLE: True})], state.pictures().wait, keep_results=True)
        return {"FINISHED"}


class UVATAR_OT_include_people(bpy.types.Operator):
    """Turn everybody in the photo on or off"""

    bl_idname = "uvatar.include_people"
    bl_label = "Everybody in the Photo"
    bl_options = {"REGISTER", "UNDO"}

    include: bpy.props.BoolProperty(default=True, options=_HIDDEN)  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        photo = context.scene.uvatar.active()
        return photo is not None and len(photo.people) > 0

    def execute(self, context: bpy.types.Context) -> set[str]:
        for person in context.scene.uvatar.active().people:
            person.include = self.include
        return {"FINISHED"}


class UVATAR_UL_people(bpy.types.UIList):
    """The people found in a photo."""

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: bpy.types.PropertyGroup,
        item: bpy.types.PropertyGroup,
        icon: int,
        active_data: bpy.types.PropertyGroup,
        active_property: str,
        index: int,
    ) -> None:
        """Draw a row of the list: check box, number on the photo, name and height."""
        row = layout.row(align=True)
        row.prop(item, "include", text="")
        number = row.row(align=True)
        number.ui_units_x, number.active = 1.2, item.include
        number.label(text=f"{index + 1}" if item.likely else f"{index + 1}?")
        fields = row.row(align=True)
        fields.active = item.include
        fields.prop(item, "name", text="", placeholder=tr("Name"))
        height = fields.row(align=True)
        height.ui_units_x = 3.0
        height.prop(item, "height", text="", placeholder="cm")


def draw_people_found(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> bool:
    """Draw the people found in the selected photo, with their switches, and the button that finds them.

    Returns:
        Whether the photo is drawn as well.
    """
    photo = settings.active()
    if photo is None or not photo.file().is_file():
        return False
    drawn = False
    if photo.people:
        if icon := _picture(photo):
            layout.template_icon(icon_value=icon, scale=_PICTURE)
            drawn = True
        rows = max(2, min(len(photo.people), _MOST_ROWS))
        layout.template_list("UVATAR_UL_people", "", photo, "people", photo, "active_person", rows=rows)
    row = layout.row(align=True)
    if photo.people:
        row.operator("uvatar.include_people", text="Everybody").include = True
        row.operator("uvatar.include_people", text="Nobody").include = False
        row.operator("uvatar.find_people", text="", icon="FILE_REFRESH")
    else:
        row.operator("uvatar.find_people", icon="VIEWZOOM")
        if sum(one.include and not one.people for one in settings.photos) > 1:
            row.operator("uvatar.find_people", text="In All Photos").everywhere = True
    return drawn


def _picture(photo: bpy.types.PropertyGroup) -> int:
    """Return the icon of the photo with boxes; the last one while that for the present switches is being made."""
    file = picture_file(photo)
    if file.is_file():
        _shown[photo.path] = file
    elif file not in _failed and not bpy.app.timers.is_registered(make_picture):
        bpy.app.timers.register(make_picture, first_interval=0.0)
    last = _shown.get(photo.path)
    return state.thumbnail(last) if last is not None and last.is_file() else 0


def make_picture() -> None:
    """Make the picture of the selected photo's people; a timer's function, since panels must not make data."""
    for scene in bpy.data.scenes:
        photo = scene.uvatar.active()
        if photo is None or not photo.people:
            continue
        file = picture_file(photo)
        if not file.is_file() and file not in _failed and write_picture(photo) is None:
            _failed.add(file)
    state.redraw()


CLASSES = (UVATAR_OT_find_people, UVATAR_OT_include_people, UVATAR_UL_people)
