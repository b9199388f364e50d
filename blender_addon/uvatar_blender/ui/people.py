# SPDX-License-Identifier: GPL-3.0-or-later
"""The people of an imported photo: numbered on a picture of it, with a name and a height for each."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from ..core.result import AvatarsResult, file_name
from ..scene.removal import remove_avatar
from ..scene.rig import LED_BY, RigError
from ..scene.rigify import control_rig
from ..scene.selection import select_only
from .asking import ask_again, stature
from .boxed_picture import write_boxed
from .translation import tr

if TYPE_CHECKING:
    from .importing import ImportedPhoto

_HIDDEN = {"HIDDEN", "SKIP_SAVE"}


class UVATAR_OT_select_person(bpy.types.Operator):
    """Select this person's avatar"""

    bl_idname = "uvatar.select_person"
    bl_label = "Select Avatar"
    bl_options = {"REGISTER", "UNDO"}

    rig: bpy.props.StringProperty(options=_HIDDEN)  # type: ignore[valid-type]

    def execute(self, context: bpy.types.Context) -> set[str]:
        rig = context.view_layer.objects.get(self.rig)
        if rig is None:
            return {"CANCELLED"}
        if context.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        select_only((control_rig(rig) if LED_BY in rig else None) or rig)
        return {"FINISHED"}


class UVATAR_OT_remove_person(bpy.types.Operator):
    """Remove this person's avatar with its meshes and its control rig from the file"""

    bl_idname = "uvatar.remove_person"
    bl_label = "Remove Avatar"
    bl_options = {"REGISTER", "UNDO"}

    rig: bpy.props.StringProperty(options=_HIDDEN)  # type: ignore[valid-type]

    def execute(self, context: bpy.types.Context) -> set[str]:
        rig = bpy.data.objects.get(self.rig)
        if rig is None:
            return {"CANCELLED"}
        if context.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        try:
            remove_avatar(rig)
        except RigError as error:
            self.report({"ERROR"}, tr(str(error)))
            return {"CANCELLED"}
        return {"FINISHED"}


def draw_people(layout: bpy.types.UILayout, summary: "ImportedPhoto") -> None:
    """Draw a line for each person of a photo whose avatar is in the file: number, name, height, and a cross."""
    rigs = _avatars_of(summary)
    column = layout.column(align=True)
    for number, person in enumerate(summary.people, 1):
        rig = rigs.get(person.id)
        if rig is None:
            continue
        row = column.row(align=True)
        select = row.row(align=True)
        select.ui_units_x = 1.6
        select.operator("uvatar.select_person", text=str(number)).rig = rig.name
        row.prop(rig, "name", text="")
        height = row.row(align=True)
        height.ui_units_x = 4.4
        ask_again(height.operator("uvatar.make_again", text=_height(rig)), rig, "HEIGHT")
        row.operator("uvatar.remove_person", text="", icon="X").rig = rig.name


def _height(rig: bpy.types.Object) -> str:
    height = stature(rig)
    return "cm" if height is None else f"{height:.0f} cm"


def _avatars_of(summary: "ImportedPhoto") -> dict[str, bpy.types.Object]:
    """Return the avatars of a photo in the present scene by the ids of their people; of copies, the last one."""
    photo = file_name(summary.name), summary.digest
    own = (
        thing
        for thing in bpy.context.scene.objects
        if thing.type == "ARMATURE" and (thing.get("uvatar_photo"), thing.get("uvatar_photo_digest")) == photo
    )
    return {str(thing["uvatar_person"]): thing for thing in own if "uvatar_person" in thing}


def boxed_photo(result: AvatarsResult, file: Path) -> Path | None:
    """Write the photo with numbered boxes around its people.

    Args:
        result: of the photo.
        file: the PNG to write.

    Returns:
        The file; None for a photo of one person, and where the picture cannot be made.
    """
    boxes = [_relative(avatar.facts.get("box"), result.camera.width, result.camera.height) for avatar in result.people]
    known = [box for box in boxes if box is not None]
    if len(boxes) < 2 or len(known) < len(boxes):
        return None
    return write_boxed(file, result.jpeg, known)


def _relative(box: Any, width: float, height: float) -> tuple[float, float, float, float] | None:
    """Return a box as shares of the photo's width and height; None if the result has none."""
    try:
        left, top, right, bottom = (float(value) for value in box)
    except (TypeError, ValueError):
        return None
    return left / width, top / height, right / width, bottom / height


CLASSES = (UVATAR_OT_select_person, UVATAR_OT_remove_person)
