# SPDX-License-Identifier: GPL-3.0-or-later
"""Lengths and girths of the unclothed rest body.

They are the backend's measurements (docs/result-schema.md), fast enough to be taken while a slider moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..protocol.bone_names import SMPL_NAMES
from ..protocol.rig import FINGERS, RIG_NAMES
from .arrays import Floats, Integers

NAMES = ("stature", "chest", "waist", "hip", "inseam", "arm", "shoulder_width")
_HIPS, _SHOULDERS, _ELBOWS, _WRISTS = (1, 2), (16, 17), (18, 19), (20, 21)
ARM_NAMES = ("shoulder", "elbow", "wrist", "hand", *FINGERS)  # of the joints of an arm, after the side
# Heights of the girths, as fractions of the distance from the hip joints to the shoulder joints, and their step.
_CHEST, _WAIST, _HIP, _STEP = (0.60, 0.70), (0.36, 0.46), (-0.15, 0.25), 0.01
_MIDDLE = 1e-3  # metres: vertices nearer to the mirror plane are on the middle line
_DIRECTIONS = 90


def arm_joints(joints: int) -> list[int]:
    """Return which joints of a skeleton of 24 or 55 belong to the arms, shoulders and fingers included."""
    names = SMPL_NAMES if joints == len(SMPL_NAMES) else RIG_NAMES
    return [joint for joint, name in enumerate(names) if name.partition("_")[2].startswith(ARM_NAMES)]


@dataclass(frozen=True)
class Tape:
    """Where a body is measured, independent of its shape.

    Attributes:
        edges: (E, 2) edges of trunk, head and legs, as indices of vertices.
        middle: (M,) vertices in the mirror plane.
    """

    edges: NDArray[np.int64]
    middle: NDArray[np.int64]


def make_tape(template: Floats, edges: Integers, arm_weights: Floats) -> Tape:
    """Make the tape of a body.

    Args:
        template: (V, 3) vertices, body frame, metres.
        edges: (E, 2) edges of the mesh.
        arm_weights: (V,) sum of the skin weights of `arm_joints`.
    """
    trunk = arm_weights < 0.5
    return Tape(edges[trunk[edges].all(1)].astype(np.int64), np.flatnonzero(np.abs(template[:, 0]) < _MIDDLE))


def measure(vertices: Floats, joints: Floats, tape: Tape) -> dict[str, float]:
    """Measure a body.

    Args:
        vertices: (V, 3) of the unclothed body in the T pose, body frame, metres.
        joints: (J, 3) of the same body.
        tape: where to measure it.

    Returns:
        Centimetres by name, in the order of `NAMES`.
    """
    vertices, joints = np.asarray(vertices, np.float64), np.asarray(joints, np.float64)
    low, high = joints[list(_HIPS), 1].mean(), joints[list(_SHOULDERS), 1].mean()

    def girths(band: tuple[float, float]) -> list[float]:
        shares = np.arange(band[0], band[1] + _STEP / 2, _STEP)
        return [_girth(vertices, tape.edges, low + share * (high - low)) for share in shares]

    middle = vertices[tape.middle, 1]
    below_chest = middle[middle < low + _CHEST[0] * (high - low)]
    arms = [
        joints[[shoulder, elbow, wrist]] for shoulder, elbow, wrist in zip(_SHOULDERS, _ELBOWS, _WRISTS, strict=True)
    ]
    metres = (
        np.ptp(vertices[:, 1]),
        max(girths(_CHEST)),
        np.mean(girths(_WAIST)),
        max(girths(_HIP)),
        below_chest.min(initial=low) - vertices[:, 1].min(),
        np.mean([np.linalg.norm(np.diff(arm, axis=0), axis=1).sum() for arm in arms]),
        np.linalg.norm(joints[_SHOULDERS[0]] - joints[_SHOULDERS[1]]),
    )
    return {name: round(100 * float(value), 1) for name, value in zip(NAMES, metres, strict=True)}


def _girth(vertices: Floats, edges: Integers, height: float) -> float:
    """Return the perimeter of the convex hull of the cut at y = ``height``: pi times its mean width (Cauchy)."""
    above = vertices[:, 1] > height
    cut = edges[above[edges[:, 0]] != above[edges[:, 1]]]
    if len(cut) < 3:
        return 0.0
    start, end = vertices[cut[:, 0]], vertices[cut[:, 1]]
    share = ((height - start[:, 1]) / (end[:, 1] - start[:, 1]))[:, None]
    outline = (start + share * (end - start))[:, [0, 2]]
    angles = (np.arange(_DIRECTIONS) + 0.5) * np.pi / _DIRECTIONS
    reach = outline @ np.stack([np.cos(angles), np.sin(angles)])
    return float(np.pi * (reach.max(0) - reach.min(0)).mean())
