# SPDX-License-Identifier: GPL-3.0-or-later
"""The tilt of a photo's camera, which can be corrected when its people are in the scene."""

from __future__ import annotations

from contextlib import suppress

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ..core import skeleton
from ..core.arrays import Floats
from ..core.levelled import turned_pose
from ..core.rest_pose import RestPose, local_rotations
from ..protocol.levelling import levelling, pitch_and_roll, up_of
from ..protocol.rig import BODY_JOINTS
from .avatar import lowest_point
from .camera import UP, turn_camera
from .control_rig_motion import has_motion
from .posing import photo_offset, photo_pose, set_photo_offset, set_photo_pose
from .rig import LED_BY, RigError, get_rotations, is_rig, joint_names, root_offset, set_root_offset, set_rotations

_SAME = 0.02  # radians by which an avatar in the photo's pose may have been turned


def tilt_of(camera: bpy.types.Object) -> tuple[float, float]:
    """Return pitch and roll of a photo's camera, radians; 0 for cameras of older versions."""
    return pitch_and_roll(tuple(camera[UP])) if UP in camera else (0.0, 0.0)


def set_tilt(camera: bpy.types.Object, pitch: float, roll: float) -> None:
    """Tilt a photo's camera, and turn the people whom it shows with it, so that they stay where the photo has them.

    Whoever is in the photo's pose turns about the camera. Those in another pose, such as the T pose, stay upright and
    only move along. Avatars that are animated, follow a control rig, or whose object was turned stay as they are. The
    lowest of those that moved stays at its height.

    Args:
        camera: a photo's camera.
        pitch, roll: radians, see `uvatar_blender.protocol.levelling.up_of`.
    """
    before, after = levelling(tuple(camera.get(UP, (0.0, -1.0, 0.0)))), levelling(up_of(pitch, roll))
    axes = skeleton.WORLD_FROM_CAMERA
    turn = axes @ after @ before.T @ axes.T
    rigs = [rig for rig in _people(camera) if _movable(rig)]
    posed = [rig for rig in rigs if _in_photo_pose(rig)]
    lowest = min((lowest_point(rig) for rig in posed), default=0.0)
    for rig in rigs:
        _turn(rig, turn, after @ before.T, np.array(camera.location), rig in posed)
    camera[UP] = list(up_of(pitch, roll))
    turn_camera(camera, up_of(pitch, roll))
    height = lowest - min((lowest_point(rig) for rig in posed), default=lowest)
    camera.location.z += height
    for rig in rigs:
        _raise(rig, height / rig.scale.z, rig in posed)


def _people(camera: bpy.types.Object) -> list[bpy.types.Object]:
    beside = {thing for collection in camera.users_collection for thing in collection.objects}
    return [thing for thing in beside if is_rig(thing)]


def _movable(rig: bpy.types.Object) -> bool:
    """Whether the avatar is one that the photo's camera may take along."""
    with suppress(RigError, KeyError):
        root = rig.pose.bones[joint_names(rig)[0]]
        upright = (rig.matrix_world.to_quaternion().angle % (2 * np.pi)) < 1e-3
        return (
            upright
            and LED_BY not in rig
            and not has_motion(rig)
            and not root.constraints
            and bool(len(photo_pose(rig)))
        )
    return False


def _in_photo_pose(rig: bpy.types.Object) -> bool:
    """Whether the avatar is as the photo has it, apart from limbs that were posed since."""
    stored, now = skeleton.armature_rotations(photo_pose(rig)), get_rotations(rig)
    turned = Matrix((stored[0] @ now[0].T).tolist()).to_quaternion().angle
    return turned < _SAME and not _is_standard(now)


def _turn(rig: bpy.types.Object, turn: Floats, in_camera: Floats, centre: Floats, posed: bool) -> None:
    """Turn an avatar, or the pose of the photo that it stores, about a point of the world.

    Args:
        rig: the avatar's armature object.
        turn: (3, 3) rotation in the world's axes.
        in_camera: the same rotation in the axes of the photo's pose.
        centre: (3,) the point.
        posed: whether it is in the photo's pose.
    """
    scale = rig.scale.z
    rest = rig.data.bones[joint_names(rig)[0]].matrix_local.translation
    pelvis = np.array(rig.location) + scale * np.array(rest + (root_offset(rig) if posed else photo_offset(rig)))
    moved = turn @ (pelvis - centre) + centre - pelvis
    rig.location.x += moved[0]
    rig.location.y += moved[1]
    if posed:
        now = get_rotations(rig)
        now[0] = turn @ now[0]
        set_rotations(rig, now, slice(0, 1))
    set_photo_pose(rig, turned_pose(photo_pose(rig), in_camera))
    _raise(rig, moved[2] / scale, posed)


def _raise(rig: bpy.types.Object, height: float, posed: bool) -> None:
    """Raise an avatar in the photo's pose, and the stored one, by ``height`` metres."""
    step = Vector((0.0, 0.0, height))
    if posed:
        set_root_offset(rig, root_offset(rig) + step)
    set_photo_offset(rig, photo_offset(rig) + step)


def _is_standard(now: Floats) -> bool:
    """Whether these rotations (J, 3, 3) are those of the T or the A pose."""
    axes = skeleton.ARMATURE_FROM_BODY
    poses = (axes @ local_rotations(pose, len(now)) @ axes.T for pose in RestPose)
    return any(np.allclose(now[:BODY_JOINTS], pose[:BODY_JOINTS], atol=1e-3) for pose in poses)
