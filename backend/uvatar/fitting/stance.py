"""How a person stands: the directions of a posed body that are upright in the world while it stands still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.joints import ANKLE_JOINTS, HIP_JOINTS, KNEE_JOINTS, Joint
from uvatar.geometry.mesh import unit


@dataclass(frozen=True)
class Cue:
    """A direction of the body that is upright, as it was found on fitted bodies whose gravity is known, degrees.

    Attributes:
        forward: how far it leans forward, in the mean.
        forward_error, side_error: its standard deviations.
    """

    forward: float
    forward_error: float
    side_error: float


@dataclass(frozen=True)
class StanceSettings:
    """Tuned numbers. Cues: over people of `uvatar evaluate synthetic --split tuning` that stand.

    Attributes:
        axis: from between the ankles to the neck.
        soles: mean normal of the soles.
        straight: cosine between trunk and legs: (nobody stands below, certainly above).
        knees: degrees by which both knees are bent: (certainly stands below, nobody above).
    """

    axis: Cue = Cue(2.5, 6.0, 5.0)
    soles: Cue = Cue(-5.0, 6.5, 8.0)
    straight: tuple[float, float] = (0.75, 0.9)
    knees: tuple[float, float] = (45.0, 75.0)


DEFAULT_SETTINGS = StanceSettings()


@dataclass(frozen=True)
class Stance:
    """What one person says about the vertical.

    Attributes:
        left: (3,) unit vector to the person's left, camera frame.
        directions: (C, 3) unit vectors that are upright.
        cues: how reliable each of them is.
        soles: (12, 3) points under the feet, metres, camera frame.
        weight: 0..1, how sure it is that the person stands still on both feet.
        upright: 0..1, how sure it is that the person stands or walks.
    """

    left: NDArray[np.float64]
    directions: NDArray[np.float64]
    cues: Sequence[Cue]
    soles: NDArray[np.float64]
    weight: float
    upright: float

    def ground(self, up: Floats) -> float:
        """Metres from the camera straight down to the lowest point under the feet, if ``up`` (3,) is up."""
        return -float((self.soles @ up).min())

    def cost(self, ups: Floats, width: float) -> NDArray[np.float64]:
        """(G,) nats that each of ``ups`` (G, 3) costs if it is up; levels off at ``width`` standard deviations."""
        total = np.zeros(len(ups))
        for direction, cue in zip(self.directions, self.cues, strict=True):
            forward, side = leans(direction, ups, self.left)
            squared = (np.degrees(forward) - cue.forward) ** 2 / cue.forward_error**2
            squared += np.degrees(side) ** 2 / cue.side_error**2
            total += 0.5 * squared * width**2 / (width**2 + squared)
        weighted: NDArray[np.float64] = self.weight * total
        return weighted


def leans(direction: Floats, ups: Floats, left: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far a direction (3,) leans forward and to the person's left, radians, if each of ``ups`` (G, 3) is up.

    ``left`` (3,): the person's left.
    """
    ahead = np.cross(left, ups)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=-1, keepdims=True), 1e-9)
    aside = np.cross(ups, ahead)
    return np.arctan2(ahead @ direction, ups @ direction), np.arctan2(aside @ direction, ups @ direction)


def stance(
    joints: Floats,
    turned: Floats,
    soles: Floats,
    seen: float = 1.0,
    legs_seen: float = 1.0,
    settings: StanceSettings = DEFAULT_SETTINGS,
) -> Stance:
    """What a posed body says about the vertical.

    Args:
        joints: (24, 3) metres, camera frame.
        turned: (24, 3, 3) rotation of each joint from the rest pose, camera frame.
        soles: (12, 3) points under the feet, metres, camera frame.
        seen: 0..1, whether the photo shows that the person stands.
        legs_seen: 0..1, whether it shows the legs.
        settings: tuned numbers.
    """
    feet, neck = joints[ANKLE_JOINTS].mean(0), joints[Joint.NECK]
    axis = unit(neck - feet)
    facing = unit(turned[ANKLE_JOINTS][..., 1].sum(0))
    left = unit(joints[HIP_JOINTS[0]] - joints[HIP_JOINTS[1]])
    directions = np.stack([axis, facing])
    stands = _stands(joints, settings)
    weight, upright = seen * legs_seen * stands, legs_seen * stands
    return Stance(left, directions, (settings.axis, settings.soles), soles, weight, upright)


def _stands(joints: Floats, settings: StanceSettings) -> float:
    """0..1, whether trunk and legs of a body with these joints (24, 3) are in line and the knees straight."""
    legs = unit(joints[HIP_JOINTS].mean(0) - joints[ANKLE_JOINTS].mean(0))
    trunk = unit(joints[Joint.NECK] - joints[Joint.PELVIS])
    low, high = settings.straight
    in_line = np.clip((trunk @ legs - low) / (high - low), 0, 1)
    bends = []
    for hip, knee, ankle in zip(HIP_JOINTS, KNEE_JOINTS, ANKLE_JOINTS, strict=True):
        thigh, shin = unit(joints[knee] - joints[hip]), unit(joints[ankle] - joints[knee])
        bends.append(np.degrees(np.arccos(np.clip(thigh @ shin, -1, 1))))
    certain, impossible = settings.knees
    straight = np.clip((impossible - min(bends)) / (impossible - certain), 0, 1)
    return float(in_line * straight)
