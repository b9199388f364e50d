"""How avatars stand, against the truth: the vertical, the trunk's lean, the feet on the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uvatar.body import BODY, BodyData, BodyModel
from uvatar.data.arrays import Floats, Integers
from uvatar.data.fit import BodyParameters
from uvatar.data.gravity import Gravity
from uvatar.data.joints import ANKLE_JOINTS, FOOT_JOINTS, HIP_JOINTS, Joint
from uvatar.evaluation.sitters import Sitter
from uvatar.fitting.stance import leans
from uvatar.geometry.mesh import unit

STANDING, OTHER = "standing", "not standing"
_SOLE = 0.012  # metres above the lowest point of a foot at rest up to which its vertices belong to the sole
_UPRIGHT, _IN_LINE = np.cos(np.radians(20)), 0.9  # cosines of the trunk's lean, and of the bend between trunk and legs
_SAME_HEIGHT = 0.04  # metres between the feet of whoever stands on both
_FRONT, _BACK = 45, 135  # degrees of yaw up to which, and from which, somebody is seen from the front or from behind


@dataclass(frozen=True)
class HowItStands:
    """Errors of one avatar.

    Attributes:
        gravity: angle between the estimated and the true vertical, degrees.
        lean: of the trunk, pelvis to neck: how much further forward the avatar leans in its scene than the person in
            the world, degrees.
        feet: mean distance of the soles from the ground under the avatar, cm; NaN where the person does not stand.
        below: how far the avatar reaches below the ground of its scene, cm; NaN where there is no ground.
    """

    gravity: float
    lean: float
    feet: float
    below: float


def kind_of(sitter: Sitter, body: BodyModel) -> str:
    """Whether a person stands on both feet."""
    vertices, joints = body.posed(sitter.body)
    up = np.array(sitter.up)
    trunk = unit(joints[Joint.NECK] - joints[Joint.PELVIS])
    legs = unit(joints[HIP_JOINTS].mean(0) - joints[ANKLE_JOINTS].mean(0))
    lowest = [float((vertices[sole] @ up).min()) for sole in soles(body.data)]
    stands = trunk @ up > _UPRIGHT and trunk @ legs > _IN_LINE and abs(lowest[0] - lowest[1]) < _SAME_HEIGHT
    return STANDING if stands else OTHER


def view_of(yaw: float) -> str:
    """From where somebody is seen who is turned away from facing the camera by ``yaw`` degrees."""
    away = abs((yaw + 180) % 360 - 180)
    return "front" if away < _FRONT else "back" if away > _BACK else "side"


def how_it_stands(sitter: Sitter, fitted: BodyParameters, gravity: Gravity, body: BodyModel) -> HowItStands:
    """The errors of an avatar with the estimated ``gravity`` of its photo."""
    up, true_up = np.array(gravity.up), np.array(sitter.up)
    vertices, joints = body.posed(fitted)
    _, true_joints = body.posed(sitter.body)
    lean = _trunk_lean(joints, up) - _trunk_lean(true_joints, true_up)
    feet = below = np.nan
    if gravity.ground is not None:
        below = 100 * max(-float((vertices @ up).min()) - gravity.ground, 0.0)
    if kind_of(sitter, body) == STANDING:
        heights = vertices[np.concatenate(soles(body.data))] @ up
        feet = 100 * float((heights - heights.min()).mean())
    return HowItStands(float(np.degrees(np.arccos(np.clip(up @ true_up, -1, 1)))), lean, feet, below)


def soles(data: BodyData) -> list[Integers]:
    """Vertices under the left and under the right foot."""
    height, found = data.v_template[:, 1], []
    for ankle, foot in zip(ANKLE_JOINTS, FOOT_JOINTS, strict=True):
        own = np.flatnonzero((data.weights[:, [ankle, foot]].sum(1) > 0.9) & (data.part == BODY))
        found.append(own[height[own] < height[own].min() + _SOLE])
    return found


def _trunk_lean(joints: Floats, up: Floats) -> float:
    """How far the trunk leans forward, degrees."""
    left = unit(joints[HIP_JOINTS[0]] - joints[HIP_JOINTS[1]])
    forward, _ = leans(unit(joints[Joint.NECK] - joints[Joint.PELVIS]), up[None], left)
    return float(np.degrees(forward[0]))
