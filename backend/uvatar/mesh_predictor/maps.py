"""The Mesh Predictor's maps, in the arrays of any runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

INPUT_SIDE = 512
MAP_SIDE = 64
SCALE_BASE = 1.1
CENTER_THRESHOLD = 0.25
MAX_PEOPLE = 64
HANDS = 2  # left_hand and right_hand are not predicted and stay at rest
SMPL_CHANNELS = 142  # 22 joints x 6D rotation + 10 betas

Values = TypeVar("Values")


@dataclass(frozen=True)
class Maps(Generic[Values]):
    """The network's output at every cell of the picture, as NumPy arrays or PyTorch tensors.

    Attributes:
        center: (B, 1, 64, 64) body-centre heatmap, compared with the threshold directly, without a sigmoid.
        camera: (B, 3, 64, 64) raw scale s (the scale is 1.1^s), tx, ty of a weak-perspective camera for the padded
            square.
        smpl: (B, 142, 64, 64) global_orient (6), body_pose of joints 1..21 (126), betas (10).
    """

    center: Values
    camera: Values
    smpl: Values


@dataclass(frozen=True)
class PredictedBodies(Generic[Values]):
    """SMPL parameters of N people.

    Attributes:
        camera: (N, 3) s, tx, ty: a point (X, Y) of the posed body, metres, is projected to (s X + tx, s Y + ty) in
            -1..1 across the padded square.
        pose: (N, 24, 3, 3) rotation matrices; joint 0 is global_orient, and both hands are identities.
        betas: (N, 10).
    """

    camera: Values
    pose: Values
    betas: Values
