# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that give the selected avatar a motion: from a file, or a sample clip."""

# No "from __future__ import annotations" here: Blender reads the properties from the annotations.

import bpy

from ..core.upright import UpAxis
from ..protocol.clips import Clip
from ..scene import rigify
from ..scene.clips import apply_clip
from ..scene.motion import SUFFIXES, apply_motion, load_motion
from ..scene.rig import RigError
from .avatar_operator import AvatarOperator, absolute_path


class UVATAR_OT_import_motion(AvatarOperator, bpy.types.Operator):
    """Animate the avatar with a BVH or FBX file (Mixamo), or with SMPL poses (AMASS, AIST++, video pose estimators)"""

    bl_idname = "uvatar.import_motion"
    bl_label = "Import Motion"
    bl_options = {"REGISTER", "UNDO"}
    leaves_pose_mode = True

    filepath: bpy.props.StringProperty(subtype="FILE_PATH")  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(default=";".join(f"*{suffix}" for suffix in SUFFIXES), options={"HIDDEN"})  # type: ignore[valid-type]
    up: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Up axis",
        description="The axis that points up in the file. Choose it yourself if the avatar lies but should stand, "
        "or vice versa",
        items=[
            (UpAxis.AUTOMATIC.value, "Automatic", "The format's up axis, or the one along which people stand"),
            (UpAxis.Y.value, "Y", "Most BVH files, AIST++, GVHMR"),
            (UpAxis.Z.value, "Z", "AMASS, Blender"),
            (UpAxis.MINUS_Y.value, "−Y", "Camera axes: ROMP, 4D-Humans"),
        ],
    )
    start: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="First frame", description="Frame on which the motion starts. Loops for game engines start at 0", default=0
    )
    resample: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Scene's frame rate",
        description="Keep the motion's speed at the scene's frame rate. Otherwise each file frame becomes one frame",
        default=True,
    )
    ground: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="On the ground",
        description="Raise or lower the whole motion so that its lowest point touches the ground",
        default=True,
    )
    here: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Start here", description="Start where the avatar stands instead of at the file's position", default=True
    )
    shape: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Import shape", description="Also use the body shape from the file. Only for SMPL bodies"
    )
    fit_range: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Set scene range",
        description="Set the scene's frame range to the motion's first and last frame",
        default=True,
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Open the file browser to choose the file."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> str:
        path, scene = absolute_path(self.filepath), context.scene
        rate = scene.render.fps / scene.render.fps_base if self.resample else None
        motion, control = load_motion(rig, path, UpAxis(self.up)), rigify.control_rig(rig)
        if control is not None and self.shape:
            raise RigError(
                f"{rig.name} follows its control rig, which would keep the old shape; remove the control rig first."
            )
        action = apply_motion(rig, motion, path.stem, self.start, rate, self.ground, self.here, self.shape)
        first, last = _handed_over(rig, control, action)
        if self.fit_range:
            scene.frame_start, scene.frame_end = first, max(last, first)
        scene.frame_set(scene.frame_current)
        return " ".join((f"{last - first + 1} frames.", *motion.notes))


class UVATAR_OT_play_clip(AvatarOperator, bpy.types.Operator):
    """Animate the avatar, or its control rig, with a sample clip and play it."""

    bl_idname = "uvatar.play_clip"
    bl_label = "Sample Clip"
    bl_description = "Animate the avatar, or its control rig, with a sample clip, and play it"
    bl_options = {"REGISTER", "UNDO"}
    leaves_pose_mode = True

    clip: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Clip",
        items=[
            (Clip.WALK.value, "Walk", "Walk four strides forward"),
            (Clip.IDLE.value, "Idle", "Stand at ease, breathing and blinking"),
            (Clip.TALK.value, "Talk", "Stand and speak, with gestures and mouth shapes"),
        ],
    )
    in_place: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="In place", description="Walk on the spot: one stride that can be repeated"
    )

    def act(self, context: bpy.types.Context, rig: bpy.types.Object) -> str:
        scene, control = context.scene, rigify.control_rig(rig)
        clip, rate = Clip(self.clip), scene.render.fps / scene.render.fps_base
        action = apply_clip(rig, clip, start=0, rate=rate, in_place=self.in_place)
        first, last = _handed_over(rig, control, action)
        # The last frame of a loop is its first again.
        loops = clip is not Clip.WALK or self.in_place
        scene.frame_start, scene.frame_end = first, max(last - loops, first)
        scene.frame_set(first)
        if not bpy.app.background and not context.screen.is_animation_playing:
            bpy.ops.screen.animation_play()
        return f"{self.clip.capitalize()}: frames {first} to {scene.frame_end}."


def _handed_over(rig: bpy.types.Object, control: bpy.types.Object | None, action: bpy.types.Action) -> tuple[int, int]:
    """Let the control rig that led the avatar take over its new motion, and lead it again.

    Only now, so that it keeps driving the avatar if the motion cannot be applied.

    Returns:
        The first and the last frame.
    """
    first, last = (int(frame) for frame in action.frame_range)
    if control is not None:
        rigify.unfollow(rig)
        rigify.lead(rig, control)
    return first, last


CLASSES = (UVATAR_OT_import_motion, UVATAR_OT_play_clip)
