"""Heads that the photo does not show: the landmark model always finds one, if need be on the collar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.landmarks import FACE, HIPS, SHOULDERS
from uvatar.perception.pose import Pose

HEIGHT = 0.36  # of the trunk's length: how far above the shoulders the middle of the head is
SHOULDER_WIDTHS = 1.2  # so many make a trunk where it is foreshortened
CERTAIN = 0.75  # support from which on the head's points are believed, whatever the trunk says
UNSEEN = 0.1  # visibility of a head outside the photo


def head_outside(pose: Pose, size: tuple[int, int], face_seen: bool) -> NDArray[np.float64] | None:
    """Where the middle of the head would be, (2,) pixels, if that is outside a photo of ``size`` (width, height) and
    nothing speaks for a head inside it, neither the face model nor the landmarks' support; else None.
    """
    points = pose.landmarks[:, :2].astype(float)
    left, right = points[SHOULDERS]
    shoulders, up = points[SHOULDERS].mean(0), points[SHOULDERS].mean(0) - points[HIPS].mean(0)
    trunk = max(float(np.hypot(*up)), SHOULDER_WIDTHS * float(np.hypot(*(left - right))))
    middle = shoulders + HEIGHT * trunk * up / max(float(np.hypot(*up)), 1e-6)
    outside = bool(np.any(middle < 0) or np.any(middle > size))
    return middle if outside and not face_seen and float(pose.support[FACE].mean()) < CERTAIN else None


def with_head_at(landmarks: NDArray[np.float32], middle: Floats) -> NDArray[np.float32]:
    """(33, 3) landmarks with those of the head moved so that their middle is at ``middle``, and hardly visible."""
    moved = landmarks.copy()
    moved[FACE, :2] += (middle - moved[FACE, :2].mean(0)).astype(np.float32)
    moved[FACE, 2] = np.minimum(moved[FACE, 2], UNSEEN)
    return moved


def with_head_upright(world: NDArray[np.float32]) -> NDArray[np.float32]:
    """(33, 3) world landmarks with those of the head moved to where they are on somebody who holds it straight above
    the trunk.
    """
    moved = world.copy()
    up = world[SHOULDERS].mean(0) - world[HIPS].mean(0)
    moved[FACE] += world[SHOULDERS].mean(0) + HEIGHT * up - world[FACE].mean(0)
    return moved
