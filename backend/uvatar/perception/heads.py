"""Heads outside the photo, for which the landmark model gives a position inside it, for example on the collar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.landmarks import FACE, HIPS, SHOULDERS
from uvatar.perception.pose import Pose

HEIGHT = 0.36  # of the trunk's length: how far above the shoulders the middle of the head is
SHOULDER_WIDTHS = 1.2  # so many make a trunk where it is foreshortened
CERTAIN = 0.75  # support above which the head's landmarks are trusted, whatever the trunk suggests
UNSEEN = 0.1  # visibility of a head outside the photo


def head_outside(pose: Pose, size: tuple[int, int], face_seen: bool) -> NDArray[np.float64] | None:
    """The likely middle of the head, (2,) pixels, if it is outside the photo; else None.

    None also if there is evidence of a head inside: from the face model, or from the landmarks' support.

    Args:
        pose: the person's pose.
        size: width and height of the photo.
        face_seen: whether the face model found a face.
    """
    points = pose.landmarks[:, :2].astype(float)
    left, right = points[SHOULDERS]
    shoulders, up = points[SHOULDERS].mean(0), points[SHOULDERS].mean(0) - points[HIPS].mean(0)
    trunk = max(float(np.hypot(*up)), SHOULDER_WIDTHS * float(np.hypot(*(left - right))))
    middle = shoulders + HEIGHT * trunk * up / max(float(np.hypot(*up)), 1e-6)
    outside = bool(np.any(middle < 0) or np.any(middle > size))
    return middle if outside and not face_seen and float(pose.support[FACE].mean()) < CERTAIN else None


def with_head_at(landmarks: NDArray[np.float32], middle: Floats) -> NDArray[np.float32]:
    """(33, 3) landmarks with the head's moved so that their middle is at ``middle``, with low visibility."""
    moved = landmarks.copy()
    moved[FACE, :2] += (middle - moved[FACE, :2].mean(0)).astype(np.float32)
    moved[FACE, 2] = np.minimum(moved[FACE, 2], UNSEEN)
    return moved


def with_head_upright(world: NDArray[np.float32]) -> NDArray[np.float32]:
    """(33, 3) world landmarks with the head's moved to where they are if the head is straight above the trunk."""
    moved = world.copy()
    up = world[SHOULDERS].mean(0) - world[HIPS].mean(0)
    moved[FACE] += world[SHOULDERS].mean(0) + HEIGHT * up - world[FACE].mean(0)
    return moved
