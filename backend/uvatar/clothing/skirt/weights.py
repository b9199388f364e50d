"""Weights with which a skirt follows pelvis, thighs and shins, so that legs stay inside as they move.

Cloth above the legs follows the body below it. Further down each leg moves its own side of the cloth, as if it were a
wide trouser leg, with a wide transition between the two: cloth follows thighs before them, hangs from the seat behind
them, and below the knees goes with the shins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.body.data import BodyData
from uvatar.clothing.limbs import ARM_JOINTS, limbs
from uvatar.clothing.plane import BodyPlane
from uvatar.clothing.shells import strongest
from uvatar.data.arrays import Floats
from uvatar.data.fit import BodyParameters
from uvatar.data.joints import ANKLE_JOINTS, HIP_JOINTS, KNEE_JOINTS, Joint
from uvatar.geometry.rotations import exp
from uvatar.photos.colour import smoothstep


@dataclass(frozen=True)
class WeightSettings:
    """Tuned numbers of the weights; lengths in metres on a person of 1.7 m.

    Tuned on five people in photos and four rendered ones, as shares of the legs' surface inside that come more than
    1 cm through the cloth in a walk and in squats.

    Attributes:
        sides: how far from the middle one leg alone moves the cloth, of the legs' distance from each other at that
            height. Wider, a calf comes through behind as the foot is lifted: of the legs under a child's long dress
            6.1 % in a walk with 2.4 of the hips' distance, 3.7 with this. Narrower, cloth stretches between the legs:
            in a walk, 1 % of its edges by 3.2 times with 1.2, 2.7 with 1.6, 2.4 with 2.
        least_apart: the legs count as this far apart at least, of their distance at the hips.
        leg_from: heights around the hips over which cloth behind the thighs begins to follow them.
        front_from: the same before the thighs, on which cloth lies as they are raised. With the same heights as behind,
            4 to 7 % of the legs of four people came through at a half squat.
        front: distance before the pelvis from which cloth is before the thighs, and from which on wholly.
        knee_from: heights around the knees over which the shins take over, as they do in the body itself. With .7 of
            the shins' full weight, 2.6 % of the legs under a long skirt came through in a walk, now none.
        waist: height below the top over which the body's own weights pass into the skirt's.
        influences: joints of a vertex, as many as game engines skin it with.
        neighbours, spread: of the body's vertices whose weights count, and the distance over which.
    """

    sides: float = 1.6
    least_apart: float = 0.6
    leg_from: tuple[float, float] = (-0.1, 0.3)
    front_from: tuple[float, float] = (-0.12, 0.08)
    front: tuple[float, float] = (-0.03, 0.05)
    knee_from: tuple[float, float] = (-0.08, 0.13)
    waist: float = 0.16
    influences: int = 4
    neighbours: int = 24
    spread: float = 0.05


DEFAULT_SETTINGS = WeightSettings()


def skirt_weights(
    posed: Floats,
    top: float,
    plane: BodyPlane,
    data: BodyData,
    parameters: BodyParameters,
    vertices: Floats,
    joints: Floats,
    settings: WeightSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float32]:
    """(N, 24) weights of a skirt's points.

    Args:
        posed: (N, 3) the points in the photo's pose, camera frame.
        top: of the skirt, in the plane.
        plane: of the legs.
        data: the body's.
        parameters: of the body.
        vertices: (V, 3) the posed body.
        joints: (24, 3) the posed joints.
        settings: tuned numbers.
    """
    size = plane.size
    turned = exp(np.asarray(parameters.global_orient, np.float64).reshape(1, 3))[0]
    around, joints_around = ((points - joints[Joint.PELVIS]) @ turned for points in (posed, joints))
    down, joints_down = (plane.coordinates(points)[:, 2] for points in (posed, joints))
    hips, knees = joints_down[HIP_JOINTS].mean(), joints_down[KNEE_JOINTS].mean()
    before = smoothstep(around[:, 2] / size, *settings.front)
    on_thighs, hanging = (
        smoothstep((down - hips) / size, *heights) for heights in (settings.front_from, settings.leg_from)
    )
    leg = before * on_thighs + (1 - before) * hanging
    knee = smoothstep((down - knees) / size, *settings.knee_from)
    left = _left_share(around[:, 0], down, joints_around[:, 0], joints_down, settings)
    weights = np.zeros((len(posed), 24))
    weights[:, Joint.PELVIS] = 1 - leg
    for share, part in ((left, 0), (1 - left, 1)):
        weights[:, HIP_JOINTS[part]] = leg * (1 - knee) * share
        weights[:, KNEE_JOINTS[part]] = leg * knee * share
    own = smoothstep((down - top) / size, 0, settings.waist)
    high = np.flatnonzero(own < 1)
    body = _weights_around(posed[high], vertices, data, size, settings)
    weights[high] = own[high, None] * weights[high] + (1 - own[high, None]) * body
    return strongest(weights, settings.influences)


def _left_share(
    across: Floats, down: Floats, joints_across: Floats, joints_down: Floats, settings: WeightSettings
) -> Floats:
    """(N,) the left leg's share in what both legs do, of points that lie so far to the pelvis' left and so far down.

    The side of the legs' middle decides, not the nearest leg, which would tie a walking skirt to the leg in front.
    ``across``, ``down`` (N,) and (24,), metres.
    """
    chains = [[pair[part] for pair in (HIP_JOINTS, KNEE_JOINTS, ANKLE_JOINTS)] for part in (0, 1)]
    # A foot that is lifted behind may be higher than its knee.
    left, right = (np.interp(down, np.maximum.accumulate(joints_down[chain]), joints_across[chain]) for chain in chains)
    least = settings.least_apart * np.ptp(joints_across[HIP_JOINTS])
    apart = np.maximum(left - right, least)
    share: Floats = smoothstep((across - (left + right) / 2) / (settings.sides * apart / 2) + 0.5, 0, 1)
    return share


def _weights_around(points: Floats, vertices: Floats, data: BodyData, size: float, settings: WeightSettings) -> Floats:
    """(N, 24) mean weights of the body's vertices (V, 3) around points (N, 3), without the arms'."""
    trunk = np.flatnonzero(~limbs(data)[0])  # a hand beside the hip does not move the waist
    distance, nearest = cKDTree(vertices[trunk]).query(points, settings.neighbours)
    near = np.exp(-0.5 * (distance / (settings.spread * size)) ** 2) + 1e-9
    weights = data.weights[trunk]
    weights[:, ARM_JOINTS] = 0
    body = np.einsum("nk,nkj->nj", near, weights[nearest])
    mean: Floats = body / np.maximum(body.sum(1, keepdims=True), 1e-9)
    return mean
