"""The skeleton with fingers, jaw and eyes, in the order of SMPL-X, and finger poses by their angles.

Backend and extension share this table. Left and right are the person's own; rotations are relative to the parent, about
the body's rest axes (x to the person's left, y up, z forward). At rest the hands are flat, palms down, the fingers
straight.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

# The joints that this skeleton shares with SMPL's 24, at the same numbers.
BODY_JOINTS = 22
FINGERS = ("index", "middle", "pinky", "ring", "thumb")  # in SMPL-H's order
THUMB = FINGERS.index("thumb")
_BODY_NAMES = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
_BODY_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
_HAND_NAMES = {side: tuple(f"{side}_{f}{k}" for f in FINGERS for k in (1, 2, 3)) for side in ("left", "right")}

# SMPL-X's 55 joints: 22 of the body, jaw, eyes, 15 of each hand. A finger's three joints are MCP, PIP and DIP, those of
# the thumb CMC, MCP and IP.
RIG_NAMES = (*_BODY_NAMES, "jaw", "left_eye_smplhf", "right_eye_smplhf", *_HAND_NAMES["left"], *_HAND_NAMES["right"])
JAW, LEFT_EYE, RIGHT_EYE = 22, 23, 24
LEFT_HAND, RIGHT_HAND = slice(25, 40), slice(40, 55)
_HEAD, _LEFT_WRIST, _RIGHT_WRIST = 15, 20, 21


# The parts of a pose that SMPL's 24 joints lack, and the joints of each.
FINE_POSES = {
    "jaw_pose": slice(JAW, LEFT_EYE),
    "eye_pose": slice(LEFT_EYE, LEFT_HAND.start),
    "hand_pose": slice(LEFT_HAND.start, RIGHT_HAND.stop),
}


def _finger_parents(wrist: int, first: int) -> tuple[int, ...]:
    return tuple(wrist if joint % 3 == 0 else first + joint - 1 for joint in range(3 * len(FINGERS)))


RIG_PARENTS = (
    *_BODY_PARENTS, _HEAD, _HEAD, _HEAD,
    *_finger_parents(_LEFT_WRIST, LEFT_HAND.start), *_finger_parents(_RIGHT_WRIST, RIGHT_HAND.start),
)  # fmt: skip

SMPL_PARENTS = (*_BODY_PARENTS, _LEFT_WRIST, _RIGHT_WRIST)  # of SMPL's 24 joints: the hands hang on the wrists

# SMPL-H's 52 joints: the body and the hands. Rows of the 55 that make them.
SMPLH_JOINTS = [*range(BODY_JOINTS), *range(LEFT_HAND.start, RIGHT_HAND.stop)]
# For each joint, the one of SMPL's 24 that it moves with where there are no fingers, jaw and eyes.
SMPL_JOINT_OF = [*range(BODY_JOINTS), _HEAD, _HEAD, _HEAD, *[22] * 15, *[23] * 15]

# A hand's angles are an array (5, 5): a row for each of FINGERS and these columns, radians. Flexion curls towards the
# palm, abduction goes to the thumb's side, and only the thumb twists.
FLEXION_1, ABDUCTION, TWIST, FLEXION_2, FLEXION_3 = range(5)
_FINGER_LIMITS = ((-25, 95), (-18, 18), (0, 0), (-5, 115), (-5, 85))
_THUMB_LIMITS = ((-20, 45), (-30, 40), (-35, 45), (-10, 60), (-15, 85))
# (5, 5, 2) the smallest and largest angles, radians.
ANGLE_LIMITS = np.radians([*[_FINGER_LIMITS] * 4, _THUMB_LIMITS])

# Poses of a hand, degrees. "relaxed" is what unseen hands get: how people hold them who stand at ease.
_CURLED = (70, 0, 0, 90, 60)
_THUMB_ACROSS = (25, 25, 30, 30, 55)
_POSES: Mapping[str, tuple[tuple[float, ...], ...]] = {
    "relaxed": ((12, -4, 0, 22, 12), (18, 0, 0, 28, 16), (25, 7, 0, 32, 18), (22, 4, 0, 32, 18), (5, -6, -5, 10, 12)),
    "fist": (_CURLED, _CURLED, _CURLED, _CURLED, _THUMB_ACROSS),
    "point": ((0, 0, 0, 5, 5), _CURLED, _CURLED, _CURLED, _THUMB_ACROSS),
    "flat": ((0, 0, 0, 0, 0),) * 5,
}
FINGER_POSES = tuple(_POSES)


def whole_pose(body_pose: Floats, parts: Mapping[str, Any]) -> NDArray[np.floating[Any]]:
    """The pose (55, 3) of all joints, axis-angle.

    Args:
        body_pose: (24, 3) of SMPL's joints.
        parts: by `FINE_POSES`, (1, 3), (2, 3) and (30, 3); what is missing or None is at rest.

    Raises:
        ValueError: an array has another size.
    """
    body_pose = np.asarray(body_pose)
    pose = np.zeros((len(RIG_NAMES), 3), body_pose.dtype)
    pose[:BODY_JOINTS] = body_pose[:BODY_JOINTS]
    for key, joints in FINE_POSES.items():
        if parts.get(key) is not None:
            pose[joints] = np.reshape(parts[key], (-1, 3))
    return pose


def finger_angles(name: str) -> NDArray[np.float64]:
    """The angles (5, 5) of a pose of `FINGER_POSES`, radians."""
    return np.radians(np.array(_POSES[name], np.float64))


def hand_pose(left: Floats, right: Floats, axes: Floats) -> NDArray[np.float64]:
    """Rotations of the fingers from their angles.

    Args:
        left, right: (..., 5, 5) angles of the two hands, radians; see the columns above.
        axes: (5, 2, 3) flexion and abduction axis of each finger of the left hand, unit length, perpendicular.

    Returns:
        (..., 30, 3) axis-angle of the joints `LEFT_HAND`, then `RIGHT_HAND`.
    """
    return np.concatenate([_one_hand(left, axes), _one_hand(right, axes) * (1, -1, -1)], -2)


def posed_hands(name: str, axes: Floats) -> NDArray[np.float64]:
    """Both hands (30, 3), axis-angle, in a pose of `FINGER_POSES`; ``axes`` as in `hand_pose`."""
    angles = finger_angles(name)
    return hand_pose(angles, angles, axes)


def _one_hand(angles: Floats, axes: Floats) -> NDArray[np.float64]:
    """The left hand's fingers (..., 15, 3), axis-angle: the first joint is abducted after flexion after twist."""
    flexion, abduction = np.asarray(axes, np.float64)[:, 0], np.asarray(axes, np.float64)[:, 1]
    along = np.cross(abduction, flexion)
    first = _product(
        _quaternion(abduction, angles[..., ABDUCTION]),
        _product(_quaternion(flexion, angles[..., FLEXION_1]), _quaternion(along, angles[..., TWIST])),
    )
    others = [flexion * angles[..., joint, None] for joint in (FLEXION_2, FLEXION_3)]
    vectors = np.stack([_vector(first), *others], -2)
    joints: NDArray[np.float64] = vectors.reshape(*vectors.shape[:-3], 3 * len(FINGERS), 3)
    return joints


def _quaternion(axis: Floats, angle: Floats) -> NDArray[np.float64]:
    half = np.asarray(angle, np.float64)[..., None] / 2
    quaternion: NDArray[np.float64] = np.concatenate([np.cos(half), axis * np.sin(half)], -1)
    return quaternion


def _product(a: Floats, b: Floats) -> NDArray[np.float64]:
    real, vector = a[..., :1] * b[..., :1], a[..., :1] * b[..., 1:] + b[..., :1] * a[..., 1:]
    dot = (a[..., 1:] * b[..., 1:]).sum(-1, keepdims=True)
    product: NDArray[np.float64] = np.concatenate([real - dot, vector + np.cross(a[..., 1:], b[..., 1:])], -1)
    return product


def _vector(quaternion: Floats) -> NDArray[np.float64]:
    """Axis-angle (..., 3) of unit quaternions (..., 4) that rotate by less than half a turn."""
    sine = np.linalg.norm(quaternion[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quaternion[..., :1])
    vectors: NDArray[np.float64] = quaternion[..., 1:] * np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 2.0)
    return vectors
