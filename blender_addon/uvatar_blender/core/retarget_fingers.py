# SPDX-License-Identifier: GPL-3.0-or-later
"""Fingers of another skeleton: recognised by their names, and turned as they are relative to the hand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..protocol.rig import BODY_JOINTS, FINGERS, LEFT_HAND, RIG_PARENTS, RIGHT_HAND
from .arrays import Floats
from .naming import plain_names
from .rotations import swing

_WRISTS = {LEFT_HAND.start: 20, RIGHT_HAND.start: 21}
# Names without side and punctuation: Mixamo (handindex1), Unreal (index01), Rigify (findex01), Unity, VRM and VRoid
# (indexproximal), MakeHuman (finger21: the second finger, its first bone).
_NAME = re.compile(
    r"^(?:hand|f|j\w*?)?(thumb|index|middle|ring|pinky|little)(?:finger)?0?(\d|metacarpal|proximal|intermediate|distal)$"
)
_NUMBERED = re.compile(r"^finger([1-5])([1-3])$")
_PHALANXES = {"proximal": 1, "intermediate": 2, "distal": 3}
_VRM_THUMB = {"metacarpal": 1, "proximal": 2, "distal": 3}
_BY_NUMBER = ("thumb", "index", "middle", "ring", "pinky")
_NEEDED = 6  # of a hand's 15 joints; fewer are not worth more than a relaxed hand


def match_fingers(names: Sequence[str]) -> dict[int, int]:
    """Recognise the bones of fingers.

    Returns:
        Joint of `protocol.rig` -> number of its bone; {} if there are too few.
    """
    found: dict[int, int] = {}
    named = plain_names(names)
    thumb = _PHALANXES if any(plain.endswith("thumbintermediate") for _, plain in named) else _VRM_THUMB
    for number, (side, plain) in enumerate(named):
        place = _place(plain, thumb)
        if side and place is not None:
            hand = LEFT_HAND if side == "left" else RIGHT_HAND
            found.setdefault(hand.start + place, number)
    return {
        joint: number
        for hand in (LEFT_HAND, RIGHT_HAND)
        for joint, number in found.items()
        if hand.start <= joint < hand.stop and sum(hand.start <= other < hand.stop for other in found) >= _NEEDED
    }


def _place(plain: str, thumb: Mapping[str, int]) -> int | None:
    """Return the place of a bone among its hand's 15 joints; None if it is no finger. ``thumb`` numbers its bones."""
    match = _NUMBERED.match(plain)
    if match:
        finger, phalanx = _BY_NUMBER[int(match[1]) - 1], int(match[2])
    else:
        match = _NAME.match(plain)
        if match is None:
            return None
        finger = "pinky" if match[1] == "little" else match[1]
        kinds = thumb if finger == "thumb" else _PHALANXES
        phalanx = int(match[2]) if match[2].isdigit() else kinds.get(match[2], 0)
    return 3 * FINGERS.index(finger) + phalanx - 1 if 1 <= phalanx <= 3 else None


def fine_rotations(
    bones: dict[int, int],
    rest: Floats,
    turned: Floats,
    joints: Floats,
    whole: Floats,
    aligned: dict[int, NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Return the rotations (F, 33, 3, 3) of jaw, eyes and fingers relative to their parents, as `Motion.fine` has them.

    Fingers that are missing, jaw and eyes are at rest.

    Args:
        bones: from `match_fingers`.
        rest: (N, 3) heads of the bones in the standing pose, armature's axes.
        turned: (F, N, 3, 3) rotations relative to the world and to the standing pose.
        joints: (55, 3) our joints in the T pose.
        whole: (F, 24, 3, 3) rotations of SMPL's joints relative to the world.
        aligned: rotations (3, 3) from our rest hands to the standing pose's, by wrist.
    """
    everything = np.empty((len(turned), len(RIG_PARENTS), 3, 3))
    everything[:, :BODY_JOINTS] = whole[:, :BODY_JOINTS]
    alignments: dict[int, NDArray[np.float64]] = {}
    for joint in range(BODY_JOINTS, len(RIG_PARENTS)):
        parent = RIG_PARENTS[joint]
        if joint not in bones:
            everything[:, joint] = everything[:, parent]
            continue
        before = alignments.get(parent, aligned.get(parent, np.eye(3)))
        alignments[joint] = before
        if joint + 1 in bones and RIG_PARENTS[joint + 1] == joint:
            theirs = rest[bones[joint + 1]] - rest[bones[joint]]
            alignments[joint] = swing(before @ (joints[joint + 1] - joints[joint]), theirs) @ before
        everything[:, joint] = turned[:, bones[joint]] @ alignments[joint]
    parents = np.array(RIG_PARENTS[BODY_JOINTS:])
    fine: NDArray[np.float64] = np.swapaxes(everything[:, parents], -1, -2) @ everything[:, BODY_JOINTS:]
    return fine
