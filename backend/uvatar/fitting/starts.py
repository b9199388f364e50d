"""Starting points of the solver: initial poses from a person's landmarks.

`landmark_start` reads the pose off the landmarks in space, limb by limb. A learned start (the Mesh Predictor, a pose
lifter) is just another `Start`: the solver tries each briefly and goes on with the one that explains the photo best.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uvatar.data.arrays import Floats
from uvatar.data.joints import (
    ANKLE_JOINTS,
    ELBOW_JOINTS,
    HIP_JOINTS,
    KNEE_JOINTS,
    POSED_JOINTS,
    SHOULDER_JOINTS,
    SPINE_JOINTS,
    WRIST_JOINTS,
    Joint,
)
from uvatar.data.landmarks import (
    ANKLES,
    ELBOWS,
    HEELS,
    HIPS,
    INDICES,
    KNEES,
    PINKIES,
    SHOULDERS,
    TOES,
    WRISTS,
    Landmark,
)
from uvatar.data.start import Start
from uvatar.geometry import rotations

ELBOW_MOST, KNEE_MOST = 2.5, 2.5  # radians
FOOT_MOST, HEAD_MOST, WRIST_MOST = 0.6, 0.9, 0.8
NECK_SHARE = 0.4  # of the head's rotation against the chest
FOOT_SAYS = 0.3  # how much the foot's direction counts for the knee's axis where the knee is nearly straight


def landmark_start(landmarks: Floats, rest: Floats, name: str = "landmarks") -> Start:
    """The pose of a body whose landmarks at rest are ``rest`` (33, 3), seen with ``landmarks`` (33, 3), camera axes.

    Frames of the pelvis, the chest and the head come from their landmarks; a limb's first joint from its direction and
    its hinge's axis; its hinge from the angle between its bones.
    """
    local = np.tile(np.eye(3), (len(Joint), 1, 1))  # rotation of each joint against its parent
    pelvis = _trunk_frame(landmarks, HIPS) @ _trunk_frame(rest, HIPS).T
    chest = _trunk_frame(landmarks, SHOULDERS) @ _trunk_frame(rest, SHOULDERS).T
    local[SPINE_JOINTS] = rotations.exp(rotations.log(pelvis.T @ chest) / len(SPINE_JOINTS))
    head = chest.T @ _head_frame(landmarks) @ _head_frame(rest).T
    vector = _at_most(rotations.log(head), HEAD_MOST)
    local[Joint.NECK], local[Joint.HEAD] = rotations.exp(vector * NECK_SHARE), rotations.exp(vector * (1 - NECK_SHARE))
    for side in (0, 1):
        _pose_leg(local, pelvis, landmarks, rest, side)
        _pose_arm(local, chest, landmarks, rest, side)
    return Start(name, pelvis, rotations.log(local[1:POSED_JOINTS]))


def _pose_leg(local: Floats, pelvis: Floats, landmarks: Floats, rest: Floats, side: int) -> None:
    thigh, shin, foot = (
        _bone(landmarks, HIPS, KNEES, side),
        _bone(landmarks, KNEES, ANKLES, side),
        _bone(landmarks, HEELS, TOES, side),
    )
    # The knee's axis points to the person's left: shin against thigh where it is bent, foot against thigh where it is
    # not.
    axis = np.cross(thigh, shin) + FOOT_SAYS * np.cross(foot, thigh)
    rest_thigh = _bone(rest, HIPS, KNEES, side)
    rest_axis = np.cross(_bone(rest, HEELS, TOES, side), rest_thigh)
    upper = _frame(thigh, axis) @ _frame(rest_thigh, rest_axis).T
    bend = _signed_angle(thigh, shin, axis) - _signed_angle(rest_thigh, _bone(rest, KNEES, ANKLES, side), rest_axis)
    local[HIP_JOINTS[side]] = pelvis.T @ upper
    local[KNEE_JOINTS[side]] = rotations.exp(np.array([np.clip(bend, 0, KNEE_MOST), 0, 0]))
    lower = upper @ local[KNEE_JOINTS[side]]
    ankle = rotations.between(_bone(rest, HEELS, TOES, side), lower.T @ foot)
    local[ANKLE_JOINTS[side]] = rotations.exp(_at_most(rotations.log(ankle), FOOT_MOST))


def _pose_arm(local: Floats, chest: Floats, landmarks: Floats, rest: Floats, side: int) -> None:
    upper_arm, forearm = _bone(landmarks, SHOULDERS, ELBOWS, side), _bone(landmarks, ELBOWS, WRISTS, side)
    rest_upper = _bone(rest, SHOULDERS, ELBOWS, side)
    sign = -1.0 if side == 0 else 1.0  # the elbow flexes about -y on the left, about +y on the right
    rest_axis = np.array([0.0, sign, 0.0])
    swung = rotations.between(rest_upper, chest.T @ upper_arm)
    # Bent, the forearm shows the elbow's axis; straight, the arm keeps the axis it swings there with.
    axis = np.cross(upper_arm, forearm) + 0.15 * (chest @ swung @ rest_axis)
    upper = _frame(upper_arm, axis) @ _frame(rest_upper, rest_axis).T
    bend = float(np.arccos(np.clip(upper_arm @ forearm, -1, 1)))
    local[SHOULDER_JOINTS[side]] = chest.T @ upper
    local[ELBOW_JOINTS[side]] = rotations.exp(np.array([0, sign * min(bend, ELBOW_MOST), 0]))
    lower = upper @ local[ELBOW_JOINTS[side]]
    palm = _palm_frame(landmarks, side) @ _palm_frame(rest, side).T
    local[WRIST_JOINTS[side]] = rotations.exp(_at_most(rotations.log(lower.T @ palm), WRIST_MOST))


def _bone(points: Floats, start: Sequence[int], end: Sequence[int], side: int) -> Floats:
    vector = points[end[side]] - points[start[side]]
    direction: Floats = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return direction


def _trunk_frame(points: Floats, across: Sequence[int]) -> Floats:
    up = points[SHOULDERS].mean(0) - points[HIPS].mean(0)
    return _frame(points[across[0]] - points[across[1]], up)


def _head_frame(points: Floats) -> Floats:
    """From the ears and the nose; upright-nodding is left to the solver, for landmarks in space put the ears too far
    forward.
    """
    return _frame(
        points[Landmark.LEFT_EAR] - points[Landmark.RIGHT_EAR],
        points[Landmark.NOSE] - (points[Landmark.LEFT_EAR] + points[Landmark.RIGHT_EAR]) / 2,
    )


def _palm_frame(points: Floats, side: int) -> Floats:
    index, pinky = _bone(points, WRISTS, INDICES, side), _bone(points, WRISTS, PINKIES, side)
    return _frame(index + pinky, np.cross(index, pinky))


def _frame(first: Floats, second: Floats) -> Floats:
    """Rotation (3, 3) whose columns are the direction ``first``, ``second`` made square to it, and their cross
    product.
    """
    x = first / max(float(np.linalg.norm(first)), 1e-9)
    y = second - x * (x @ second)
    if np.linalg.norm(y) < 1e-6:
        y = np.cross(np.eye(3)[np.abs(x).argmin()], x)
    y = y / np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], -1)


def _signed_angle(first: Floats, second: Floats, axis: Floats) -> float:
    """Angle from ``first`` to ``second``, positive about ``axis``."""
    cross = np.cross(first, second)
    return float(np.arctan2(np.linalg.norm(cross) * np.sign(cross @ axis), first @ second))


def _at_most(vector: Floats, most: float) -> Floats:
    """A rotation vector, shortened to ``most`` radians where it is longer."""
    return vector * min(1.0, most / max(float(np.linalg.norm(vector)), 1e-9))
