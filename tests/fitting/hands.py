"""Hands whose pose is known: what a hand model without errors would see of them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.fitting.people import fitting_model
from uvatar.body import BodyModel
from uvatar.body.rig import pose_of
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.data.hands import HandLandmark
from uvatar.data.person import Hand
from uvatar.fitting.hand_skeleton import FINGER_LANDMARKS, HandSkeleton
from uvatar.geometry import rotations
from uvatar.protocol.rig import FINGERS, LEFT_HAND, RIGHT_HAND


@cache
def skeleton() -> HandSkeleton:
    """The open body's left hand."""
    hand = fitting_model().hand
    assert hand is not None
    return hand


def hand_of_angles(
    angles: NDArray[Any], palm: NDArray[Any], left: bool = True, pixels_per_metre: float = 600.0
) -> Hand:
    """A hand with these angles (5, 5) whose palm is turned by ``palm`` (3, 3), seen from far away."""
    points = np.zeros((len(HandLandmark), 3))
    points[FINGER_LANDMARKS] = skeleton().posed(angles[None])[0][0]
    seen = points * [1 if left else -1, 1, 1] @ palm.T
    return Hand((seen[:, :2] * pixels_per_metre + 300).astype(np.float32), seen.astype(np.float32), 0.95)


def hand_of_body(body: BodyModel, parameters: BodyParameters, left: bool, camera: Camera) -> Hand:
    """A body's own hand."""
    rig = body.data.rig
    pose = np.concatenate([parameters.global_orient[None], parameters.body_pose])[None]
    whole = pose_of(parameters, pose)
    assert rig is not None and whole is not None
    posed = body(parameters.betas[None], whole, parameters.transl[None])
    points = np.zeros((len(HandLandmark), 3))
    points[HandLandmark.WRIST] = posed.joints[0, 20 if left else 21]
    joints = posed.joints[0, LEFT_HAND if left else RIGHT_HAND].reshape(len(FINGERS), 3, 3)
    tips = posed.vertices[0][rig.fingertips.reshape(2, -1)[0 if left else 1]]
    points[FINGER_LANDMARKS] = np.concatenate([joints, tips[:, None]], 1)
    pixels = camera.project(points)
    looking = rotations.between(np.array([0.0, 0.0, 1.0]), camera.rays(pixels.mean(0)))
    return Hand(pixels.astype(np.float32), ((points - points.mean(0)) @ looking).astype(np.float32), 0.95)
