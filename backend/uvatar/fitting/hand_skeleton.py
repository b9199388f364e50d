"""The skeleton of a left hand at rest: joints, hinge axes, limits; its points for given angles, with derivatives.

A right hand is the mirror image. Fingers, joints and angles are in the order of `uvatar.protocol.rig`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from uvatar.body import BodyData
from uvatar.data.arrays import Floats
from uvatar.data.hands import HandLandmark
from uvatar.data.joints import Joint
from uvatar.geometry import rotations
from uvatar.protocol.rig import (
    ABDUCTION,
    ANGLE_LIMITS,
    FINGERS,
    FLEXION_1,
    FLEXION_2,
    FLEXION_3,
    LEFT_HAND,
    TWIST,
    hand_pose,
)

ANGLES = 5  # of a finger
_JOINTS = 3 * len(FINGERS)
_JOINT_OF_ANGLE = np.array([0, 0, 0, 1, 2])
_MOVES = np.arange(4)[:, None] > _JOINT_OF_ANGLE  # (4, 5) whether an angle moves a point

# The landmarks of each finger, from its first joint to its tip.
FINGER_LANDMARKS = np.array([
    [HandLandmark.INDEX_MCP, HandLandmark.INDEX_PIP, HandLandmark.INDEX_DIP, HandLandmark.INDEX_TIP],
    [HandLandmark.MIDDLE_MCP, HandLandmark.MIDDLE_PIP, HandLandmark.MIDDLE_DIP, HandLandmark.MIDDLE_TIP],
    [HandLandmark.PINKY_MCP, HandLandmark.PINKY_PIP, HandLandmark.PINKY_DIP, HandLandmark.PINKY_TIP],
    [HandLandmark.RING_MCP, HandLandmark.RING_PIP, HandLandmark.RING_DIP, HandLandmark.RING_TIP],
    [HandLandmark.THUMB_CMC, HandLandmark.THUMB_MCP, HandLandmark.THUMB_IP, HandLandmark.THUMB_TIP],
])  # fmt: skip


@dataclass(frozen=True)
class HandSkeleton:
    """A left hand at rest; metres and radians, axes of the body at rest, origin at the wrist.

    Attributes:
        points: (5, 4, 3) each finger's three joints and its tip.
        axes: (5, 2, 3) each finger's unit axes of flexion and abduction (`uvatar.protocol.rig.hand_pose`).
        low, high: (5, 5) limits of the angles.
    """

    points: NDArray[np.float64]
    axes: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @cached_property
    def lengths(self) -> NDArray[np.float64]:
        """(5, 4) of the bones: from the wrist to each finger, then along it."""
        bones = np.diff(self.points, axis=1, prepend=0.0)
        lengths: NDArray[np.float64] = np.linalg.norm(bones, axis=-1)
        return lengths

    @property
    def flexion(self) -> NDArray[np.float64]:
        """(5, 3) unit axis of flexion, the same for the three joints of a finger; positive curls to the palm."""
        return self.axes[:, 0]

    @property
    def abduction(self) -> NDArray[np.float64]:
        """(5, 3) unit axis of abduction; positive goes to the thumb's side."""
        return self.axes[:, 1]

    @cached_property
    def along(self) -> NDArray[np.float64]:
        """(5, 3) unit axis of twist: along the finger."""
        return np.cross(self.abduction, self.flexion)

    def turns(self, angles: Floats) -> NDArray[np.float64]:
        """Angles (B, 5, 5) -> rotations (B, 5, 5, 3, 3), each about the axis of its angle at rest."""
        skew, square = self._generators
        angle = angles[..., None, None]
        turned: NDArray[np.float64] = np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * square
        return turned

    @cached_property
    def _generators(self) -> tuple[Floats, Floats]:
        """(5, 5, 3, 3) matrices that multiply by the axis of each angle, and their squares."""
        flexion = self.flexion
        skew = rotations.skew(np.stack([flexion, self.abduction, self.along, flexion, flexion], 1))
        return skew, skew @ skew

    def pose(self, angles: Floats, left: bool) -> NDArray[np.float64]:
        """(15, 3) axis-angle of the joints of one hand with these angles (5, 5); a right one is the mirror image."""
        both = hand_pose(angles, angles, self.axes)
        return both[:_JOINTS] if left else both[_JOINTS:]

    def posed(self, angles: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The points of hands with these angles, and how they move.

        Args:
            angles: (B, 5, 5) radians.

        Returns:
            (B, 5, 4, 3) points, and their derivatives (B, 5, 4, 3, 5) by the angles of their own finger.
        """
        turns = self.turns(angles)
        spread = turns[:, :, ABDUCTION]
        bent = spread @ turns[:, :, FLEXION_1]
        first = bent @ turns[:, :, TWIST]
        second = first @ turns[:, :, FLEXION_2]
        third = second @ turns[:, :, FLEXION_3]
        rotation = np.stack([first, second, third], 2)
        bones = (rotation @ (self.points[:, 1:] - self.points[:, :-1])[..., None])[..., 0]
        points = np.empty((len(angles), *self.points.shape))
        points[:, :, 0] = self.points[:, 0]
        points[:, :, 1:] = self.points[:, :1] + np.cumsum(bones, 2)
        flexion = self.flexion[..., None]
        axes = np.empty((len(angles), len(self.points), 1, ANGLES, 3))
        axes[:, :, 0, ABDUCTION] = self.abduction
        axes[:, :, 0, FLEXION_1] = (spread @ flexion)[..., 0]
        axes[:, :, 0, TWIST] = (bent @ self.along[..., None])[..., 0]
        axes[:, :, 0, FLEXION_2] = (first @ flexion)[..., 0]
        axes[:, :, 0, FLEXION_3] = (second @ flexion)[..., 0]
        # An angle moves what comes after its joint.
        lever = (points[:, :, :, None] - points[:, :, None, _JOINT_OF_ANGLE]) * _MOVES[..., None]
        x, y, z = (axes[..., k] for k in range(3))
        u, v, w = (lever[..., k] for k in range(3))
        return points, np.stack([y * w - z * v, z * u - x * w, x * v - y * u], -2)


def hand_skeleton(body: BodyData) -> HandSkeleton | None:
    """The left hand of the mean person; None if the body has no fingers."""
    rig = body.rig
    if rig is None:
        return None
    joints = rig.joint_template[LEFT_HAND].reshape(len(FINGERS), 3, 3)
    tips = body.v_template[rig.fingertips[: len(FINGERS), None]]
    points = np.concatenate([joints, tips], 1) - rig.joint_template[Joint.LEFT_WRIST]
    return HandSkeleton(points.astype(float), rig.finger_axes.astype(float), *np.moveaxis(ANGLE_LIMITS, -1, 0))
