# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons beside the notes of a result, and the operators that they run."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy

from ..core.note_fixes import BUTTONS, Fix, fix_of, joints_of
from ..protocol.heights import SHORTEST, TALLEST, heights_of
from ..protocol.options import declared
from ..scene.camera import look_through, photo_camera, the_photo_camera
from ..scene.compat import deselect_bones, select_bone
from ..scene.rig import LED_BY, RigError, find_rig, joint_names
from ..scene.selection import select_only
from . import state
from .asking import ask_again
from .avatar_operator import AvatarOperator
from .drawing import draw_text
from .job_options import draw_job_options
from .one_person import corrections_of, number_of, options_for, typed_height
from .runs import begin, can_begin, linked
from .translation import tr

_HIDDEN = {"HIDDEN", "SKIP_SAVE"}
_CHANGES = [
    ("OPTIONS", "Other options", "With other options"),
    (Fix.HEIGHT.value, "Height", "With the height of the person"),
    (Fix.UNCERTAIN.value, "Uncertain people", "With people who are uncertain"),
    (Fix.EVERYBODY.value, "Everybody", "With as many people as possible"),
    (Fix.SEPARATE.value, "Separate", "From this photo alone"),
]
_ICONS = {
    Fix.HEIGHT: "DRIVER_DISTANCE",
    Fix.UNCERTAIN: "COMMUNITY",
    Fix.EVERYBODY: "COMMUNITY",
    Fix.SEPARATE: "USER",
}


def _only_a_height(operator: bpy.types.OperatorProperties, context: bpy.types.Context) -> None:
    """Empty the field of a height that is none."""
    if operator.typed and not typed_height(operator.typed, 0):
        operator.typed = ""


class UVATAR_OT_make_again(bpy.types.Operator):
    """Make the people of this photo again with other options. The new avatars stand beside those that are there"""

    bl_idname = "uvatar.make_again"
    bl_label = "Make Again"

    photo: bpy.props.StringProperty(options=_HIDDEN)  # type: ignore[valid-type]
    person: bpy.props.StringProperty(options=_HIDDEN)  # type: ignore[valid-type]
    digest: bpy.props.StringProperty(options=_HIDDEN)  # type: ignore[valid-type]
    change: bpy.props.EnumProperty(items=_CHANGES, options=_HIDDEN)  # type: ignore[valid-type]
    rig: bpy.props.StringProperty(options=_HIDDEN)  # type: ignore[valid-type]
    alone: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Only This Person",
        description="Leave out the others in the photo, whose avatars stay as they are",
        default=True,
    )
    typed: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Height (cm)",
        description="How tall the person is, in centimetres; empty if you do not know",
        options={"SKIP_SAVE"},
        update=_only_a_height,
    )
    height: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Height (cm)", description="How tall the person is", default=170, min=SHORTEST, max=TALLEST, precision=0
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return can_begin(cls)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for the height or the options; the other changes need no question."""
        if self.change not in ("OPTIONS", Fix.HEIGHT.value):
            return self.execute(context)
        rig = bpy.data.objects.get(self.rig)
        if rig is not None:
            known = corrections_of(rig).height or typed_height(context.scene.uvatar.height, number_of(rig))
            self.typed = f"{known:g}" if known else ""
        width = 360 if self.change == "OPTIONS" else 260
        answer: set[str] = context.window_manager.invoke_props_dialog(self, width=width, confirm_text="Make Again")
        return answer

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the dialog."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        if self.change == Fix.HEIGHT.value:
            layout.prop(self, "height")
        else:
            if self.rig:
                layout.prop(self, "alone")
                layout.separator()
            # The panel's heights are of everybody in the photo, one after the other.
            own = {"height": lambda place, _: place.prop(self, "typed"), "uncertain": lambda *_: None}
            draw_job_options(layout, context.scene.uvatar, own if self.rig and self.alone else {})

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.uvatar
        path = photo_file(settings, self.photo, self.digest)
        if path is None:
            self.report({"ERROR"}, tr(f"{self.photo} is no longer on the list of photos: add it again."))
            return {"CANCELLED"}
        if not linked(self, context):
            return {"CANCELLED"}
        try:
            options = self._options(settings.job_options(), path)
        except RigError as error:
            self.report({"ERROR"}, tr(str(error)))
            return {"CANCELLED"}
        begin([([path], options)], state.pictures().wait)
        return {"FINISHED"}

    def _options(self, options: dict[str, Any], path: Path) -> dict[str, Any]:
        """Return the options of the job. Raises RigError if the avatar does not say who in the photo it is."""
        rig = bpy.data.objects.get(self.rig)
        # An avatar of an older version does not store its box; a height can be given to it by its number.
        asked = self.change == "OPTIONS" and self.alone
        asked |= self.change == Fix.HEIGHT.value and rig is not None and "uvatar_box" in rig
        if rig is None or not asked:
            given = bpy.context.scene.uvatar.given(path) if self.change in ("OPTIONS", Fix.SEPARATE.value) else None
            return {**options, "given_people": given, **self._changed(options)}
        corrections = corrections_of(rig)
        if self.change == Fix.HEIGHT.value:
            corrections = replace(corrections, height=self.height)
        elif self.properties.is_property_set("typed"):  # in the dialog
            corrections, options = replace(corrections, height=typed_height(self.typed, 0)), {**options, "height": ""}
        return options_for(rig, path, options, corrections)

    def _changed(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options that differ from those on the panel."""
        if self.change == Fix.UNCERTAIN.value:
            return {"uncertain": True}
        if self.change == Fix.EVERYBODY.value:
            return everybody()
        if self.change == Fix.HEIGHT.value:
            number = int(self.person.removeprefix("p") or 0) if self.person[1:].isdigit() else 0
            try:
                known = heights_of(options.get("height", ""))
            except ValueError:  # something else was typed on the panel
                known = []
            heights = [*known, *[None] * (number + 1 - len(known))]
            heights[number] = self.height
            return {"height": ", ".join("-" if height is None else f"{height:g}" for height in heights)}
        return {}


