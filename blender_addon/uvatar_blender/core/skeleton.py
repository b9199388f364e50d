# SPDX-License-Identifier: GPL-3.0-or-later
"""The skeleton in Blender's terms: axes, rest bones and rotations.

An avatar has SMPL's 24 joints, or the 55 of a body with fingers, jaw and eyes (`protocol.rig`), in the same frames; the
first 22 are the same joints.

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

from ..protocol.rig import BODY_JOINTS, FINGERS, JAW, LEFT_EYE, LEFT_HAND, RIG_NAMES, RIGHT_EYE, RIGHT_HAND, THUMB
from .arrays import Floats, Integers

JOINTS = 24  # of SMPL
RIG_JOINTS = len(RIG_NAMES)

# (3, 3) body frame -> armature frame: (x, y, z) -> (x, -z, y).
ARMATURE_FROM_BODY = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
# (3, 3) camera frame -> world: (x, y, z) -> (x, z, -y).
WORLD_FROM_CAMERA = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])

# The joint at which each bone ends; None for those that end at a tip.
_BODY_ENDS = (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, None, None, 15, 16, 17, None, 18, 19, 20, 21)
_MIDDLE = LEFT_HAND.start + 3 * FINGERS.index("middle"), RIGHT_HAND.start + 3 * FINGERS.index("middle")
_FINGER_ENDS = tuple(
    joint + 1 if (joint - LEFT_HAND.start) % 3 < 2 else None for joint in range(LEFT_HAND.start, RIGHT_HAND.stop)
)
_END_JOINT: dict[int, tuple[int | None, ...]] = {
    JOINTS: (*_BODY_ENDS, 22, 23, None, None),
    RIG_JOINTS: (*_BODY_ENDS, *_MIDDLE, None, None, None, *_FINGER_ENDS),
}
# The rows of the 55 joints that stand for SMPL's 24: its hands are at the knuckle of the middle finger.
SMPL_OF_RIG = [*range(BODY_JOINTS), *_MIDDLE]
FEET_TIPS = slice(0, 2)  # rows of the tips
_LEFT_FOOT, _RIGHT_FOOT, _HEAD = 10, 11, 15
_FEET = (7, 8, _LEFT_FOOT, _RIGHT_FOOT)  # with the ankle bones
# Directions of the bones of jaw (to the chin) and eyes, body frame.
_FACE = {
    JAW: np.array([0.0, -0.6, 0.8]), LEFT_EYE: np.array([0.0, 0.0, 1.0]), RIGHT_EYE: np.array([0.0, 0.0, 1.0]),
}  # fmt: skip
# The direction to which the thumb bends, as a sum of the palm's directions: to the fingers, to the thumb's side, and
# out of the palm (the open body's abduction axis of the thumb).
_THUMB_BENDS = np.array([0.766, -0.790, 0.372])
_SHORTEST_BONE = 0.01  # metres: Blender removes bones without length when Edit Mode ends


@dataclass(frozen=True)
class RestBones:
    """The J bones at rest, in a right-handed frame.

    Attributes:
        heads, tails: (J, 3) ends of the bones, metres; a bone's local y axis runs from head to tail.
        z_axes: (J, 3) direction that each bone's local z axis faces as nearly as possible. It is the person's front
            (up for the feet), so that a positive rotation about the local x axis swings any bone forward (the feet up);
            for fingers it is the side to which they bend, so that it curls them.
        connected: (J,) whether the head is at the parent's tail.
    """

    heads: NDArray[np.float64]
    tails: NDArray[np.float64]
    z_axes: NDArray[np.float64]
    connected: tuple[bool, ...]


def tipped(joints: int) -> tuple[int, ...]:
    """Return the joints whose bones end at a tip, the feet first, for a skeleton of so many joints."""
    return tuple(joint for joint, end in enumerate(_END_JOINT[joints]) if end is None)


def tip_vertices(joint_template: Floats, template: Floats, strongest_joint: Integers) -> NDArray[np.int64]:
    """Find the vertices at which the bones of `tipped` end.

    Args:
        joint_template: (J, 3) mean joints, body frame.
        template: (V, 3) mean vertices, body frame.
        strongest_joint: (V,) the joint with the largest weight for each vertex.

    Returns:
        (N,) indices of vertices, -1 for a joint to which no vertex belongs.
    """
    tips = []
    for joint in tipped(len(joint_template)):
        own = np.flatnonzero(strongest_joint == joint)
        reach = (template[own] - joint_template[joint]) @ _tip_direction(joint, joint_template)
        tips.append(own[np.argmax(reach)] if len(own) else -1)
    return np.array(tips, np.int64)


def skeleton_points(
    joint_template: Floats, joint_shapedirs: Floats, template: Floats, shapedirs: Floats, tips: Integers
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return joints and tips as a linear function of the betas, so that a rig can follow them without the mesh.

    Args:
        joint_template: (J, 3) mean joints.
        joint_shapedirs: (J, 3, K) what each beta adds to them.
        template: (V, 3) mean vertices.
        shapedirs: (V, 3, K) what each beta adds to them.
        tips: (N,) from `tip_vertices`.

    Returns:
        (J + N, 3) and (J + N, 3, K): ``joint_template`` and ``joint_shapedirs``, followed by those of the tips in the
        order of `tipped`, in the frame of the arguments. A bone without a tip ends at its joint; `rest_bones` gives it
        a length.
    """
    joints, known = list(tipped(len(joint_template))), tips >= 0
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
    if len(joints) == RIG_JOINTS and joint in _FACE:
        return _FACE[joint]
    parent = _END_JOINT[len(joints)].index(joint)
    direction = joints[joint] - joints[parent]
    if joint in (_LEFT_FOOT, _RIGHT_FOOT):
        direction = direction * (1, 0, 1)  # toes lie flat
    unit_length: Floats = direction / max(np.linalg.norm(direction), 1e-9)
    return unit_length


