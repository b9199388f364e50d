# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator that adds Uvatar's poses to Blender's asset libraries."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

import bpy

from ..protocol import discovery
from ..scene.pose_library import register_library, write_pose_library
from .avatar_operator import AvatarOperator


class UVATAR_OT_add_pose_library(AvatarOperator, bpy.types.Operator):
    """Add poses for body, hands and face board to your asset libraries. They suit all avatars with these bone names and
    this rest pose
    """

    bl_idname = "uvatar.add_pose_library"
    bl_label = "Add Pose Library"
    bl_description = (
        "Add poses for body, hands and face board to your asset libraries. They suit all avatars with these bone names "
        "and this rest pose"
    )
    leaves_pose_mode = True

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> str:
        folder = discovery.private_subfolder("poses")
        count = write_pose_library(rig, folder)
        register_library(folder)
        for window in context.window_manager.windows:
            for area in window.screen.areas:
                area.tag_redraw()
        return f"{count} poses are in the library “Uvatar”: see the asset shelf in Pose Mode, or the Asset Browser."


CLASSES = (UVATAR_OT_add_pose_library,)
