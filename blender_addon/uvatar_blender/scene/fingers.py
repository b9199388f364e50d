# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses of the fingers."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ..core.skeleton import ARMATURE_FROM_BODY, rotation_matrices
from ..protocol.rig import LEFT_HAND, RIGHT_HAND, posed_hands
from .posing import key_rotations
from .rig import FINGER_AXES, RigError, get_rotations, joint_names, set_rotations

HANDS = {"BOTH": (LEFT_HAND, RIGHT_HAND), "LEFT": (LEFT_HAND,), "RIGHT": (RIGHT_HAND,)}


def has_fingers(rig: bpy.types.Object) -> bool:
    """Whether the avatar has finger bones; those of older versions, and SMPL's body, have none."""
    return FINGER_AXES in rig.data


def pose_fingers(rig: bpy.types.Object, pose: str, hands: str = "BOTH") -> None:
    """Pose the fingers.

    Args:
        rig: the avatar's armature object.
        pose: one of `protocol.rig.FINGER_POSES`.
        hands: "LEFT", "RIGHT" or "BOTH".

    Raises:
        RigError: the avatar has no finger bones.
    """
    if not has_fingers(rig):
        raise RigError(f"{rig.name} has no finger bones; make the avatar again with this version.")
    rotations = get_rotations(rig)
    rotations[LEFT_HAND.start :] = _hands(rig, pose)
    for hand in HANDS[hands]:
        set_rotations(rig, rotations, hand)


def key_fingers(rig: bpy.types.Object, hands: str = "BOTH") -> None:
    """Key the rotations of the fingers on the current frame; ``hands`` as in `pose_fingers`."""
    names = joint_names(rig)
    key_rotations(rig, [name for hand in HANDS[hands] for name in names[hand]])


def relaxed_hands(rig: bpy.types.Object) -> NDArray[np.float64] | None:
    """Return the rotations (30, 3, 3) of relaxed fingers in the armature's axes; None if there are no fingers."""
    return _hands(rig, "relaxed") if has_fingers(rig) else None


def _hands(rig: bpy.types.Object, pose: str) -> NDArray[np.float64]:
    axes = np.reshape(rig.data[FINGER_AXES], (-1, 2, 3))
    turned: NDArray[np.float64] = ARMATURE_FROM_BODY @ rotation_matrices(posed_hands(pose, axes)) @ ARMATURE_FROM_BODY.T
    return turned
