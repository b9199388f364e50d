"""Which part of a body is an arm or a leg."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvatar.body.data import BodyData
from uvatar.data.joints import (
    ANKLE_JOINTS,
    ELBOW_JOINTS,
    FOOT_JOINTS,
    HAND_JOINTS,
    HIP_JOINTS,
    KNEE_JOINTS,
    SHOULDER_JOINTS,
    WRIST_JOINTS,
)

ARM_JOINTS = [*SHOULDER_JOINTS, *ELBOW_JOINTS, *WRIST_JOINTS, *HAND_JOINTS]
# Left and right: thigh, shin and foot.
LEG_JOINTS = [list(side) for side in zip(HIP_JOINTS, KNEE_JOINTS, ANKLE_JOINTS, FOOT_JOINTS, strict=True)]


def limbs(data: BodyData) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """(V,) vertices of the arms, of the left leg and of the right leg."""
    joint = data.weights.argmax(1)
    return np.isin(joint, ARM_JOINTS), np.isin(joint, LEG_JOINTS[0]), np.isin(joint, LEG_JOINTS[1])
