# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that animate the selected avatar with a Rigify control rig."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

import bpy

from ..scene import metarig, rigify
from ..scene.control_rig_end import bake_to_avatar, remove_control_rig, remove_rig_objects, show
from .avatar_operator import AvatarOperator


class UVATAR_OT_make_metarig(AvatarOperator, bpy.types.Operator):
    """Add Rigify's human metarig, aligned with the avatar's joints, to change it before Control Rig uses it"""

    bl_idname = "uvatar.make_metarig"
    bl_label = "Add Metarig"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        metarig.make_metarig(rig)


class UVATAR_OT_generate_control_rig(AvatarOperator, bpy.types.Operator):
    """Make controls for animating: IK hands and feet with poles, FK limbs, spine, head, fingers, and a face board.

    They take over the avatar's pose or motion.
    """

    bl_idname = "uvatar.generate_control_rig"
    bl_label = "Control Rig"
    bl_description = (
        "Make controls for animating (Rigify): IK hands and feet with poles, FK limbs, spine, head, fingers, a board "
        "for the face and a target for the eyes. They take over the avatar's pose or motion. Takes about ten seconds"
    )
    bl_options = {"REGISTER", "UNDO"}
    leaves_pose_mode = True

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> str | None:
        rigify.generate_control_rig(rig)
        bpy.ops.object.mode_set(mode="POSE")
        return "The controls are ready. Rigify's tab “Item” of the sidebar switches between IK and FK."


class UVATAR_OT_bake_control_rig(AvatarOperator, bpy.types.Operator):
    """Put what the control rig shows onto the avatar's own bones, on every frame of its motion, and remove it"""

    bl_idname = "uvatar.bake_control_rig"
    bl_label = "Bake to Avatar"
    bl_options = {"REGISTER", "UNDO"}
    leaves_pose_mode = True

    keep: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Keep the control rig", description="Leave the control rig, which then leads nobody, in the scene"
    )

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> str:
        control = rigify.control_rig(rig)
        frames = bake_to_avatar(rig)
        if self.keep or control is None:
            show(rig)
        else:
            remove_rig_objects(rig, control)
        return f"{frames} frames are on the avatar's own bones." if frames else "The pose is on the avatar's own bones."


class UVATAR_OT_remove_control_rig(AvatarOperator, bpy.types.Operator):
    """Remove the control rig. The avatar has the pose or motion again that it had before; Bake to Avatar keeps what
    you have animated
    """

    bl_idname = "uvatar.remove_control_rig"
    bl_label = "Remove Control Rig"
    bl_description = (
        "Remove the control rig. The avatar gets back the pose or motion that its own bones have; Bake to Avatar keeps "
        "what you have animated"
    )
    bl_options = {"REGISTER", "UNDO"}
    leaves_pose_mode = True

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        remove_control_rig(rig)


CLASSES = (
    UVATAR_OT_make_metarig,
    UVATAR_OT_generate_control_rig,
    UVATAR_OT_bake_control_rig,
    UVATAR_OT_remove_control_rig,
)
