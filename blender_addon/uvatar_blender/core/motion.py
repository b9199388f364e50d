# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion for SMPL's skeleton, whatever file it came from. Only numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats
from .rest_pose import chained, swung_joints
from .rotations import matrices_from, quaternions_from, slerp

LONGEST = 200_000  # frames: half an hour at 120 frames a second
_SOLES, _TOES = (7, 8, 10, 11), (10, 11)
# Metres of flesh around joints that a body may rest on: pelvis, knees, head, elbows, wrists, knuckles.
_CLEARANCE = {0: 0.11, 4: 0.06, 5: 0.06, 15: 0.1, 18: 0.05, 19: 0.05, 20: 0.03, 21: 0.03, 22: 0.02, 23: 0.02}

_STILL = 1e-4  # metres: nobody who breathes stays within a tenth of a millimetre


class MotionError(ValueError):
    """A motion file that cannot be used; the message is one sentence for the artist."""


@dataclass(frozen=True)
class Motion:
    """Poses of SMPL's skeleton over time, in the armature's axes (x to the person's left, y backward, z up).

    Attributes:
        rotations: (F, 24, 3, 3) of each joint against its parent and relative to the T pose; the first: armature to
            world.
        pelvis: (F, 3) metres that the pelvis is away from its rest place.
        rate: frames per second.
        betas: (K,) SMPL's shape coefficients, where the file has them.
        notes: sentences about what had to be assumed.
    """

    rotations: NDArray[np.float64]
    pelvis: NDArray[np.float64]
    rate: float
    betas: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rotations)


def resampled(motion: Motion, rate: float) -> Motion:
    """The motion at another frame rate: rotations by the shortest way, places along straight lines."""
    count = max(1, int(np.floor((len(motion) - 1) * rate / motion.rate + 1e-6)) + 1)
    times = np.minimum(np.arange(count) * motion.rate / rate, len(motion) - 1)
    before = np.minimum(times.astype(int), max(len(motion) - 2, 0))
    after = np.minimum(before + 1, len(motion) - 1)
    share = times - before
    quaternions = quaternions_from(motion.rotations)
    start, end = quaternions[before], quaternions[after]
    mixed = slerp(start, end, share[:, None, None])
    pelvis = motion.pelvis[before] + share[:, None] * (motion.pelvis[after] - motion.pelvis[before])
    return replace(motion, rotations=matrices_from(mixed), pelvis=pelvis, rate=rate)


def grounded(motion: Motion, joints: Floats, toes: Floats, parents: Sequence[int]) -> Motion:
    """The motion raised or lowered as a whole so that its lowest moment touches the ground: with soles, hands, knees or
    the seat.

    Where the file has no places (the pelvis never moves at all), each frame is put on the ground for itself: else
    somebody who stands and then lies would lie in the air.

    Args:
        joints: (24, 3) rest joints in the T, armature's axes; toes: (2, 3) tips of the left and the right foot there.
    """
    whole = chained(motion.rotations, parents)
    placed = swung_joints(joints, whole, parents) + motion.pelvis[:, None]
    tips = [placed[:, foot] + whole[:, foot] @ (toe - joints[foot]) for foot, toe in zip(_TOES, toes, strict=True)]
    touching = [*_CLEARANCE, *_SOLES]
    low = [*_CLEARANCE.values(), *joints[list(_SOLES), 2]]  # how high a joint is above what touches the ground with it
    heights = np.concatenate([placed[:, touching, 2] - low, np.stack(tips, 1)[..., 2] - toes[:, 2]], 1)
    unplaced = np.ptp(motion.pelvis, axis=0).max() < _STILL
    lowest = heights.min(1, keepdims=True) if unplaced else np.full((len(heights), 1), heights.min())
    return replace(motion, pelvis=motion.pelvis - lowest * (0, 0, 1))


def starting_here(motion: Motion) -> Motion:
    """The motion moved sideways so that it starts above the origin."""
    return replace(motion, pelvis=motion.pelvis - motion.pelvis[0] * np.array([1, 1, 0]))
