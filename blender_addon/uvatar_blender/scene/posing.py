# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting poses, in a scene that may be animated."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np
from mathutils import Vector
from numpy.typing import NDArray

from ..core import skeleton
from ..core.arrays import Floats
from ..core.rest_pose import RestPose, local_rotations
from ..core.result import AvatarData
from ..protocol.rig import LEFT_HAND
from .control_rig_motion import has_motion
from .rig import (
    FINGER_AXES,
    LED_BY,
    RigError,
    clear_pose,
    joint_names,
    parents,
    root_offset,
    set_root_offset,
    set_rotations,
)

# Custom properties of the armature's object: the photo's pose.
_PHOTO_OFFSET, _PHOTO_POSE = "uvatar_photo_offset", "uvatar_pose"


def check_posable(rig: bpy.types.Object, keyed: bool) -> None:
    """Check that a pose would be seen and would last beyond the current frame.

    Args:
        rig: the avatar's armature object.
        keyed: whether the pose will be keyed.

    Raises:
        RigError: the avatar follows a control rig, or its motion would overwrite the pose.
    """
    if LED_BY in rig:
        raise RigError(f"{rig.name} follows its control rig; pose the control rig, or remove it first.")
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


def remember_photo_pose(rig: bpy.types.Object, avatar: AvatarData) -> None:
    """Store the photo's pose, which the bones must have now, for `take_photo_pose`."""
    rig[_PHOTO_POSE], rig[_PHOTO_OFFSET] = avatar.pose.astype(float).ravel().tolist(), list(root_offset(rig))


def photo_pose(rig: bpy.types.Object) -> NDArray[np.float64]:
    """Return the photo's pose (J, 3) that the avatar stores, axis-angle; (0, 3) if it stores none."""
    return np.reshape(rig.get(_PHOTO_POSE, []) if _PHOTO_OFFSET in rig else [], (-1, 3)).astype(np.float64)


def set_photo_pose(rig: bpy.types.Object, pose: Floats) -> None:
    """Replace the photo's pose (J, 3) that the avatar stores."""
    rig[_PHOTO_POSE] = pose.ravel().tolist()


def photo_offset(rig: bpy.types.Object) -> Vector:
    """Return where the pelvis is in the photo's pose, from its rest position, in metres and the armature's axes."""
    return Vector(rig[_PHOTO_OFFSET])


def set_photo_offset(rig: bpy.types.Object, offset: Vector) -> None:
    """Replace the place of the pelvis in the photo's pose."""
    rig[_PHOTO_OFFSET] = list(offset)


def take_photo_pose(rig: bpy.types.Object) -> None:
    """Pose the avatar as in the photo, where it stands now.

    Raises:
        RigError: the avatar does not store the photo's pose.
    """
    if _PHOTO_POSE not in rig or _PHOTO_OFFSET not in rig:
        raise RigError(
            f"{rig.name} does not store the photo's pose because an older version made it. Import the avatar again."
        )
    clear_pose(rig)
    set_rotations(rig, skeleton.armature_rotations(np.reshape(rig[_PHOTO_POSE], (-1, 3))))
    set_root_offset(rig, Vector(rig[_PHOTO_OFFSET]))


def take_photo_fingers(rig: bpy.types.Object) -> None:
    """Pose the fingers as in the photo, and nothing else; an avatar without fingers stays as it is."""
    count = len(parents(rig))
    if FINGER_AXES in rig.data and _PHOTO_POSE in rig:
        turned = skeleton.armature_rotations(np.reshape(rig[_PHOTO_POSE], (count, 3)))
        set_rotations(rig, turned, slice(LEFT_HAND.start, count))


def take_pose(rig: bpy.types.Object, pose: RestPose) -> None:
    """Put the avatar into a T or A pose, upright where it stands, whatever its rest pose is."""
    clear_pose(rig)
    axes = skeleton.ARMATURE_FROM_BODY
    set_rotations(rig, axes @ local_rotations(pose, len(parents(rig))) @ axes.T)
