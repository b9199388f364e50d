# SPDX-License-Identifier: GPL-3.0-or-later
"""Sample clips as motions."""

from __future__ import annotations

from ..protocol.clips import Clip, clip_movement
from ..protocol.gait import RATE, Movement
from .arrays import Floats
from .motion import Motion


def clip_motion(clip: Clip, joints: Floats, toes: Floats, in_place: bool = False) -> Motion:
    """Make a clip for a body; see `protocol.clips.clip_movement`."""
    return as_motion(clip_movement(clip, joints, toes, in_place))


def as_motion(movement: Movement) -> Motion:
    """Return a movement as a motion of 30 frames a second."""
    return Motion(movement.rotations, movement.pelvis, RATE)
