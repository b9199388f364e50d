"""The hand model's known errors, undone: it opens fists, and shares curls out wrongly among a finger's joints.

The tables are least squares fits of the true angles of 1,200 rendered hands to the solved ones, by
``tools/hand_correction.py``; on hands that they were not fitted to, they lower the mean error of a joint from 17 to 13
degrees. They halve what the joints of one finger deviate from each other, and close what is hidden behind the hand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.fitting.hand_skeleton import HandSkeleton
from uvatar.protocol.rig import ABDUCTION, FLEXION_1, FLEXION_2, FLEXION_3, THUMB

FLEXIONS = [FLEXION_1, FLEXION_2, FLEXION_3]
# True flexion of the first joint, abduction, and flexion of the second and third of any finger but the thumb: shares of
# the same four as solved, then degrees.
FINGER_JOINTS = [FLEXION_1, ABDUCTION, FLEXION_2, FLEXION_3]
FINGER = np.array([
    [0.64, 0.07, 0.25, 0.28, 0.54],
    [-0.02, 0.54, 0.04, -0.05, -0.97],
    [0.53, 0.10, 0.49, 0.18, 6.84],
    [0.32, 0.01, 0.06, 0.47, 3.84],
])  # fmt: skip
# The five angles of the thumb: shares of the same five as solved, of the mean flexion of the other fingers' joints,
# then degrees.
OF_THUMB = np.array([
    [0.45, -0.04, 0.04, 0.05, 0.06, 0.25, 0.99],
    [-0.01, 0.55, 0.07, 0.09, -0.01, 0.10, 15.08],
    [0.13, 0.11, 0.31, 0.06, 0.09, 0.40, -2.20],
    [0.10, -0.05, -0.02, 0.30, 0.08, 0.32, -0.04],
    [0.21, -0.11, -0.02, 0.11, 0.30, 0.65, 0.43],
])  # fmt: skip


def corrected(
    angles: Floats, skeleton: HandSkeleton, finger: Floats = FINGER, of_thumb: Floats = OF_THUMB
) -> NDArray[np.float64]:
    """Solved angles (B, 5, 5), radians, as the true ones are likely to be; within the joints' limits.

    ``finger`` (4, 5) and ``of_thumb`` (5, 7) are tables as above.
    """
    result = angles.copy()
    fingers = angles[:, :THUMB]
    result[:, :THUMB, FINGER_JOINTS] = fingers[..., FINGER_JOINTS] @ finger[:, :-1].T + np.radians(finger[:, -1])
    curl = fingers[..., FLEXIONS].mean((1, 2))
    thumb = np.concatenate([angles[:, THUMB], curl[:, None]], 1)
    result[:, THUMB] = thumb @ of_thumb[:, :-1].T + np.radians(of_thumb[:, -1])
    return np.clip(result, skeleton.low, skeleton.high)
