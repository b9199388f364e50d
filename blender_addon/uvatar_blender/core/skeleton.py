# SPDX-License-Identifier: GPL-3.0-or-later
"""SMPL's skeleton in Blender's terms: axes, rest bones and rotations.

There are three right-handed frames, all in metres:

* body: SMPL's rest frame, x to the person's left, y up, z forward;
* armature: Blender's, x to the person's left, y backward, z up (the person faces -y);
* camera: OpenCV's, x right, y down, z forward. The world of an imported photo is the camera frame, rotated so that the
  camera looks along +y with z up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, Integers

JOINTS = 24

# (3, 3) body frame -> armature frame: (x, y, z) -> (x, -z, y).
ARMATURE_FROM_BODY = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
# (3, 3) camera frame -> world: (x, y, z) -> (x, z, -y).
WORLD_FROM_CAMERA = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])

# The joint at which each SMPL bone ends; None for the five that end at a tip: feet, head and hands.
_END_JOINT = (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, None, None, 15, 16, 17, None, 18, 19, 20, 21, 22, 23, None, None)
TIPPED = tuple(joint for joint, end in enumerate(_END_JOINT) if end is None)
_LEFT_FOOT, _RIGHT_FOOT, _HEAD, _LEFT_HAND, _RIGHT_HAND = TIPPED
_FEET = (7, 8, _LEFT_FOOT, _RIGHT_FOOT)  # with the ankle bones
_SHORTEST_BONE = 0.01  # metres: Blender removes bones without length when Edit Mode ends


@dataclass(frozen=True)
class RestBones:
    """The 24 bones at rest, in a right-handed frame.

    Attributes:
        heads, tails: (24, 3) ends of the bones, metres; a bone's local y axis runs from head to tail.
        z_axes: (24, 3) direction that each bone's local z axis faces as nearly as possible. It is the person's front
            (up for the feet), so that a positive rotation about the local x axis swings any bone forward (the feet up).
        connected: (24,) whether the head is at the parent's tail.
    """

    heads: NDArray[np.float64]
    tails: NDArray[np.float64]
    z_axes: NDArray[np.float64]
    connected: tuple[bool, ...]


def tip_vertices(joint_template: Floats, template: Floats, strongest_joint: Integers) -> NDArray[np.int64]:
    """Find the vertices at which the bones of `TIPPED` end.

    Args:
        joint_template: (24, 3) mean joints, body frame.
        template: (V, 3) mean vertices, body frame.
        strongest_joint: (V,) the joint with the largest weight for each vertex.

    Returns:
        (5,) indices of vertices, -1 for a joint to which no vertex belongs.
    """
    tips = []
    for joint in TIPPED:
        own = np.flatnonzero(strongest_joint == joint)
        reach = (template[own] - joint_template[joint]) @ _tip_direction(joint, joint_template)
        tips.append(own[np.argmax(reach)] if len(own) else -1)
    return np.array(tips, np.int64)


def skeleton_points(
    joint_template: Floats, joint_shapedirs: Floats, template: Floats, shapedirs: Floats, tips: Integers
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return joints and tips as a linear function of the betas, so that a rig can follow them without the mesh.

    Args:
        joint_template: (24, 3) mean joints.
        joint_shapedirs: (24, 3, K) what each beta adds to them.
        template: (V, 3) mean vertices.
        shapedirs: (V, 3, K) what each beta adds to them.
        tips: (5,) from `tip_vertices`.

    Returns:
        (29, 3) and (29, 3, K): ``joint_template`` and ``joint_shapedirs``, followed by those of the tips in the order
        of `TIPPED`, in the frame of the arguments. A bone without a tip ends at its joint; `rest_bones` gives it a
        length.
    """
    joints, known = list(TIPPED), tips >= 0
    ends = np.where(known[:, None], template[tips], joint_template[joints])
    end_directions = np.where(known[:, None, None], shapedirs[tips], joint_shapedirs[joints])
    return (
        np.concatenate([joint_template, ends]).astype(np.float64),
        np.concatenate([joint_shapedirs, end_directions]).astype(np.float64),
    )


