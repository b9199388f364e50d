# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that drive the selected avatar with a Rigify control rig."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

import bpy

from ..scene import rigify
from .avatar_operator import AvatarOperator


class UVATAR_OT_make_metarig(AvatarOperator, bpy.types.Operator):
    """Add Rigify's human metarig, aligned with the avatar's joints and ready to generate"""

    bl_idname = "uvatar.make_metarig"
    bl_label = "Add Metarig"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        rigify.make_metarig(rig)


class UVATAR_OT_generate_control_rig(AvatarOperator, bpy.types.Operator):
    """Generate a control rig and have the avatar follow it."""

    bl_idname = "uvatar.generate_control_rig"
    bl_label = "Generate and Follow"
    bl_description = (
        "Generate Rigify's control rig from the metarig and let it drive the avatar, including its motion. Takes about "
        "ten seconds"
    )
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        rigify.generate_control_rig(rig)


class UVATAR_OT_leave_control_rig(AvatarOperator, bpy.types.Operator):
    """Detach the avatar from the control rig and use its own bones again"""

    bl_idname = "uvatar.leave_control_rig"
    bl_label = "Leave Control Rig"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        rigify.unfollow(rig)


CLASSES = (
    UVATAR_OT_make_metarig,
    UVATAR_OT_generate_control_rig,
    UVATAR_OT_leave_control_rig,
)