class UVATAR_OT_pose_limbs(AvatarOperator, bpy.types.Operator):
    """Go to Pose Mode with the bones selected that the photo does not show, to pose them by hand"""

    bl_idname = "uvatar.pose_limbs"
    bl_label = "Pose by Hand"
    bl_options = {"REGISTER", "UNDO"}
    modes = ("OBJECT", "POSE")

    note: bpy.props.StringProperty(options=_HIDDEN)  # type: ignore[valid-type]

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        if LED_BY in rig:
            raise RigError(f"{rig.name} follows its control rig; pose the control rig, or remove it first.")
        if context.mode == "POSE":
            bpy.ops.object.mode_set(mode="OBJECT")
        rig.hide_set(False)
        select_only(rig)
        deselect_bones(rig)
        bpy.ops.object.mode_set(mode="POSE")
        names = joint_names(rig)
        for number, joint in enumerate(joints_of(self.note)):
            select_bone(rig, names[joint])
            if number == 0:
                rig.data.bones.active = rig.data.bones[names[joint]]


class UVATAR_OT_compare_with_photo(AvatarOperator, bpy.types.Operator):
    """Look through the photo's camera, with the photo behind the avatar"""

    bl_idname = "uvatar.compare_with_photo"
    bl_label = "Compare with the Photo"
    bl_options = {"REGISTER", "UNDO"}
    modes = ("OBJECT", "POSE")

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        look_through(context.scene, the_photo_camera(rig))
        if context.space_data is not None and context.space_data.type == "VIEW_3D":
            context.space_data.region_3d.view_perspective = "CAMERA"


def draw_note(layout: bpy.types.UILayout, note: str, photo: str, rig: bpy.types.Object | None = None) -> None:
    """Draw a note and, if something can be done about it, the button that does it.

    Args:
        photo: name of the photo that the note is about.
        rig: the avatar; None for a note about the photo as a whole.
    """
    column = layout.column(align=True)
    draw_text(column, note, "INFO")
    found = fix_of(note)
    if found is None or found.fix is Fix.NONE:
        return
    if found.fix in (Fix.COMPARE, Fix.JOINTS, Fix.MASK):
        rig = find_rig(bpy.context.object)
        if rig is not None and photo_camera(rig) is not None:
            if found.fix is Fix.JOINTS:
                column.operator("uvatar.correct_on_photo", text="Correct Joints", icon="CURSOR").tool = "JOINTS"
            elif found.fix is Fix.MASK and "uvatar_mask" in rig:
                column.operator("uvatar.correct_on_photo", text="Brush the Mask", icon="BRUSH_DATA").tool = "ADD"
            column.operator("uvatar.compare_with_photo", icon="CAMERA_DATA")
    elif found.fix is Fix.POSE:
        column.operator("uvatar.pose_limbs", icon="POSE_HLT").note = note
    elif found.fix is Fix.DEVICE:
        column.operator("uvatar.open_preferences", icon="PREFERENCES")
    else:
        again = column.operator("uvatar.make_again", text=BUTTONS[found.fix], icon=_ICONS[found.fix])
        if rig is not None:
            ask_again(again, rig, found.fix.value)
        if found.photo or rig is None:  # another photo than the avatar's, or no avatar's
            again.photo, again.digest, again.change = found.photo or photo, "", found.fix.value


def everybody() -> dict[str, Any]:
    """Return the options for avatars of as many people as possible."""
    return {"uncertain": True, "max_people": int(declared()["max_people"].high or 1)}


def photo_file(settings: bpy.types.PropertyGroup, name: str, digest: str = "") -> Path | None:
    """Return the file of the photo with this name on the panel's list; None if it is not there or does not exist.

    Args:
        digest: sha256 of the photo, by which files of the same name from several folders are told apart.
    """
    found = [file for file in (photo.file() for photo in settings.photos) if file.name == name and file.is_file()]
    if digest and len(found) > 1:
        found.sort(key=lambda file: _digest(file) != digest)
    return next(iter(found), None)


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


CLASSES = (UVATAR_OT_make_again, UVATAR_OT_pose_limbs, UVATAR_OT_compare_with_photo)