def _tip_direction(joint: int, joints: Floats) -> Floats:
    """Return the direction (3,) of the bone of a joint without children, body frame."""
    if joint == _HEAD:
        return np.array([0.0, 1, 0])
    parent = _END_JOINT.index(joint)
    direction = joints[joint] - joints[parent]
    if joint in (_LEFT_FOOT, _RIGHT_FOOT):
        direction = direction * (1, 0, 1)  # toes lie flat
    unit_length: Floats = direction / max(np.linalg.norm(direction), 1e-9)
    return unit_length


def rest_bones(points: Floats, parents: Sequence[int]) -> RestBones:
    """Return the rest bones of a shaped body.

    Args:
        points: (29, 3) joints and tips (`skeleton_points` with the betas applied), body frame.
        parents: (24,) parent of each joint, -1 for the root.

    Returns:
        Bones in the armature's axes, with the origin of the body frame. They run along the limbs: each ends at the next
        joint, and the last ones reach as far as the mesh does.
    """
    heads, tails = points[:JOINTS], np.empty((JOINTS, 3))
    for joint, end in enumerate(_END_JOINT):
        if end is not None:
            tails[joint] = points[end]
        else:
            direction = _tip_direction(joint, heads)
            reach = (points[JOINTS + TIPPED.index(joint)] - heads[joint]) @ direction
            tails[joint] = heads[joint] + direction * max(reach, _SHORTEST_BONE)
    z_axes = np.tile([0.0, -1, 0], (JOINTS, 1))
    z_axes[list(_FEET)] = (0, 0, 1)
    connected = tuple(parent >= 0 and _END_JOINT[parent] == joint for joint, parent in enumerate(parents))
    return RestBones(heads @ ARMATURE_FROM_BODY.T, tails @ ARMATURE_FROM_BODY.T, z_axes, connected)


def rotation_matrices(axis_angle: Floats) -> NDArray[np.float64]:
    """Convert axis-angle (..., 3), in radians, to rotation matrices (..., 3, 3) (Rodrigues' formula)."""
    axis_angle = np.asarray(axis_angle, np.float64)
    angle = np.linalg.norm(axis_angle, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(axis_angle / np.maximum(angle[..., 0], 1e-12), -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    matrices: NDArray[np.float64] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return matrices


def armature_rotations(pose: Floats) -> NDArray[np.float64]:
    """Convert SMPL's pose to rotations in the armature's axes.

    Args:
        pose: (24, 3) axis-angle, radians; 0 is the global orientation in the camera frame, the others are relative to
            their parents.

    Returns:
        (24, 3, 3) rotations. The first takes the armature's rest frame to the world of the photo: it is near the
        identity for a person who stands upright and faces the camera.
    """
    rotations = rotation_matrices(pose)
    turned: NDArray[np.float64] = ARMATURE_FROM_BODY @ rotations @ ARMATURE_FROM_BODY.T
    turned[0] = WORLD_FROM_CAMERA @ rotations[0] @ ARMATURE_FROM_BODY.T
    return turned


def to_bone_axes(rotations: Floats, bone_axes: Floats) -> Floats:
    """Convert rotations (..., N, 3, 3) from the armature's axes to those of each bone.

    Args:
        rotations: (..., N, 3, 3) in the armature's axes.
        bone_axes: (N, 3, 3) whose columns are the axes of each bone.
    """
    return np.swapaxes(bone_axes, -1, -2) @ rotations @ bone_axes


def from_bone_axes(rotations: Floats, bone_axes: Floats) -> Floats:
    """Convert rotations (..., N, 3, 3) from the axes of each bone to the armature's; see `to_bone_axes`."""
    return bone_axes @ rotations @ np.swapaxes(bone_axes, -1, -2)
