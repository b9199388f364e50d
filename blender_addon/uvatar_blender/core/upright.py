# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the axis of a motion file that points up.

People in a clip may lie, do push-ups or stand on their hands, so the direction of their heads says little. Two other
signs decide: the convention of the kind of file, and the axis along which the lowest point of the body stays on one
level, whatever the body does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats
from .skeleton import ARMATURE_FROM_BODY, WORLD_FROM_CAMERA


class UpAxis(Enum):
    """The axis of a file's world that points up."""

    AUTOMATIC = "AUTOMATIC"
    Y = "Y"
    Z = "Z"
    MINUS_Y = "MINUS_Y"


# (3, 3) rotation from the file's world to Blender's.
WORLDS: Mapping[UpAxis, NDArray[np.float64]] = {
    UpAxis.Z: np.eye(3),
    UpAxis.Y: ARMATURE_FROM_BODY,
    UpAxis.MINUS_Y: WORLD_FROM_CAMERA,
}

_STANDING = 0.8  # cosine of the trunk's lean up to which a person stands: 37 degrees
_SELDOM, _OFTEN = 0.2, 0.5  # fractions of the frames
# Metres by which the lowest joint may rise and fall over a clip, or be above the ground. Joints of a resting body
# differ in height by up to 0.15, the flesh around them; twice that and a jump is too much to be sure.
_STEADY, _UNSTEADY = 0.2, 0.5
_MOST_FRAMES = 500  # that are examined


def thinned(frames: int) -> slice:
    """Return a slice that takes some hundred frames of a clip at most, evenly spaced."""
    return slice(None, None, max(1, frames // _MOST_FRAMES))


def upright_share(trunks: Floats, up: Floats) -> float:
    """Return the fraction of the frames in which the trunk is upright.

    Args:
        trunks: (F, 3) unit vectors from hips to shoulders, in the file's world.
        up: (3,) unit vector of the axis that points up.
    """
    return float((trunks @ up > _STANDING).mean())


def told_axis(
    promised: Floats, others: Sequence[Floats], trunks: Floats, joints: Floats, on_floor: bool
) -> NDArray[np.float64]:
    """Return the conventional up axis of a kind of file, unless people clearly stand along another.

    Args:
        promised: (3,) unit vector of the conventional axis.
        others: (3,) unit vectors of the other axes.
        trunks: (F, 3) unit vectors from hips to shoulders, in the file's world.
        joints: (F, J, 3) metres, in the file's world.
        on_floor: whether such files have the floor at 0.
    """
    if upright_share(trunks, promised) >= _SELDOM or _unsteadiness(joints, promised, on_floor) <= _UNSTEADY:
        return promised
    steady = [
        up for up in others if upright_share(trunks, up) > _OFTEN and _unsteadiness(joints, up, on_floor) < _STEADY
    ]
    return steady[0] if len(steady) == 1 else promised


def seen_axis(axes: Sequence[Floats], trunks: Floats, joints: Floats) -> NDArray[np.float64]:
    """Find the up axis of a kind of file without a convention.

    It is, of the axes along which people ever stand, the one along which they rest on one level.

    Args:
        axes: (3,) unit vectors, the most usual first.
        trunks: (F, 3) unit vectors from hips to shoulders, in the file's world.
        joints: (F, J, 3) metres, in the file's world.
    """
    shares = [upright_share(trunks, up) for up in axes]
    standing = [index for index, share in enumerate(shares) if share >= _SELDOM / 2]
    if not standing:
        return max(axes, key=lambda up: float(trunks.mean(0) @ up))
    # Files without positions do not show on what people rest.
    if len(standing) > 1 and np.ptp(joints[:, 0], axis=0).max() > _STEADY / 2:
        unsteady = {index: _unsteadiness(joints, axes[index], False) for index in standing}
        steadiest = min(standing, key=unsteady.__getitem__)
        if all(unsteady[index] > unsteady[steadiest] + _STEADY for index in standing if index != steadiest):
            return axes[steadiest]
    return axes[max(standing, key=shares.__getitem__)]


def _unsteadiness(joints: Floats, up: Floats, on_floor: bool) -> float:
    """Return by how many metres the lowest joint rises and falls in nine tenths of the frames, or is off the floor."""
    lowest = (joints @ up).min(1)
    low, middle, high = np.percentile(lowest, (5, 50, 95))
    return max(float(high - low), abs(float(middle)) if on_floor else 0.0)
