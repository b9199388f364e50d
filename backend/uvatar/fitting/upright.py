"""Bodies that stand, made as upright as people are where the photo does not tell, and on one ground.

From the front and from behind, a photo hardly shows how far legs and trunk lean forward, and fits err by as much as
they lean. People who stand lean little. Each lean about the vertical is drawn towards what is usual, by what is known
of either: how far fits err, how far people differ, and how sure the vertical is. Seen from the side nothing is changed.
Head and arms keep their directions, which the photo shows better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.gravity import Gravity
from uvatar.data.joints import ANKLE_JOINTS, COLLAR_JOINTS, HIP_JOINTS, KNEE_JOINTS, Joint
from uvatar.fitting.chain import BodySkeleton, State
from uvatar.fitting.prepared import FittingModel
from uvatar.fitting.sizes import resized
from uvatar.fitting.stance import Stance, leans
from uvatar.geometry import rotations
from uvatar.geometry.mesh import unit

# Joints that turn as one, from the ground up; all others keep their directions.
_LEGS = [*HIP_JOINTS, *KNEE_JOINTS]
_LOW = [Joint.PELVIS, Joint.SPINE1]
_NEAREST = 0.1  # metres below the camera: whoever stands no lower is seen from the ground, which says nothing of size
_HIGH = [Joint.SPINE2, Joint.SPINE3, *COLLAR_JOINTS]


@dataclass(frozen=True)
class UprightSettings:
    """Tuned numbers; degrees. Means and gains: of people of `uvatar evaluate synthetic --split tuning` that stand and
    are seen from the front or from behind.

    Attributes:
        legs: mean lean of the legs, hips over ankles; positive is forward.
        legs_differ: by how much people differ in it.
        legs_error: by how much fits err in it. Of the rendered people it is 5; of real ones, who are less like those
            that the pose lifter has seen, it is more.
        trunk: mean lean of the lower trunk against the legs, and the share that is left of a deviation from it.
        back: the same of the upper trunk against the lower one.
        most: lean from which somebody is taken to lean on purpose.
        sole: angle of a sole from the ground from which the foot is taken to be raised; below, half of it is undone.
        stands: weight of a stance from which somebody surely stands.
        size_error: of the sizes of grown-ups and of children that the fit finds, as a share.
        ground_error: metres by which a sole may be off the ground for other reasons than the tilt.
        side: cosine between the direction in which a lean shows and the line of sight (nothing is changed below, all
            of it above).
    """

    legs: float = 0.5
    legs_differ: float = 2.5
    legs_error: float = 6.0
    trunk: tuple[float, float] = (4.1, 0.45)
    back: tuple[float, float] = (0.7, 0.3)
    most: float = 30.0
    sole: float = 20.0
    stands: float = 0.7
    size_error: tuple[float, float] = (0.05, 0.2)
    ground_error: float = 0.015
    side: tuple[float, float] = (0.5, 0.8)


DEFAULT_SETTINGS = UprightSettings()


def straightened(
    bodies: State,
    stances: Sequence[Stance],
    gravity: Gravity,
    skeleton: BodySkeleton,
    settings: UprightSettings = DEFAULT_SETTINGS,
) -> State:
    """The bodies with legs, trunk and feet as upright as the settings say; places and shapes stay.

    Args:
        bodies: a row for each person.
        stances: likewise, how each stands.
        gravity: of the photo.
        skeleton: of the body.
        settings: tuned numbers.
    """
    posed = skeleton.pose(bodies)
    turned = posed.rotations.copy()
    up = np.array(gravity.up)
    for i, stance in enumerate(stances):
        if stance.upright > 0:
            turned[i] = _turned(posed.joints[i], turned[i], stance, up, np.degrees(gravity.error), settings)
    return skeleton.turned(bodies, turned)


def on_one_ground(
    bodies: State,
    stances: Sequence[Stance],
    gravity: Gravity,
    model: FittingModel,
    heights: Floats,
    children: NDArray[np.bool_],
    settings: UprightSettings = DEFAULT_SETTINGS,
) -> State:
    """The bodies of those who stand at such sizes, and so distances, that their feet are on one plane.

    A body that is larger by a factor, and farther away by it, looks the same. How much of a difference is undone
    depends on what is less certain: the size, or the ground where the person stands. Where heights are known, the
    ground is under those people, and they stay as they are.

    Args:
        bodies: a row for each person.
        stances: likewise, how each stands.
        gravity: of the photo.
        model: the body that is fitted.
        heights: (N,) metres; NaN where they are not known.
        children: (N,) who is taken for a child.
        settings: tuned numbers.
    """
    up, known = np.array(gravity.up), np.isfinite(heights)
    below = np.array([stance.ground(up) for stance in stances])
    weights = np.array([stance.weight for stance in stances])
    told = [height for height, is_known, weight in zip(below, known, weights, strict=True) if is_known and weight > 0.5]
    ground = float(np.median(told)) if told else gravity.ground
    if ground is None or (weights > 0.5).sum() < 2:
        return bodies
    feet = np.stack([stance.soles.mean(0) for stance in stances])
    away = np.linalg.norm(feet - (feet @ up)[:, None] * up, axis=1)
    uncertain = np.hypot(settings.ground_error, gravity.error * np.abs(away - np.median(away[weights > 0.5]))) / ground
    size = np.where(children, *settings.size_error[::-1])
    change = np.log(ground / np.maximum(below, 1e-3))
    believed = np.clip(3 - np.abs(change) / np.hypot(size, uncertain), 0, 1)
    share = (
        believed
        * size**2
        / (size**2 + uncertain**2)
        * np.where(known | (below < _NEAREST), 0.0, np.clip(weights / settings.stands, 0, 1))
    )
    return resized(bodies, np.exp(share * change), model)


def _turned(
    joints: Floats, turned: Floats, stance: Stance, up: Floats, error: float, settings: UprightSettings
) -> NDArray[np.float64]:
    """The rotations (24, 3, 3) of one person's joints, camera frame; ``error``: of ``up``, degrees."""

    def lean(top: Floats, bottom: Floats) -> float:
        return float(np.degrees(leans(unit(top - bottom), up[None], stance.left)[0][0]))

    legs = lean(joints[HIP_JOINTS].mean(0), joints[ANKLE_JOINTS].mean(0))
    low = lean(joints[Joint.SPINE2], joints[Joint.PELVIS])
    high = lean(joints[Joint.NECK], joints[Joint.SPINE2])
    ahead = unit(np.cross(stance.left, up))
    begin, end = settings.side
    hidden = float(np.clip((abs(ahead[2]) - begin) / (end - begin), 0, 1))
    weight = stance.upright * hidden * max(0.0, 1 - (max(map(abs, (legs, low, high))) / settings.most) ** 2)
    known = settings.legs_differ**2 + error**2
    gain = known / (known + settings.legs_error**2)
    new_legs = settings.legs + gain * (legs - settings.legs)
    new_low = new_legs + settings.trunk[0] + settings.trunk[1] * (low - legs - settings.trunk[0])
    new_high = new_low + settings.back[0] + settings.back[1] * (high - low - settings.back[0])
    result = np.array(turned, float)
    for part, change in ((_LEGS, new_legs - legs), (_LOW, new_low - low), (_HIGH, new_high - high)):
        # A turn about the person's left takes what is upright forward.
        result[part] = rotations.exp(stance.left * np.radians(weight * change)) @ result[part]
    for ankle, foot in zip(ANKLE_JOINTS, (Joint.LEFT_FOOT, Joint.RIGHT_FOOT), strict=True):
        result[[ankle, foot]] = _flatter(result[ankle, :, 1], up, stance, settings) @ result[[ankle, foot]]
    return result


def _flatter(normal: Floats, up: Floats, stance: Stance, settings: UprightSettings) -> Floats:
    """The turn (3, 3) that lays a sole with this normal (3,) half way onto the ground, if it is not raised."""
    turn = rotations.log(rotations.between(normal, up))
    angle = float(np.degrees(np.linalg.norm(turn)))
    share = 0.5 * stance.weight * max(0.0, 1 - (angle / settings.sole) ** 2)
    return rotations.exp(share * turn)
