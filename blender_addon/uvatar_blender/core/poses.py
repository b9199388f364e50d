# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses of Uvatar's own making for the pose library, for a skeleton of any size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..protocol import gait
from ..protocol.clips import Clip
from .arrays import Floats
from .clips import as_motion, clip_motion
from .motion import Motion
from .skeleton import JOINTS

_GESTURE = 1.4  # seconds into the talking clip: both hands are raised
_SEAT = 0.98  # hip to knee on a seat, as a share of the thigh: the thighs rise a little towards the knees


def body_poses(joints: Floats, toes: Floats) -> dict[str, Motion]:
    """Return poses by their names, each a motion of one frame.

    Args:
        joints: (24, 3) SMPL's joints of the body in the T pose, armature's axes, metres.
        toes: (2, 3) the tips of its feet.
    """
    idle, walk = (clip_motion(clip, joints, toes, in_place=True) for clip in (Clip.IDLE, Clip.WALK))
    talk = clip_motion(Clip.TALK, joints, toes)
    quarter = (len(walk) - 1) / 4
    steps = ("contact left", "passing left", "contact right", "passing right")  # a stride begins on the left heel
    return {
        "At ease": _frame(idle, 0),
        **{f"Walk, {name}": _frame(walk, round(number * quarter)) for number, name in enumerate(steps)},
        "Talking": _frame(talk, round(_GESTURE * gait.RATE)),
        "Sitting": _sitting(joints),
        "Waving": _with_right_arm(joints, _waving()),
        "Pointing": _with_right_arm(joints, _pointing()),
    }


def _frame(motion: Motion, number: int) -> Motion:
    """Return one frame of a motion, above the place where the motion begins."""
    pelvis = motion.pelvis[number : number + 1] - motion.pelvis[0] * np.array([1.0, 1.0, 0.0])
    return Motion(motion.rotations[number : number + 1], pelvis, motion.rate)


def _upright() -> NDArray[np.float64]:
    """Return rotations (1, 24, 3, 3) relative to the world of someone who stands as in the T pose."""
    return np.broadcast_to(np.eye(3), (1, JOINTS, 3, 3)).copy()


def _legs(whole: NDArray[np.float64], joints: Floats, pelvis: NDArray[np.float64], ahead: float) -> None:
    """Put both feet flat on the ground, hip-wide, ``ahead`` metres before the hips."""
    ankles = joints[[7, 8]].copy()
    ankles[:, 0] = np.array([0.09, -0.09]) * gait.leg_length(joints)
    ankles[:, 1] = joints[[1, 2], 1] - ahead
    feet = np.stack([gait.turned(z=sign * 8.0)[None] for sign in (1.0, -1.0)])
    gait.reach(whole, joints, pelvis, ankles[:, None], feet)


def _sitting(joints: Floats) -> Motion:
    """Sit on a seat as high as the knees, hands on the thighs."""
    whole = _upright()
    for joint in (3, 6, 9, 12):
        whole[:, joint] = gait.turned(x=4.0)
    thigh, shin = (float(np.linalg.norm(joints[b] - joints[a])) for a, b in ((1, 4), (4, 7)))
    pelvis = np.array([[0.0, 0.0, joints[7, 2] + shin - joints[1, 2]]])
    gait.hanging_arms(whole, 80.0, np.full((2, 1), 18.0), np.zeros((2, 1)))
    for side, sign in enumerate((1.0, -1.0)):  # forearms along the thighs
        forearm = gait.turned(x=-68.0) @ gait.turned(y=sign * 82.0, z=0.0)
        whole[:, 18 + side] = gait.turned(z=-sign * 12.0) @ forearm
        whole[:, 20 + side] = whole[:, 22 + side] = gait.turned(z=-sign * 6.0, x=8.0) @ forearm
    _legs(whole, joints, pelvis, _SEAT * thigh)
    return as_motion(gait.finished(whole, pelvis))


def _with_right_arm(joints: Floats, arm: tuple[Floats, Floats, Floats]) -> Motion:
    """Stand at ease with the right upper arm, forearm and hand turned like this, relative to the world."""
    whole = _upright()
    pelvis = np.array([[0.0, 0.0, -0.004 * gait.leg_length(joints)]])
    gait.hanging_arms(whole, 78.0, np.zeros((2, 1)), np.full((2, 1), 14.0))
    whole[:, 14] = gait.turned(y=6.0)
    for joint, turn in zip((17, 19, 21), arm, strict=True):
        whole[:, joint] = turn
    whole[:, 23] = whole[:, 21]
    _legs(whole, joints, pelvis, 0.0)
    return as_motion(gait.finished(whole, pelvis))


def _waving() -> tuple[Floats, Floats, Floats]:
    """Raise the forearm beside the head, the palm to the front."""
    upper = gait.turned(z=28.0) @ gait.turned(y=-12.0)
    forearm = gait.turned(y=78.0)
    return upper, gait.turned(z=50.0) @ forearm, gait.turned(z=88.0) @ gait.turned(y=84.0)


def _pointing() -> tuple[Floats, Floats, Floats]:
    """Point forward and a little outward, at the height of the shoulder."""
    forward = gait.turned(z=72.0) @ gait.turned(y=-4.0)
    return forward, gait.turned(z=78.0), gait.turned(z=78.0)
