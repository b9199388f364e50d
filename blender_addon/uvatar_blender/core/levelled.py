# SPDX-License-Identifier: GPL-3.0-or-later
"""A photo's people in level axes instead of the camera's, so that who stands upright is upright in the scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..protocol.levelling import levelling
from .arrays import Floats
from .photo_camera import LEVEL
from .result import AvatarData, AvatarsResult
from .rotations import quaternions_from
from .skeleton import rotation_matrices


def levelled(result: AvatarsResult) -> AvatarsResult:
    """Return the result with its people in level axes: what was the camera's frame is one with y straight down.

    The camera still says how it is tilted against these axes.
    """
    if result.camera.up == LEVEL:
        return result
    rotation = levelling(result.camera.up)
    return replace(result, people=tuple(_turned(avatar, rotation) for avatar in result.people))


def as_if_level(result: AvatarsResult) -> AvatarsResult:
    """Return the result as that of a camera that was held level, whatever it says."""
    return replace(result, camera=replace(result.camera, up=LEVEL, ground=None))


def turned_pose(pose: Floats, rotation: Floats) -> NDArray[np.float64]:
    """Return a pose (J, 3) with its global orientation turned by a rotation (3, 3) of the frame that it is in."""
    turned = np.array(pose, np.float64)
    turned[0] = _rotation_vector(rotation @ rotation_matrices(turned[:1])[0])
    return turned


def _turned(avatar: AvatarData, rotation: NDArray[np.float64]) -> AvatarData:
    pelvis = avatar.joints()[0].astype(np.float64)
    transl = rotation @ (pelvis + avatar.transl) - pelvis
    pose = turned_pose(avatar.pose, rotation)
    return replace(avatar, pose=pose.astype(np.float32), transl=transl.astype(np.float32))


def _rotation_vector(matrix: Floats) -> NDArray[np.float64]:
    """Return the axis-angle (3,) of a rotation (3, 3), radians."""
    w, *axis = quaternions_from(matrix)
    vector = np.array(axis) * (1 if w >= 0 else -1)
    sine = float(np.linalg.norm(vector))
    scaled: NDArray[np.float64] = vector * (2 * np.arctan2(sine, abs(w)) / sine if sine > 1e-12 else 2.0)
    return scaled
