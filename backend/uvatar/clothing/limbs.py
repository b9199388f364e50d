"""Which part of a body is an arm or a leg."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvatar.body.data import BodyData
from uvatar.data.camera import Camera
from uvatar.data.joints import (
    ANKLE_JOINTS,
    ELBOW_JOINTS,
    FOOT_JOINTS,
    HAND_JOINTS,
    HIP_JOINTS,
    KNEE_JOINTS,
    SHOULDER_JOINTS,
    WRIST_JOINTS,
    Joint,
)
from uvatar.data.landmarks import ELBOWS, KNEES, WRISTS
from uvatar.data.person import Person
from uvatar.fitting.observations import SEEN, inside_photo, unseen_legs

ARM_JOINTS = [*SHOULDER_JOINTS, *ELBOW_JOINTS, *WRIST_JOINTS, *HAND_JOINTS]
TRUNK_JOINTS = [Joint.PELVIS, Joint.SPINE1, Joint.SPINE2, Joint.SPINE3, *HIP_JOINTS]
# Left and right: thigh, shin and foot.
LEG_JOINTS = [list(side) for side in zip(HIP_JOINTS, KNEE_JOINTS, ANKLE_JOINTS, FOOT_JOINTS, strict=True)]


def limbs(data: BodyData) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """(V,) vertices of the arms, of the left leg and of the right leg."""
    joint = data.weights.argmax(1)
    return np.isin(joint, ARM_JOINTS), np.isin(joint, LEG_JOINTS[0]), np.isin(joint, LEG_JOINTS[1])


def beside_hidden_limbs(person: Person, camera: Camera, data: BodyData) -> NDArray[np.float32]:
    """(V,) 1 on limbs that the photo does not show where it shows the person, and on the trunk beside them, else 0.

    These are arms of which neither elbow nor wrist is seen; and both legs if neither knees nor ankles are, though the
    knees should be inside the photo. Somewhere in the mask there may be such a limb, but not where the body has it, so
    that an outline far off these parts may be the limb's.
    """
    joint, side = data.weights.argmax(1), np.sign(data.v_template[:, 0])  # of the person: +1 left
    inside = inside_photo(person.landmarks, camera)
    seen = inside & (person.landmarks[:, 2] > SEEN)
    result = np.zeros(len(side), np.float32)
    for number, (own, elbow, wrist) in enumerate(zip((1, -1), ELBOWS, WRISTS, strict=True)):
        if not seen[[elbow, wrist]].any():
            arm = np.isin(joint, ARM_JOINTS[number::2])
            result[arm | (np.isin(joint, TRUNK_JOINTS) & (side == own))] = 1
    if inside[KNEES].all() and unseen_legs(person.landmarks, camera).all():
        result[np.isin(joint, [Joint.PELVIS, Joint.SPINE1, *np.ravel(LEG_JOINTS)])] = 1
    return result
