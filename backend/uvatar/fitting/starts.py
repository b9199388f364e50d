"""Starting points of the solver: initial poses from a person's landmarks.

`landmark_start` reads the pose off the landmarks in space, limb by limb. A learned start (the Mesh Predictor, a pose
lifter) is just another `Start`: the solver tries each briefly and goes on with the one that explains the photo best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class StartSettings:
    """Tuned numbers of a start's pose. Where nothing is said of how a number was chosen, that is not recorded.

    Attributes:
        elbow_most, knee_most: flexion at most, radians; as in the prototype of the fit.
        ankle_most, head_most, wrist_most: rotation at most, radians.
        neck_share: of the head's rotation against the chest, the rest being the head joint's; as in the prototype.
        foot_weight: of the foot's direction against the shin's in the knee's axis: it decides where the knee is nearly
            straight.
        elbow_weight: of the axis that the elbow has when the arm swings into place without twist: it decides where the
            elbow is nearly straight.
    """

    elbow_most: float = 2.5
    knee_most: float = 2.5
    ankle_most: float = 0.6
    head_most: float = 0.9
    wrist_most: float = 0.8
    neck_share: float = 0.4
    foot_weight: float = 0.3
    elbow_weight: float = 0.15


DEFAULT_SETTINGS = StartSettings()
LANDMARKS = "landmarks"  # name of the landmarks' own start


def landmark_start(
    landmarks: Floats, rest: Floats, name: str = LANDMARKS, settings: StartSettings = DEFAULT_SETTINGS
) -> Start:
    """Read a body's pose off its landmarks in space.

    Frames of the pelvis, the chest and the head come from their landmarks; a limb's first joint from its direction and
    its hinge's axis; its hinge from the angle between its bones.

    Args:
        landmarks: (33, 3) as seen, metres, camera axes.
        rest: (33, 3) of the body at rest, metres.
        name: of the start.
        settings: tuned numbers.
    """
    local = np.tile(np.eye(3), (len(Joint), 1, 1))  # rotation of each joint against its parent
    pelvis = _trunk_frame(landmarks, HIPS) @ _trunk_frame(rest, HIPS).T
    chest = _trunk_frame(landmarks, SHOULDERS) @ _trunk_frame(rest, SHOULDERS).T
    local[SPINE_JOINTS] = rotations.exp(rotations.log(pelvis.T @ chest) / len(SPINE_JOINTS))
    head = chest.T @ _head_frame(landmarks) @ _head_frame(rest).T
    vector = _at_most(rotations.log(head), settings.head_most)
    local[Joint.NECK] = rotations.exp(vector * settings.neck_share)
    local[Joint.HEAD] = rotations.exp(vector * (1 - settings.neck_share))
    for side in (0, 1):
        _pose_leg(local, pelvis, landmarks, rest, side, settings)
        _pose_arm(local, chest, landmarks, rest, side, settings)
    return Start(name, pelvis, rotations.log(local[1:POSED_JOINTS]))


def _pose_leg(
    local: Floats, pelvis: Floats, landmarks: Floats, rest: Floats, side: int, settings: StartSettings
) -> None:
    """Write the rotations of a hip, knee and ankle into ``local`` (24, 3, 3); ``side``: 0 left, 1 right."""
    thigh, shin, foot = (
        _bone(landmarks, HIPS, KNEES, side),
        _bone(landmarks, KNEES, ANKLES, side),
        _bone(landmarks, HEELS, TOES, side),
    )
    # The knee's axis points to the person's left: thigh x shin where it is bent, foot x thigh where it is not.
    axis = np.cross(thigh, shin) + settings.foot_weight * np.cross(foot, thigh)
    rest_thigh = _bone(rest, HIPS, KNEES, side)
    rest_axis = np.cross(_bone(rest, HEELS, TOES, side), rest_thigh)
    upper = _frame(thigh, axis) @ _frame(rest_thigh, rest_axis).T
    bend = _signed_angle(thigh, shin, axis) - _signed_angle(rest_thigh, _bone(rest, KNEES, ANKLES, side), rest_axis)
    local[HIP_JOINTS[side]] = pelvis.T @ upper
    local[KNEE_JOINTS[side]] = rotations.exp(np.array([np.clip(bend, 0, settings.knee_most), 0, 0]))
    lower = upper @ local[KNEE_JOINTS[side]]
    ankle = rotations.between(_bone(rest, HEELS, TOES, side), lower.T @ foot)
    local[ANKLE_JOINTS[side]] = rotations.exp(_at_most(rotations.log(ankle), settings.ankle_most))


def _pose_arm(
    local: Floats, chest: Floats, landmarks: Floats, rest: Floats, side: int, settings: StartSettings
) -> None:
    """Write the rotations of a shoulder, elbow and wrist into ``local`` (24, 3, 3); ``side``: 0 left, 1 right."""
    upper_arm, forearm = _bone(landmarks, SHOULDERS, ELBOWS, side), _bone(landmarks, ELBOWS, WRISTS, side)
    rest_upper = _bone(rest, SHOULDERS, ELBOWS, side)
    sign = -1.0 if side == 0 else 1.0  # the elbow flexes about -y on the left, about +y on the right
    rest_axis = np.array([0.0, sign, 0.0])
    swung = rotations.between(rest_upper, chest.T @ upper_arm)
    axis = np.cross(upper_arm, forearm) + settings.elbow_weight * (chest @ swung @ rest_axis)
    upper = _frame(upper_arm, axis) @ _frame(rest_upper, rest_axis).T
    bend = float(np.arccos(np.clip(upper_arm @ forearm, -1, 1)))
    local[SHOULDER_JOINTS[side]] = chest.T @ upper
    local[ELBOW_JOINTS[side]] = rotations.exp(np.array([0, sign * min(bend, settings.elbow_most), 0]))
    lower = upper @ local[ELBOW_JOINTS[side]]
    palm = _palm_frame(landmarks, side) @ _palm_frame(rest, side).T
    local[WRIST_JOINTS[side]] = rotations.exp(_at_most(rotations.log(lower.T @ palm), settings.wrist_most))


def _bone(points: Floats, start: Sequence[int], end: Sequence[int], side: int) -> Floats:
    """Unit direction (3,) between two landmarks of a side, 0 left or 1 right."""
    vector = points[end[side]] - points[start[side]]
    direction: Floats = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return direction


def _trunk_frame(points: Floats, across: Sequence[int]) -> Floats:
    """Frame (3, 3) of the trunk: x from right to left of the pair ``across``, y up."""
    up = points[SHOULDERS].mean(0) - points[HIPS].mean(0)
    return _frame(points[across[0]] - points[across[1]], up)


def _head_frame(points: Floats) -> Floats:
    """Frame (3, 3) of the head from ears and nose; nodding is left to the solver, because landmarks in space have the
    ears too far forward.
    """
    return _frame(
        points[Landmark.LEFT_EAR] - points[Landmark.RIGHT_EAR],
        points[Landmark.NOSE] - (points[Landmark.LEFT_EAR] + points[Landmark.RIGHT_EAR]) / 2,
    )


def _palm_frame(points: Floats, side: int) -> Floats:
    """Frame (3, 3) of the palm: x along it."""
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
    """Angle from ``first`` to ``second``, radians, positive about ``axis``."""
    cross = np.cross(first, second)
    return float(np.arctan2(np.linalg.norm(cross) * np.sign(cross @ axis), first @ second))


def _at_most(vector: Floats, most: float) -> Floats:
    """A rotation vector, shortened to ``most`` radians where it is longer."""
    return vector * min(1.0, most / max(float(np.linalg.norm(vector)), 1e-9))
