# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion for SMPL's skeleton, whatever file it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..protocol.rig import BODY_JOINTS, LEFT_HAND
from .arrays import Floats
from .rest_pose import chained, swung_joints
from .rotations import matrices_from, quaternions_from, slerp

LONGEST = 200_000  # frames: half an hour at 120 frames a second
_SOLES, _TOES = (7, 8, 10, 11), (10, 11)
# Metres from joint to skin at the parts on which a body may rest: pelvis, knees, head, elbows, wrists, knuckles.
_CLEARANCE = {0: 0.11, 4: 0.06, 5: 0.06, 15: 0.1, 18: 0.05, 19: 0.05, 20: 0.03, 21: 0.03, 22: 0.02, 23: 0.02}

_STILL = 1e-4  # metres: no living person stays within a tenth of a millimetre


class MotionError(ValueError):
    """A motion file cannot be used; the message is one sentence for the user."""


@dataclass(frozen=True)
class Motion:
    """Poses of SMPL's skeleton over time, in the armature's axes (x to the person's left, y backward, z up).

    Attributes:
        rotations: (F, 24, 3, 3) of each joint, relative to its parent and to the T pose; the first takes the armature
            to the world.
        pelvis: (F, 3) translation of the pelvis from its rest position, metres.
        rate: frames per second.
        fine: (F, 33, 3, 3) rotations of jaw, eyes and fingers (the joints 22 to 54 of the 55) in the same terms, if the
            file has them.
        betas: (K,) SMPL's shape coefficients, if the file has them.
        notes: sentences about what had to be assumed.
    """

    rotations: NDArray[np.float64]
    pelvis: NDArray[np.float64]
    rate: float
    betas: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()
    fine: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.rotations)


def resampled(motion: Motion, rate: float) -> Motion:
    """Resample a motion to another frame rate: rotations by slerp, positions linearly."""
    count = max(1, int(np.floor((len(motion) - 1) * rate / motion.rate + 1e-6)) + 1)
    times = np.minimum(np.arange(count) * motion.rate / rate, len(motion) - 1)
    before = np.minimum(times.astype(int), max(len(motion) - 2, 0))
    after = np.minimum(before + 1, len(motion) - 1)
    share = times - before

    def between(rotations: Floats) -> NDArray[np.float64]:
        quaternions = quaternions_from(rotations)
        return matrices_from(slerp(quaternions[before], quaternions[after], share[:, None, None]))

    pelvis = motion.pelvis[before] + share[:, None] * (motion.pelvis[after] - motion.pelvis[before])
    fine = None if motion.fine is None else between(motion.fine)
    return replace(motion, rotations=between(motion.rotations), fine=fine, pelvis=pelvis, rate=rate)


def rotations_for(motion: Motion, joints: int, hands: Floats | None) -> NDArray[np.float64]:
    """Return the rotations (F, J, 3, 3) of a motion for a skeleton of 24 or 55 joints.

    Args:
        motion: the motion.
        joints: J.
        hands: (30, 3, 3) rotations of the fingers, armature's axes, for a motion that has none; needed for 55 joints.
    """
    if joints == motion.rotations.shape[1]:
        return motion.rotations
    fine = motion.fine
    if fine is None:
        still = np.tile(np.eye(3), (joints - BODY_JOINTS, 1, 1))
        still[LEFT_HAND.start - BODY_JOINTS :] = hands
        fine = np.broadcast_to(still, (len(motion), *still.shape))
    return np.concatenate([motion.rotations[:, :BODY_JOINTS], fine], 1)


def grounded(motion: Motion, joints: Floats, toes: Floats, parents: Sequence[int]) -> Motion:
    """Raise or lower a motion as a whole so that its lowest point touches the ground: soles, hands, knees or seat.

    If the file has no positions (the pelvis never moves), each frame is put on the ground by itself. Otherwise someone
    who stands and then lies down would lie in the air.

    Args:
        motion: the motion.
        joints: (24, 3) joints in the T pose, armature's axes, metres.
        toes: (2, 3) tips of the left and the right foot in the T pose.
        parents: (24,) parent of each joint, -1 for the root.
    """
    whole = chained(motion.rotations, parents)
    placed = swung_joints(joints, whole, parents) + motion.pelvis[:, None]
    tips = [placed[:, foot] + whole[:, foot] @ (toe - joints[foot]) for foot, toe in zip(_TOES, toes, strict=True)]
    touching = [*_CLEARANCE, *_SOLES]
    low = [
        *_CLEARANCE.values(),
        *joints[list(_SOLES), 2],
    ]  # height of each joint above the part that touches the ground
    heights = np.concatenate([placed[:, touching, 2] - low, np.stack(tips, 1)[..., 2] - toes[:, 2]], 1)
    unplaced = np.ptp(motion.pelvis, axis=0).max() < _STILL
    lowest = heights.min(1, keepdims=True) if unplaced else np.full((len(heights), 1), heights.min())
    return replace(motion, pelvis=motion.pelvis - lowest * (0, 0, 1))


def starting_here(motion: Motion) -> Motion:
    """Move a motion horizontally so that it starts above the origin."""
    return replace(motion, pelvis=motion.pelvis - motion.pelvis[0] * np.array([1, 1, 0]))
