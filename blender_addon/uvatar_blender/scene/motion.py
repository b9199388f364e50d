# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion for an avatar: an action with a keyframe on every frame."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from ..core import skeleton
from ..core.bvh import load_bvh
from ..core.motion import Motion, MotionError, grounded, resampled, rotations_for, starting_here
from ..core.pose_file import load_smpl_motion
from ..core.retarget import retarget
from ..core.rotations import quaternions_from, without_flips
from ..core.upright import UpAxis
from ..protocol.rig import SMPL_PARENTS
from . import compat
from .fbx_motion import load_fbx
from .fingers import has_fingers, relaxed_hands
from .mesh import set_slider
from .rig import (
    basis_rotations,
    beta_names,
    bone_axes,
    clear_pose,
    find_body,
    joint_names,
    t_joints,
    t_toe_tips,
)
from .shape import refresh_joints

SUFFIXES = (".bvh", ".fbx", ".npz", ".npy", ".pkl")  # of the files that `load_motion` reads


def load_motion(rig: bpy.types.Object, path: Path, up: UpAxis = UpAxis.AUTOMATIC) -> Motion:
    """Read a BVH or FBX file, or a file of SMPL poses, as motion for this avatar.

    Args:
        rig: the avatar's armature object.
        path: the file.
        up: the axis of the file's world that points up.

    Raises:
        MotionError: the file cannot be used; the message says why.
        OSError: the file cannot be opened.
        RigError: the avatar is incomplete.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise MotionError(f"{path.name} is not a motion file; Uvatar reads {', '.join(SUFFIXES)}.")
    if suffix in (".bvh", ".fbx"):
        capture = load_bvh(path) if suffix == ".bvh" else load_fbx(path)
        fingers = t_joints(rig) if has_fingers(rig) else None
        return retarget(capture, smpl_t_joints(rig), SMPL_PARENTS, up, fingers)
    return load_smpl_motion(path, up)


def apply_motion(
    rig: bpy.types.Object,
    motion: Motion,
    name: str,
    start: int = 0,
    rate: float | None = None,
    ground: bool = True,
    here: bool = True,
    shape: bool = False,
) -> bpy.types.Action:
    """Give the avatar a new action with this motion. It replaces the present action, which stays in the file.

    The fingers move if the file has them; otherwise they are relaxed.

    Args:
        rig: the avatar's armature object.
        motion: the motion.
        name: of the action.
        start: frame on which it begins; engines count from 0.
        rate: frame rate of the scene, to which the motion is resampled; None keeps the frames of the file.
        ground: raise or lower the clip as a whole so that its lowest point touches the ground.
        here: begin where the avatar stands, not at the position in the file.
        shape: set the betas of the file; only for SMPL's own bodies.

    Raises:
        MotionError: with ``shape``, the avatar does not have SMPL's body, or the file has no betas.
        RigError: the avatar is incomplete.
    """
    if shape:
        _take_shape(rig, motion)
    if rate is not None and abs(rate - motion.rate) > 1e-3:
        motion = resampled(motion, rate)
    if here:
        motion = starting_here(motion)
    if ground:
        motion = grounded(motion, smpl_t_joints(rig), t_toe_tips(rig), SMPL_PARENTS)
    clear_pose(rig)
    names = joint_names(rig)
    rotations = rotations_for(motion, len(names), relaxed_hands(rig))
    quaternions = without_flips(quaternions_from(basis_rotations(rig, rotations)))
    offsets = motion.pelvis @ bone_axes(rig)[0]
    action = bpy.data.actions.new(name)
    curves = compat.curve_maker(rig, action)
    frames = start + np.arange(len(motion), dtype=np.float64)
    for joint, bone in enumerate(names):
        rig.pose.bones[bone].rotation_mode = "QUATERNION"
        path = f'pose.bones["{bpy.utils.escape_identifier(bone)}"].'
        for channel in range(4):
            compat.fill_curve(
                curves(path + "rotation_quaternion", channel, bone), frames, quaternions[:, joint, channel]
            )
    for channel in range(3):
        path = f'pose.bones["{bpy.utils.escape_identifier(names[0])}"].location'
        compat.fill_curve(curves(path, channel, names[0]), frames, offsets[:, channel])
    rig.update_tag()
    return action


def _take_shape(rig: bpy.types.Object, motion: Motion) -> None:
    if not str(rig.get("uvatar_body_model", "")).startswith("smpl"):
        raise MotionError(
            "The file's shape is for SMPL, but this avatar has another body; import the motion without the shape."
        )
    if motion.betas is None:
        raise MotionError("The file contains no body shape.")
    keys = find_body(rig).data.shape_keys.key_blocks
    for beta, name in zip(motion.betas, beta_names(rig), strict=False):
        set_slider(keys[name], float(beta))
    refresh_joints(rig)


def smpl_t_joints(rig: bpy.types.Object) -> NDArray[np.float64]:
    """Return SMPL's 24 joints (24, 3) in the T pose, see `t_joints`; hands are at the knuckles."""
    joints = t_joints(rig)
    return joints if len(joints) == skeleton.JOINTS else joints[skeleton.SMPL_OF_RIG]
