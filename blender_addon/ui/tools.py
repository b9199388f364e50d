# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done to the selected avatar."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

from pathlib import Path

import bpy

from ..scene.export import export_glb
from ..scene.rig import RigError, find_rig
from ..scene.shape import refresh_joints


class UVATAR_OT_refresh_joints(bpy.types.Operator):
    """Move the joints to where the shape sliders put them, and the soles to the ground. Do so after changing the shape"""

    bl_idname = "uvatar.refresh_joints"
    bl_label = "Fit Joints to Shape"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.mode == "OBJECT" and find_rig(context.object) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            refresh_joints(find_rig(context.object))
        except RigError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class UVATAR_OT_export_glb(bpy.types.Operator):
    """Write the avatar for games: shape baked in, T pose, skin, texture and morph targets"""

    bl_idname = "uvatar.export_glb"
    bl_label = "Export glTF"

    filepath: bpy.props.StringProperty(subtype="FILE_PATH")  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(default="*.glb", options={"HIDDEN"})  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.mode == "OBJECT" and find_rig(context.object) is not None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.filepath = bpy.path.clean_name(context.object.name) + ".glb"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            export_glb(find_rig(context.object), Path(bpy.path.abspath(self.filepath)).with_suffix(".glb"))
        except (OSError, RigError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


CLASSES = (UVATAR_OT_refresh_joints, UVATAR_OT_export_glb)