def rest_bones(points: Floats, parents: Sequence[int]) -> RestBones:
    """Return the rest bones of a shaped body.

    Args:
        points: (J + N, 3) joints and tips (`skeleton_points` with the betas applied), body frame.
        parents: (J,) parent of each joint, -1 for the root.

    Returns:
        Bones in the armature's axes, with the origin of the body frame. They run along the limbs: each ends at the next
        joint, and the last ones reach as far as the mesh does.
    """
    count = len(parents)
    ends, tips = _END_JOINT[count], tipped(count)
    heads, tails = points[:count], np.empty((count, 3))
    for joint, end in enumerate(ends):
        if end is not None:
            tails[joint] = points[end]
        else:
            direction = _tip_direction(joint, heads)
            reach = (points[count + tips.index(joint)] - heads[joint]) @ direction
            tails[joint] = heads[joint] + direction * max(reach, _SHORTEST_BONE)
    z_axes = np.tile([0.0, -1, 0], (count, 1))
    z_axes[list(_FEET)] = (0, 0, 1)
    if count == RIG_JOINTS:
        z_axes[[LEFT_EYE, RIGHT_EYE]] = (0, 0, 1)
        for hand, wrist in ((LEFT_HAND, 20), (RIGHT_HAND, 21)):
            z_axes[hand] = _curling(heads[hand], heads[wrist], hand is RIGHT_HAND) @ ARMATURE_FROM_BODY.T
    # The middle finger hangs at the hand's end, but can be moved like the others.
    connected = tuple(
        parent >= 0 and ends[parent] == joint and joint not in _MIDDLE for joint, parent in enumerate(parents)
    )
    return RestBones(heads @ ARMATURE_FROM_BODY.T, tails @ ARMATURE_FROM_BODY.T, z_axes, connected)


def _curling(joints: Floats, wrist: Floats, right: bool) -> NDArray[np.float64]:
    """Return the directions (15, 3) to which a hand's bones bend.

    Args:
        joints: (15, 3) of the fingers, flat, in any pose of the arm.
        wrist: (3,).
        right: whether it is the right hand.
    """
    index, middle, pinky = (joints[3 * FINGERS.index(name)] for name in ("index", "middle", "pinky"))
    palm = np.cross(pinky - wrist, index - wrist) * (-1 if right else 1)
    frame = [direction / max(np.linalg.norm(direction), 1e-9) for direction in (middle - wrist, index - pinky, palm)]
    directions = np.tile(frame[2], (len(joints), 1))
    directions[3 * THUMB :] = _THUMB_BENDS @ np.array(frame)
    return directions


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
        pose: (J, 3) axis-angle, radians; 0 is the global orientation in the camera frame, the others are relative to
            their parents.

    Returns:
        (J, 3, 3) rotations. The first takes the armature's rest frame to the world of the photo: it is near the
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
