# SPDX-License-Identifier: GPL-3.0-or-later
"""Which axis of a motion file points up. Only numpy.

A clip may lie, do push-ups or stand on its hands, so that where heads point says little. Two things are asked instead:
what the kind of file promises, and on which axis the body, whatever it does, goes on resting on one level.
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


# (3, 3) the file's world -> Blender's.
WORLDS: Mapping[UpAxis, NDArray[np.float64]] = {
    UpAxis.Z: np.eye(3),
    UpAxis.Y: ARMATURE_FROM_BODY,
    UpAxis.MINUS_Y: WORLD_FROM_CAMERA,
}

_STANDING = 0.8  # cosine of the trunk's lean up to which somebody stands: 37 degrees
_SELDOM, _OFTEN = 0.2, 0.5  # shares of the frames
# Metres by which the lowest joint may rise and fall over a clip, or be off the ground: what rests on it differs by the
# flesh around the joints, up to 0.15; twice that and a jump is too much to be sure.
_STEADY, _UNSTEADY = 0.2, 0.5
_MOST_FRAMES = 500  # that are looked at


def thinned(frames: int) -> slice:
    """At most some hundred of a clip's frames, evenly."""
    return slice(None, None, max(1, frames // _MOST_FRAMES))


def upright_share(trunks: Floats, up: Floats) -> float:
    """In which share of the frames the trunk, (F, 3) unit vectors from hips to shoulders in the file's world, stands
    along an axis (3,).
    """
    return float((trunks @ up > _STANDING).mean())


def told_axis(
    promised: Floats, others: Sequence[Floats], trunks: Floats, joints: Floats, on_floor: bool
) -> NDArray[np.float64]:
    """The axis that this kind of file promises, unless its people plainly stand along another.

    Args:
        promised, others: (3,) unit vectors.
        trunks: (F, 3) unit vectors from hips to shoulders; joints: (F, J, 3) metres; both in the file's world.
        on_floor: whether such files have the floor at 0.
    """
    if upright_share(trunks, promised) >= _SELDOM or _unsteadiness(joints, promised, on_floor) <= _UNSTEADY:
        return promised
    steady = [
        up for up in others if upright_share(trunks, up) > _OFTEN and _unsteadiness(joints, up, on_floor) < _STEADY
    ]
    return steady[0] if len(steady) == 1 else promised


def seen_axis(axes: Sequence[Floats], trunks: Floats, joints: Floats) -> NDArray[np.float64]:
    """The axis along which people stand in a file that promises none: among those along which they ever do, the one on
    which they rest.

    Args:
        axes: (3,) unit vectors, the most usual first.
    """
    shares = [upright_share(trunks, up) for up in axes]
    standing = [index for index, share in enumerate(shares) if share >= _SELDOM / 2]
    if not standing:
        return max(axes, key=lambda up: float(trunks.mean(0) @ up))
    if (
        len(standing) > 1 and np.ptp(joints[:, 0], axis=0).max() > _STEADY / 2
    ):  # in files without places nobody rests anywhere
        unsteady = {index: _unsteadiness(joints, axes[index], False) for index in standing}
        steadiest = min(standing, key=unsteady.__getitem__)
        if all(unsteady[index] > unsteady[steadiest] + _STEADY for index in standing if index != steadiest):
            return axes[steadiest]
    return axes[max(standing, key=shares.__getitem__)]


def _unsteadiness(joints: Floats, up: Floats, on_floor: bool) -> float:
    """Metres by which what is lowest rises and falls, but for a tenth of the frames, or is off the floor."""
    lowest = (joints @ up).min(1)
    low, middle, high = np.percentile(lowest, (5, 50, 95))
    return max(float(high - low), abs(float(middle)) if on_floor else 0.0)
