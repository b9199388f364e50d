# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting poses in a scene that may be animated."""

from __future__ import annotations

from collections.abc import Sequence

import bpy

from .control_rig_motion import has_motion
from .rig import LED_BY, RigError, joint_names


def check_posable(rig: bpy.types.Object, keyed: bool) -> None:
    """Check that a pose would be seen and would last beyond the current frame.

    Args:
        rig: the avatar's armature object.
        keyed: whether the pose will be keyed.

    Raises:
        RigError: the avatar follows a control rig, or its motion would overwrite the pose.
    """
    if LED_BY in rig:
        raise RigError(f"{rig.name} follows its control rig; pose the control rig, or leave it first.")
    if has_motion(rig) and not keyed:
        action = rig.animation_data.action
        motion = f"its action “{action.name}”" if action is not None else "its NLA strips"
        way = "turn on Auto Keying to key it, or unlink the motion"
        raise RigError(f"{rig.name} is animated by {motion}, which would overwrite the pose on the next frame; {way}.")


def key_pose(rig: bpy.types.Object) -> None:
    """Key the rotations of the joints and the location of the pelvis on the current frame, as Auto Keying does."""
    names = joint_names(rig)
    key_rotations(rig, names)
    rig.pose.bones[names[0]].keyframe_insert("location", group=names[0])


def key_rotations(rig: bpy.types.Object, names: Sequence[str]) -> None:
    """Key the rotations of these bones on the current frame."""
    for name in names:
        bone = rig.pose.bones[name]
        channel = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}.get(
            bone.rotation_mode, "rotation_euler"
        )
        bone.keyframe_insert(channel, group=name)
