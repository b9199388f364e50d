# SPDX-License-Identifier: GPL-3.0-or-later
"""Fingers and expressions of the selected avatar."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

import bpy

from ..protocol.expressions import MOODS, VISEMES
from ..protocol.rig import FINGER_POSES
from ..scene.expressions import PHOTO, set_expression
from ..scene.fingers import has_fingers, key_fingers, pose_fingers
from ..scene.mesh import expression_keys
from ..scene.posing import check_posable
from ..scene.rig import RigError, find_body, find_rig
from .avatar_operator import AvatarOperator

_FINGER_ITEMS = [(pose, pose.capitalize(), "") for pose in FINGER_POSES]
_EXPRESSION_ITEMS = [
    (PHOTO, "As in the Photo", "The expression in the photo, where it is known"),
    *((mood, mood.capitalize(), "") for mood in MOODS),
    *((viseme, viseme.replace("viseme_", "Speech: "), "A mouth shape of speech") for viseme in VISEMES),
]


class UVATAR_OT_pose_fingers(AvatarOperator, bpy.types.Operator):
    """Pose the fingers of both hands or one. The pose is keyed if Auto Keying is on"""

    bl_idname = "uvatar.pose_fingers"
    bl_label = "Pose Fingers"
    bl_options = {"REGISTER", "UNDO"}
    modes = ("OBJECT", "POSE")

    pose: bpy.props.EnumProperty(name="Fingers", items=_FINGER_ITEMS)  # type: ignore[valid-type]
    hands: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Hands",
        items=[
            ("BOTH", "Both", "Both hands"),
            ("LEFT", "Left", "The person's left hand"),
            ("RIGHT", "Right", "The person's right hand"),
        ],
    )

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        keyed = context.scene.tool_settings.use_keyframe_insert_auto
        check_posable(rig, keyed)
        pose_fingers(rig, self.pose, self.hands)
        if keyed:
            key_fingers(rig, self.hands)


class UVATAR_OT_set_expression(AvatarOperator, bpy.types.Operator):
    """Set the shape keys of the face to an expression or a mouth shape of speech. Keyed if Auto Keying is on"""

    bl_idname = "uvatar.set_expression"
    bl_label = "Expression"
    bl_options = {"REGISTER", "UNDO"}
    modes = ("OBJECT", "POSE")

    expression: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Expression", items=_EXPRESSION_ITEMS, default="neutral"
    )

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        set_expression(rig, self.expression, context.scene.tool_settings.use_keyframe_insert_auto)


class UVATAR_PT_hands_and_face(bpy.types.Panel):
    """Fingers and expressions of the selected avatar"""

    bl_idname = "UVATAR_PT_hands_and_face"
    bl_label = "Hands and Face"
    bl_parent_id = "UVATAR_PT_tools"
    bl_space_type, bl_region_type, bl_category = "VIEW_3D", "UI", "Uvatar"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        rig = find_rig(context.object)
        return rig is not None and has_fingers(rig)

    def draw(self, context: bpy.types.Context) -> None:
        layout, rig = self.layout, find_rig(context.object)
        assert rig is not None  # see poll
        row = layout.row(align=True)
        for pose in FINGER_POSES:
            row.operator("uvatar.pose_fingers", text=pose.capitalize()).pose = pose
        try:
            if expression_keys(find_body(rig)):
                layout.operator_menu_enum("uvatar.set_expression", "expression")
        except RigError:
            return  # the panel above says what is missing


CLASSES = (UVATAR_OT_pose_fingers, UVATAR_OT_set_expression, UVATAR_PT_hands_and_face)
