"""What a posed body says about the vertical, and whether it stands.

Whoever keeps still has the centre of mass above what they rest on, be it feet, knees or hands; soles lie flat on the
ground, both at one height; the trunk leans to the sides less than forward, and heads are held upright.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.joints import ANKLE_JOINTS, HIP_JOINTS, KNEE_JOINTS, WRIST_JOINTS, Joint
from uvatar.geometry.mesh import unit

# Shares of a person's mass and where along the segment its centre lies (de Leva 1996, "Adjustments to
# Zatsiorsky-Seluyanov's segment inertia parameters", means of women and men): trunk and head, then the limbs.
_TRUNK_MASSES = ((Joint.PELVIS, Joint.NECK, 0.55, 0.43), (Joint.NECK, Joint.HEAD, 1.1, 0.068))
_LIMB_MASSES = (
    ("shoulder", "elbow", 0.57, 0.0263), ("elbow", "wrist", 0.46, 0.015), ("wrist", "wrist", 0.0, 0.006),
    ("hip", "knee", 0.39, 0.1447), ("knee", "ankle", 0.44, 0.0457), ("ankle", "foot", 0.5, 0.0133),
)  # fmt: skip
# Joints that people rest on besides their soles. What may touch the ground is 12 points under the soles, then these;
# each is so many metres above the skin.
RESTING = (*KNEE_JOINTS, *WRIST_JOINTS, Joint.PELVIS)
ABOVE_SKIN = np.array([0.0] * 12 + [0.05, 0.05, 0.04, 0.04, 0.1])


@cache
def mass_shares() -> NDArray[np.float64]:
    """(24,) the weights with which joints sum to the centre of mass."""
    segments = [*_TRUNK_MASSES]
    for side in ("LEFT", "RIGHT"):
        for start, end, along, mass in _LIMB_MASSES:
            segments.append((Joint[f"{side}_{start.upper()}"], Joint[f"{side}_{end.upper()}"], along, mass))
    shares = np.zeros(len(Joint))
    for first, last, along, mass in segments:
        shares[first] += mass * (1 - along)
        shares[last] += mass * along
    normalised: NDArray[np.float64] = shares / shares.sum()
    return normalised


@dataclass(frozen=True)
class Cue:
    """A direction of the body that is upright, as it was found on fitted bodies whose gravity is known, degrees.

    Attributes:
        forward: how far it leans forward, in the mean.
        forward_error, side_error: its standard deviations.
        width: standard deviations from which the cue counts no more.
    """

    forward: float
    forward_error: float
    side_error: float
    width: float = 2.5

    def cost(self, forward: Floats, side: Floats, slack: tuple[Floats, Floats] | None = None) -> NDArray[np.float64]:
        """Nats that leans (G,) forward and to the side cost, degrees; ``slack``: further deviations, likewise."""
        ahead, aside = slack or (np.zeros(1), np.zeros(1))
        squared: Floats = (forward - self.forward) ** 2 / (self.forward_error**2 + ahead**2)
        squared = squared + side**2 / (self.side_error**2 + aside**2)
        return robust(squared, self.width)


@dataclass(frozen=True)
class StanceSettings:
    """Tuned numbers. Cues: chosen by hand on people of `uvatar evaluate synthetic --split tuning`, whose fits lean by 4
    degrees too much or too little; numbers that were fitted to half of these people were worse for the other half.

    Attributes:
        axis: from between the ankles to the neck, of those whose trunk and legs are in line.
        balance: from the middle of what bears weight to the centre of mass.
        sole: normal of a sole that bears weight.
        outward: degrees by which fits turn soles outward.
        trunk, head: the trunk, and the head's own upright.
        lowest: metres above the lowest point at which a point bears 1/e of what that bears.
        resting: how much more than a point of a sole a knee, a hand or the seat counts.
        level: metres by which the soles differ in height, and standard deviations from which one foot is raised.
        straight: cosine between trunk and legs: (nobody stands below, certainly above).
        in_line: the same for the axis to count.
        knees: degrees by which both knees are bent: (certainly stands below, nobody above).
        upside: cosine between the picture's upright and trunk or legs, whichever is more upright: (nothing is made of
            the person below, certainly something above).
    """

    axis: Cue = Cue(1.0, 4.0, 3.0)
    balance: Cue = Cue(2.0, 4.0, 3.0)
    sole: Cue = Cue(-2.0, 4.0, 6.0)
    outward: float = 2.5
    trunk: Cue = Cue(3.0, 25.0, 2.5, width=2.0)
    head: Cue = Cue(2.0, 10.0, 8.0, width=1.5)
    lowest: float = 0.04
    resting: float = 3.0
    level: tuple[float, float] = (0.03, 1.5)
    straight: tuple[float, float] = (0.75, 0.9)
    in_line: tuple[float, float] = (0.6, 0.9)
    knees: tuple[float, float] = (45.0, 75.0)
    upside: tuple[float, float] = (0.3, 0.6)


DEFAULT_SETTINGS = StanceSettings()


@dataclass(frozen=True)
class Stance:
    """What one person says about the vertical.

    Attributes:
        left: (3,) unit vector to the person's left, camera frame.
        joints: (24, 3) metres, camera frame.
        normals: (2, 3) unit normals of the soles, left and right.
        crown: (3,) unit vector up the head.
        soles: (12, 3) points under the feet, metres, camera frame.
        weight: 0..1, how sure it is that the person stands still on both feet.
        upright: 0..1, how sure it is that the person stands or walks.
        legs_seen: 0..1, whether the photo shows a leg.
        settings: tuned numbers.
    """

    left: NDArray[np.float64]
    joints: NDArray[np.float64]
    normals: NDArray[np.float64]
    crown: NDArray[np.float64]
    soles: NDArray[np.float64]
    weight: float
    upright: float
    legs_seen: float = 1.0
    settings: StanceSettings = DEFAULT_SETTINGS

    @property
    def touching(self) -> NDArray[np.float64]:
        """(17, 3) what may touch the ground, metres, camera frame: points of the soles, then the joints `RESTING`."""
        return np.concatenate([self.soles, self.joints[list(RESTING)]])

    @property
    def tells(self) -> float:
        """0..1, whether the person says anything of the vertical: not who lies, or is upside down in the picture."""
        axes = np.stack([_trunk(self.joints), _legs(self.joints)])
        return _ramp(-float(axes[:, 1].min()), self.settings.upside)

    def ground(self, up: Floats) -> float:
        """Metres from the camera straight down to the lowest point under the feet, if ``up`` (3,) is up."""
        return -float((self.soles @ up).min())

    def cost(self, ups: Floats) -> NDArray[np.float64]:
        """(G,) nats that each of ``ups`` (G, 3) costs if it is up; it levels off where the person would lean far."""
        weight = self.tells
        if weight == 0:
            return np.zeros(len(ups))
        settings = self.settings
        frame = _Frame.of(self.left, ups)
        total = settings.trunk.cost(*frame.leans(_trunk(self.joints)))
        total += settings.head.cost(*frame.leans(self.crown))
        if self.legs_seen > 0:
            in_line = _ramp(float(_trunk(self.joints) @ _legs(self.joints)), settings.in_line)
            axis = settings.axis.cost(*frame.leans(unit(self.joints[Joint.NECK] - self.joints[ANKLE_JOINTS].mean(0))))
            total += self.legs_seen * (in_line * axis + self._resting_cost(frame))
        weighted: NDArray[np.float64] = weight * total
        return weighted

    def _resting_cost(self, frame: _Frame) -> NDArray[np.float64]:
        """(G,) nats of the mass that is not above what bears it, and of soles that do not lie on the ground."""
        settings = self.settings
        points = self.touching
        heights = points @ frame.ups.T - ABOVE_SKIN[:, None]
        above = heights - heights.min(0)
        bears = np.exp(-above / settings.lowest)
        bears[len(self.soles) :] *= settings.resting
        total = self._balance_cost(frame, points, bears / bears.sum(0))
        lowest = above[: len(self.soles)].reshape(2, -1, len(frame.ups)).min(1)
        for normal, height, outward in zip(self.normals, lowest, (-1, 1), strict=True):
            forward, side = frame.leans(normal)
            share = 0.5 * np.exp(-height / (2 * settings.lowest))
            total += share * settings.sole.cost(forward, side - outward * settings.outward)
        error, width = settings.level
        level: NDArray[np.float64] = total + robust(((lowest[0] - lowest[1]) / error) ** 2, width)
        return level

    def _balance_cost(self, frame: _Frame, points: Floats, bears: Floats) -> NDArray[np.float64]:
        """(G,) nats of the mass beside what bears it: points (P, 3) with shares (P, G), one where it is spread out."""
        middle = bears.T @ points
        offset = mass_shares() @ self.joints - middle
        height = np.maximum((offset * frame.ups).sum(1), 0.25)
        slack = []
        for axis in (frame.ahead, frame.aside):
            along = points @ axis.T - (middle * axis).sum(1)
            slack.append(np.degrees(np.sqrt((bears * along**2).sum(0)) / height))
        return self.settings.balance.cost(*frame.leans(offset), (slack[0], slack[1]))


@dataclass(frozen=True)
class _Frame:
    """Forward and to the left of one person, all (G, 3), if each of ``ups`` is up."""

    ups: NDArray[np.float64]
    ahead: NDArray[np.float64]
    aside: NDArray[np.float64]

    @classmethod
    def of(cls, left: Floats, ups: Floats) -> _Frame:
        ahead = np.cross(left, ups)
        ahead /= np.maximum(np.linalg.norm(ahead, axis=-1, keepdims=True), 1e-9)
        return cls(ups, ahead, np.cross(ups, ahead))

    def leans(self, direction: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How far a direction (3,), or one for each up (G, 3), leans forward and to the left, degrees."""
        above, ahead, aside = (
            axes @ direction if direction.ndim == 1 else (axes * direction).sum(-1)
            for axes in (self.ups, self.ahead, self.aside)
        )
        return np.degrees(np.arctan2(ahead, above)), np.degrees(np.arctan2(aside, above))


