"""The hand model's known errors, undone: it opens fists by a third, and shares a curl out wrongly among a finger's joints.

The tables are least squares fits of the true angles of rendered hands to the solved ones, by
``tools/hand_correction.py``. They halve what the joints of one finger deviate from each other, and close what is hidden
behind the hand.
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
    [0.66, 0.04, 0.25, 0.28, 0.67],
    [-0.02, 0.60, 0.04, -0.04, -0.97],
    [0.52, 0.10, 0.53, 0.16, 7.00],
    [0.31, 0.00, 0.02, 0.53, 3.99],
])  # fmt: skip
# The five angles of the thumb: shares of the same five as solved, of the mean flexion of the other fingers' joints,
# then degrees.
OF_THUMB = np.array([
    [0.49, -0.04, 0.04, 0.05, 0.08, 0.22, 0.96],
    [0.00, 0.59, 0.03, 0.08, 0.00, 0.11, 14.58],
    [0.16, 0.10, 0.31, 0.04, 0.12, 0.38, -2.19],
    [0.11, -0.06, -0.04, 0.34, 0.09, 0.30, -0.04],
    [0.22, -0.11, -0.06, 0.12, 0.35, 0.62, 0.73],
])  # fmt: skip


def corrected(angles: Floats, skeleton: HandSkeleton) -> NDArray[np.float64]:
    """Solved angles (B, 5, 5), radians, as the true ones are likely to be; within the joints' limits."""
    result = angles.copy()
    fingers = angles[:, :THUMB]
    result[:, :THUMB, FINGER_JOINTS] = fingers[..., FINGER_JOINTS] @ FINGER[:, :-1].T + np.radians(FINGER[:, -1])
    curl = fingers[..., FLEXIONS].mean((1, 2))
    thumb = np.concatenate([angles[:, THUMB], curl[:, None]], 1)
    result[:, THUMB] = thumb @ OF_THUMB[:, :-1].T + np.radians(OF_THUMB[:, -1])
    return np.clip(result, skeleton.low, skeleton.high)
