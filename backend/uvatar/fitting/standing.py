"""People of whom the photo shows no legs, put on their feet.

A portrait ends at the chest or the hips. Nothing holds what is below, and fits let it hang askew from a trunk that
leans towards the camera. Whoever uses the avatar expects somebody who stands: the legs straight down, the pelvis above
them, the spine bent evenly from there to the chest, and the chest as upright as people mostly hold it where the photo
does not tell. Shoulders, head and arms stay where the photo shows them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from uvatar.data.arrays import Floats
from uvatar.data.joints import ANKLE_JOINTS, COLLAR_JOINTS, FOOT_JOINTS, HIP_JOINTS, KNEE_JOINTS, Joint
from uvatar.fitting.chain import BodySkeleton, State
from uvatar.fitting.stance import leans
from uvatar.geometry import rotations
from uvatar.geometry.mesh import unit
from uvatar.photos.colour import smoothstep

_LEGS = [*HIP_JOINTS, *KNEE_JOINTS, *ANKLE_JOINTS, *FOOT_JOINTS]
_CHEST = [Joint.SPINE3, *COLLAR_JOINTS]
# How much of the way from the pelvis' rotation to the chest's the lower joints of the spine have: evenly.
_ALONG_SPINE = {Joint.SPINE1: 1 / 3, Joint.SPINE2: 2 / 3}


@dataclass(frozen=True)
class StandingSettings:
    """Tuned numbers; degrees. Set while looking at 12 people whose photos end between chest and thighs.

    Attributes:
        lean: forward lean of the chest, which is usual, against the vertical: that of `UprightSettings`, trunk and
            back together.
        kept: share of a deviation from it that is left where the photo does not tell, as for `UprightSettings.trunk`.
        side: cosines between the direction in which a lean shows and the line of sight, below which it is left as it
            is seen, and above which ``kept`` holds.
        lying: lean of the chest, to any side, from which somebody may not stand, and from which nobody does.
    """

    lean: float = 4.8
    kept: float = 0.45
    side: tuple[float, float] = (0.5, 0.8)
    lying: tuple[float, float] = (40.0, 60.0)


DEFAULT_SETTINGS = StandingSettings()


def stood_up(
    bodies: State,
    unseen: NDArray[np.float64],
    up: Floats,
    skeleton: BodySkeleton,
    settings: StandingSettings = DEFAULT_SETTINGS,
) -> State:
    """The bodies with those of unseen legs standing.

    Args:
        bodies: a row for each person.
        unseen: (N, 2) 1 where the photo shows nothing of the left or the right leg, 0 where it does.
        up: (3,) unit vector against gravity, camera frame.
        skeleton: of the body.
        settings: tuned numbers.
    """
    posed = skeleton.pose(bodies)
    turned = posed.rotations.copy()
    for i in np.flatnonzero(unseen.min(1) > 0):
        turned[i] = _standing(posed.joints[i], turned[i], up, settings)
    stood = skeleton.turned(bodies, turned)
    moved = posed.joints[:, Joint.NECK] - skeleton.pose(stood).joints[:, Joint.NECK]
    return replace(stood, transl=stood.transl + moved)


def _standing(joints: Floats, turned: Floats, up: Floats, settings: StandingSettings) -> NDArray[np.float64]:
    """The rotations (24, 3, 3) of one person's joints, camera frame."""
    result = np.array(turned, float)
    trunk = unit(joints[Joint.NECK] - joints[Joint.SPINE2])
    angle = float(np.degrees(np.arccos(np.clip(trunk @ up, -1, 1))))
    share = 1 - float(smoothstep(np.array(angle), *settings.lying))
    if share == 0:
        return result
    left = _level(turned[Joint.SPINE3, :, 0], up)
    lean = float(np.degrees(leans(trunk, up[None], left)[0][0]))
    hidden = float(smoothstep(np.array(abs(np.cross(left, up)[2])), *settings.side))
    change = share * hidden * (1 - settings.kept) * (settings.lean - lean)
    # A turn about the person's left takes what is upright forward.
    result[_CHEST] = rotations.exp(left * np.radians(change)) @ result[_CHEST]
    left = _level(turned[Joint.PELVIS, :, 0], up)
    upright = np.stack([left, up, np.cross(left, up)], 1)
    result[[Joint.PELVIS, *_LEGS]] = _partly(turned[[Joint.PELVIS, *_LEGS]], upright, share)
    ends = Rotation.from_matrix(np.stack([result[Joint.PELVIS], result[Joint.SPINE3]]))
    along = Slerp([0, 1], ends)(list(_ALONG_SPINE.values())).as_matrix()
    result[list(_ALONG_SPINE)] = _partly(turned[list(_ALONG_SPINE)], along, share)
    return result


def _level(direction: Floats, up: Floats) -> Floats:
    """The level unit vector (3,) nearest to a direction (3,)."""
    return unit(direction - (direction @ up) * up)


def _partly(before: Floats, after: Floats, share: float) -> NDArray[np.float64]:
    """Rotations (J, 3, 3) on the way from ``before`` (J, 3, 3) to ``after`` (3, 3) or (J, 3, 3)."""
    way = rotations.log(np.swapaxes(before, -1, -2) @ after)
    return np.asarray(before @ rotations.exp(share * way), np.float64)