def leans(direction: Floats, ups: Floats, left: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far a direction (3,) leans forward and to the person's left, radians, if each of ``ups`` (G, 3) is up.

    ``left`` (3,): the person's left.
    """
    forward, side = _Frame.of(left, ups).leans(direction)
    return np.radians(forward), np.radians(side)


def robust(squared: Floats, width: float) -> NDArray[np.float64]:
    """Half of squared deviations, in standard deviations, that level off at ``width`` (Geman-McClure)."""
    cost: NDArray[np.float64] = 0.5 * squared * width**2 / (width**2 + squared)
    return cost


def stance(
    joints: Floats,
    turned: Floats,
    soles: Floats,
    seen: float = 1.0,
    unseen_legs: Sequence[float] | Floats = (0.0, 0.0),
    settings: StanceSettings = DEFAULT_SETTINGS,
) -> Stance:
    """What a posed body says about the vertical.

    Args:
        joints: (24, 3) metres, camera frame.
        turned: (24, 3, 3) rotation of each joint from the rest pose, camera frame.
        soles: (12, 3) points under the feet, metres, camera frame.
        seen: 0..1, whether the photo shows that the person stands.
        unseen_legs: (2,) 1 where it shows nothing of the left or the right leg.
        settings: tuned numbers.
    """
    stands = (1 - float(np.max(unseen_legs))) * _stands(joints, settings)
    left = unit(joints[HIP_JOINTS[0]] - joints[HIP_JOINTS[1]])
    normals, crown = turned[ANKLE_JOINTS][..., 1], turned[Joint.HEAD][:, 1]
    legs_seen = 1 - float(np.min(unseen_legs))
    return Stance(left, joints, normals, crown, soles, seen * stands, stands, legs_seen, settings)


def _trunk(joints: Floats) -> NDArray[np.float64]:
    """(3,) unit vector up the trunk of a body with these joints (24, 3)."""
    return unit(joints[Joint.NECK] - joints[Joint.PELVIS])


def _legs(joints: Floats) -> NDArray[np.float64]:
    """(3,) unit vector from between the ankles to between the hips."""
    return unit(joints[HIP_JOINTS].mean(0) - joints[ANKLE_JOINTS].mean(0))


def _ramp(value: float, between: tuple[float, float]) -> float:
    """0 below, 1 above two values, and linear between."""
    return float(np.clip((value - between[0]) / (between[1] - between[0]), 0, 1))


def _stands(joints: Floats, settings: StanceSettings) -> float:
    """0..1, whether trunk and legs of a body with these joints (24, 3) are in line and the knees straight."""
    bends = []
    for hip, knee, ankle in zip(HIP_JOINTS, KNEE_JOINTS, ANKLE_JOINTS, strict=True):
        thigh, shin = unit(joints[knee] - joints[hip]), unit(joints[ankle] - joints[knee])
        bends.append(np.degrees(np.arccos(np.clip(thigh @ shin, -1, 1))))
    straight = 1 - _ramp(min(bends), settings.knees)
    return _ramp(float(_trunk(joints) @ _legs(joints)), settings.straight) * straight
