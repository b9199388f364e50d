"""The tilt of a camera: the direction up in its frame, as pitch and roll, and the rotation that levels it.

Camera frame as everywhere: x right, y down, z forward. Pitch is positive where the camera looks down; roll is positive
where the camera is turned anticlockwise, as the photographer sees it, so that what is upright leans to the right in the
photo. Backend and extension share this module.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def up_of(pitch: ArrayLike, roll: ArrayLike) -> NDArray[np.float64]:
    """(..., 3) unit vectors against gravity in the frames of cameras of this pitch and roll, radians."""
    pitch, roll = np.broadcast_arrays(np.asarray(pitch, float), np.asarray(roll, float))
    return np.stack([np.sin(roll) * np.cos(pitch), -np.cos(roll) * np.cos(pitch), -np.sin(pitch)], -1)


def pitch_and_roll(up: ArrayLike) -> tuple[float, float]:
    """Pitch and roll in radians of the camera in whose frame ``up`` (3,) is up; the inverse of `up_of`."""
    x, y, z = np.asarray(up, float) / np.linalg.norm(up)
    return float(np.arcsin(np.clip(-z, -1, 1))), float(np.arctan2(x, -y))


def levelling(up: ArrayLike) -> NDArray[np.float64]:
    """(3, 3) rotation from the camera's axes to level ones: y straight down, z ahead of the camera, horizontal."""
    pitch, roll = pitch_and_roll(up)
    c, s = np.cos(-roll), np.sin(-roll)
    about_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    c, s = np.cos(-pitch), np.sin(-pitch)
    about_x = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    rotation: NDArray[np.float64] = about_x @ about_z
    return rotation
