# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator that exports the selected avatar for a game engine."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

import bpy

from ..core.export_presets import Target
from ..protocol.bone_names import Naming
from ..scene.export import export_avatar
from ..scene.rig import find_rig
from ..scene.rig import joint_names as bone_names
from .avatar_operator import AvatarOperator, absolute_path
from .properties import NAMINGS
from .translation import tr

_OF_THE_PRESET, _AS_THEY_ARE = "PRESET", "KEEP"


class UVATAR_OT_export(AvatarOperator, bpy.types.Operator):
    """Export the avatar for a game engine: rest pose with baked shape, skin weights, texture and shape sliders"""

    bl_idname = "uvatar.export"
    bl_label = "Export"
    modes = ("OBJECT", "POSE")

    filepath: bpy.props.StringProperty(subtype="FILE_PATH")  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(default="*.glb;*.fbx", options={"HIDDEN"})  # type: ignore[valid-type]
    # Blender's file browser reads this: it shows where a file would be replaced.
    check_existing: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]
    target: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="For",
        items=[(target.value, target.preset.name, target.preset.description) for target in Target],
    )
    naming: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Bone names",
        items=[
            (_OF_THE_PRESET, "Automatic", "The mannequin's names for Unreal, otherwise the names in Blender"),
            (_AS_THEY_ARE, "As they are", "Keep the names the bones have in Blender"),
            *NAMINGS,
        ],
    )
    animation: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Motion", description="Also export the avatar's motion over the scene's frame range"
    )
    root_motion: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Root motion",
        description="Move the root along the ground instead of the pelvis, as game engines expect: Unreal's root bone, "
        "otherwise the armature",
    )
    even_light: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Even light",
        description="Leave the photo's light and shade out of the texture: engines have lights of their own",
        default=True,
    )
    provenance: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Include provenance",
        description="Also write the photo's name and digest, its pose and the measurements, for anyone who gets "
        "the file to read",
        default=False,
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Open the file browser to choose the file."""
        rig = find_rig(context.object)
        assert rig is not None  # see poll
        self.filepath = bpy.path.clean_name(rig.name) + Target(self.target).suffix
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def check(self, context: bpy.types.Context) -> bool:
        """Have the suffix of the file name follow the target when an option changes in the file browser."""
        before = self.filepath
        if bpy.path.basename(before):
            self.filepath = _suffixed(before, Target(self.target))
        return bool(self.filepath != before)

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> str:
        target = Target(self.target)
        if not bpy.path.basename(self.filepath):
            raise OSError("The file has no name: enter one.")
        path = absolute_path(_suffixed(self.filepath, target))
        names = {_OF_THE_PRESET: None, _AS_THEY_ARE: bone_names(rig)}
        naming = names[self.naming] if self.naming in names else Naming(self.naming)
        told = context.window_manager
        told.progress_begin(0, 100)  # beside the pointer, because Blender does not redraw its window meanwhile
        try:
            remarks = export_avatar(
                rig,
                path,
                target,
                naming,
                self.animation,
                self.provenance,
                self.root_motion,
                progress=lambda fraction: told.progress_update(100 * fraction),
                even_light=self.even_light,
            )
        finally:
            told.progress_end()
        for remark in remarks:
            self.report({"WARNING"}, tr(remark))
        return f"{path.name} written"


def _suffixed(path: str, target: Target) -> str:
    """Replace the suffix of another target by this target's; names such as "Anna 1.2" stay whole."""
    ours = next((other.suffix for other in Target if path.lower().endswith(other.suffix)), "")
    return path[: len(path) - len(ours)] + target.suffix


CLASSES = (UVATAR_OT_export,)
