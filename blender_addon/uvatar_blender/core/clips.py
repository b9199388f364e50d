# SPDX-License-Identifier: GPL-3.0-or-later
"""Sample clips as motions."""

from __future__ import annotations

from ..protocol.clips import Clip, clip_movement
from ..protocol.gait import RATE
from .arrays import Floats
from .motion import Motion


def clip_motion(clip: Clip, joints: Floats, toes: Floats, in_place: bool = False) -> Motion:
    """Make a clip for a body; see `protocol.clips.clip_movement`."""
    movement = clip_movement(clip, joints, toes, in_place)
    return Motion(movement.rotations, movement.pelvis, RATE)
