"""Sample clips of Uvatar's own making, for a skeleton of any size: walking, standing, talking.

They are computed, not captured; they loop without a jump. Backend and extension share this module; axes are those of
`gait`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from . import gait
from .expressions import EXPRESSIONS, VISEMES
from .rig import Floats

_IDLE_SECONDS, _TALK_SECONDS = 6.0, 8.0
# What the talking mouth says, at the pace of calm speech: (second, mouth shape).
_SAID = (
    (0.3, "viseme_aa"), (0.45, "viseme_nn"), (0.6, "viseme_DD"), (0.75, "viseme_E"), (0.95, "viseme_SS"),
    (1.1, "viseme_O"), (1.3, "viseme_PP"), (1.45, "viseme_aa"), (1.65, "viseme_RR"), (1.8, "viseme_I"),
    (2.0, "viseme_FF"), (2.15, "viseme_U"), (2.4, "viseme_sil"), (3.0, "viseme_kk"), (3.15, "viseme_aa"),
    (3.35, "viseme_nn"), (3.5, "viseme_I"), (3.7, "viseme_TH"), (3.85, "viseme_E"), (4.05, "viseme_CH"),
    (4.25, "viseme_O"), (4.45, "viseme_PP"), (4.6, "viseme_U"), (4.8, "viseme_sil"), (5.4, "viseme_aa"),
    (5.6, "viseme_DD"), (5.75, "viseme_E"), (5.95, "viseme_RR"), (6.1, "viseme_O"), (6.3, "viseme_SS"),
    (6.5, "viseme_aa"), (6.7, "viseme_FF"), (6.9, "viseme_I"), (7.1, "viseme_sil"),
)  # fmt: skip
_BLINKS = {"WALK": (0.6, 3.1), "IDLE": (1.1, 4.0), "TALK": (0.2, 2.6, 4.9, 7.3)}  # seconds
_BLINK = 0.12  # seconds from open to closed
_SPEECH = 0.85  # of the mouth shapes' full weight: people do not act their speech


class Clip(Enum):
    """The sample clips."""

    WALK = "WALK"
    IDLE = "IDLE"
    TALK = "TALK"


def clip_movement(clip: Clip, joints: Floats, toes: Floats, in_place: bool = False) -> gait.Movement:
    """Make a clip for a body.

    Args:
        clip: which.
        joints: (24, 3) SMPL's joints of the body in the T pose, metres.
        toes: (2, 3) the tips of its feet.
        in_place: only for walking: one stride on the spot, to be repeated, rather than a walk of some metres.
    """
    if clip is Clip.WALK:
        return gait.walk(joints, toes, strides=1 if in_place else 4, in_place=in_place)
    return _stand(joints, _TALK_SECONDS if clip is Clip.TALK else _IDLE_SECONDS, clip is Clip.TALK)


def clip_expressions(clip: Clip, frames: int) -> dict[str, NDArray[np.float64]]:
    """Return the weights (F,) over a clip's frames, at `gait.RATE`, of the expression keys that it moves."""
    time = np.arange(frames) / gait.RATE
    shut = np.max([np.clip(1 - np.abs(time - blink) / _BLINK, 0, 1) for blink in _BLINKS[clip.value]], 0)
    weights = {"eyeBlinkLeft": shut, "eyeBlinkRight": shut}
    if clip is Clip.TALK:
        weights |= _speech(time)
        raised = 0.35 * (_bump(time, 1.3, 0.5) + _bump(time, 5.8, 0.6))
        weights["browInnerUp"] = weights["browOuterUpLeft"] = weights["browOuterUpRight"] = raised
        for key in ("mouthSmileLeft", "mouthSmileRight"):
            weights[key] = np.clip(weights.get(key, 0.0) + 0.12, 0, 1)
    return weights


def _speech(time: Floats) -> dict[str, NDArray[np.float64]]:
    """Return the weights of the mouth's keys: each shape grows from the one before, as lips do."""
    shapes: list[Mapping[str, float]] = [{}, *(VISEMES[name] for _, name in _SAID), {}]
    moments = [0.12, *(moment for moment, _ in _SAID), _TALK_SECONDS]
    used = {key for shape in shapes for key in shape}
    return {
        key: _SPEECH * np.interp(time, moments, [shape.get(key, 0.0) for shape in shapes])
        for key in EXPRESSIONS
        if key in used
    }


def _bump(time: Floats, middle: float, width: float) -> NDArray[np.float64]:
    """Return a smooth rise to 1 and back (F,), ``width`` seconds to each side."""
    near = np.clip(1 - np.abs(time - middle) / width, 0, 1)
    bump: NDArray[np.float64] = near * near * (3 - 2 * near)
    return bump


def _stand(joints: Floats, seconds: float, talking: bool) -> gait.Movement:
    """Stand at ease: breathing, weight that goes from one leg to the other; with gestures when talking."""
    time = np.arange(round(seconds * gait.RATE) + 1) / gait.RATE
    turn = 2 * np.pi * time / seconds
    breath = np.sin(round(seconds / 3) * turn)  # 20 breaths a minute
    side = np.sin(turn)
    whole = np.broadcast_to(np.eye(3), (len(time), gait.JOINTS, 3, 3)).copy()
    whole[:, 0] = gait.turned(y=1.2 * side, z=1.5 * side)
    nod = 4.0 * (_bump(time, 1.4, 0.35) + _bump(time, 4.4, 0.35) + _bump(time, 6.5, 0.4)) if talking else 0 * time
    look = 5.0 * np.sin(2 * turn + 0.6) if talking else 7.0 * _bump(time, 0.5 * seconds, 1.6)
    for joint, share in ((3, 0.3), (6, 0.6), (9, 1.0)):
        forward = 1.0 + share * (0.8 * breath + 0.3 * nod)
        whole[:, joint] = gait.turned(x=forward, y=-0.8 * share * side, z=0.2 * share * look)
    whole[:, 12] = gait.turned(x=1.0 + 0.4 * nod, z=0.5 * look)
    whole[:, 15] = gait.turned(x=nod + 0.5 * breath, y=0.15 * look, z=look)
    swing, elbow = np.zeros((2, len(time))), np.full((2, len(time)), 14.0)
    swing += 1.0 * breath
    if talking:
        right = _bump(time, 1.4, 0.9) + 0.7 * _bump(time, 3.6, 0.8) + _bump(time, 6.2, 1.0)
        left = 0.8 * _bump(time, 3.9, 0.9) + 0.6 * _bump(time, 6.4, 0.9)
        swing += 16.0 * np.stack([left, right])
        elbow += 62.0 * np.stack([left, right]) + 5.0 * np.stack([left, right]) * np.sin(9 * turn)
    gait.hanging_arms(whole, 78.0, swing, elbow)
    leg = gait.leg_length(joints)
    pelvis = np.stack([0.012 * side - joints[0, 0], 0 * time, -0.006 * leg - 0.001 * breath], -1)
    heights = joints[[7, 8]].copy()
    heights[:, 0] = np.array([0.075, -0.075]) * leg
    feet = np.stack([np.broadcast_to(gait.turned(z=sign * 8.0), (len(time), 3, 3)) for sign in (1.0, -1.0)])
    gait.reach(whole, joints, pelvis, np.broadcast_to(heights[:, None], (2, len(time), 3)), feet)
    return gait.finished(whole, pelvis)
