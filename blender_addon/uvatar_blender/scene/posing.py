# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses at a click, in a scene that may be animated."""

from __future__ import annotations

import bpy

from .control_rig_motion import has_motion
from .rig import LED_BY, RigError, joint_names


def check_posable(rig: bpy.types.Object, keyed: bool) -> None:
    """Raise RigError if a pose would not be seen, or be gone on the next frame.

    Args:
        keyed: whether the pose will be keyed.
    """
    if LED_BY in rig:
        raise RigError(f"{rig.name} follows its control rig; pose the control rig, or leave it first.")
    if has_motion(rig) and not keyed:
        action = rig.animation_data.action
        motion = f"its action “{action.name}”" if action is not None else "its NLA strips"
        way = "turn on Auto Keying to key it, or unlink the motion"
        raise RigError(f"{rig.name} is animated by {motion}, which would overwrite the pose on the next frame; {way}.")


def key_pose(rig: bpy.types.Object) -> None:
    """Key the joints' rotations, and the pelvis' place, at the current frame, as Auto Keying does when bones are turned
    by hand.
    """
    names = joint_names(rig)
    for name in names:
        bone = rig.pose.bones[name]
        channel = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}.get(
            bone.rotation_mode, "rotation_euler"
        )
        bone.keyframe_insert(channel, group=name)
    rig.pose.bones[names[0]].keyframe_insert("location", group=names[0])
