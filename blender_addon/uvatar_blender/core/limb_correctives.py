# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrective shapes of the open body for raised and lowered arms and bent elbows, and when each acts.

Skinning with dual quaternions pushes skin outward that is far from the joint that turns it (Kim and Han, Bulging-free
dual quaternion skinning, 2014): a raised collar bone swells the side of the chest. Lowered arms and bent elbows lose
volume in the fold. The shapes are computed by `tools.build_limb_correctives` on the mean body, in its T pose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats

FILE = Path(__file__).resolve().parents[1] / "limb_correctives.npz"
BODY = "open_body"  # the body model whose vertices the file numbers
SIDES = ("left", "right")


@dataclass(frozen=True)
class Factor:
    """How far a bone points in a direction, as ``offset + gain * reach``.

    The reach is ``axis . R d``, where R is the joint's rotation relative to its parent and to the T pose, and d the
    direction of the arm in the T pose.

    Attributes:
        joint: SMPL's name, without its side.
        axis: the direction for the left side: x to the person's left, y up, z to the front.
        gain, offset: see above.
    """

    joint: str
    axis: tuple[float, float, float]
    gain: float
    offset: float = 0.0

    def direction(self, side: str) -> tuple[float, float, float]:
        """The axis for a side."""
        x, y, z = self.axis
        return (x if side == "left" else -x, y, z)


@dataclass(frozen=True)
class LimbCorrective:
    """A shape whose value is the product of factors.

    Attributes:
        name: of the shape.
        factors: their product is 1 in the pose for which the shape is made.
        signed: whether the value may be negative; otherwise it is 0 there.
    """

    name: str
    factors: tuple[Factor, ...]
    signed: bool = False


UP, DOWN, BACK = (0.0, 1.0, 0.0), (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0)
# The swelling grows with the collar bone's angle, and by 60 % more where the upper arm is vertical than where it is
# horizontal: measured with `benchmarks.deformation`, see docs/exports.md.
_RAISED = 1 + 0.6 * math.sin(math.radians(60))
CORRECTIVES = (
    LimbCorrective(
        "arm raised",
        (Factor("collar", UP, 1 / math.sin(math.radians(20))), Factor("shoulder", UP, 0.6 / _RAISED, 1 / _RAISED)),
        signed=True,
    ),
    LimbCorrective("arm lowered", (Factor("shoulder", DOWN, 1 / math.sin(math.radians(75))),)),
    LimbCorrective("elbow bent", (Factor("elbow", BACK, -1 / math.cos(math.radians(140))),)),
)


@dataclass(frozen=True)
class LimbShape:
    """Where a shape moves the mesh.

    Attributes:
        vertices: (N,) their numbers.
        deltas: (N, 3) metres, in the body's frame and its T pose.
    """

    vertices: NDArray[np.int64]
    deltas: NDArray[np.float64]


def value(corrective: LimbCorrective, side: str, rotations: dict[str, Floats]) -> float:
    """The value of a shape in a pose.

    Args:
        corrective: the shape.
        side: "left" or "right".
        rotations: (3, 3) of joints that turn, by name with their side, relative to parent and T pose.
    """
    product = 1.0
    arm = np.array([1.0 if side == "left" else -1.0, 0.0, 0.0])
    for factor in corrective.factors:
        turn = rotations.get(f"{side}_{factor.joint}", np.eye(3))
        product *= factor.offset + factor.gain * float(np.dot(factor.direction(side), turn @ arm))
    return product if corrective.signed else max(0.0, product)


def load_shapes(file: Path = FILE) -> tuple[dict[tuple[str, str], LimbShape], int]:
    """Read the shapes, by the corrective's name and the side, and the number of the body's vertices."""
    with np.load(file) as arrays:
        shapes = {
            (corrective.name, side): LimbShape(
                arrays[f"{corrective.name} {side} vertices"].astype(np.int64),
                arrays[f"{corrective.name} {side} deltas"].astype(np.float64),
            )
            for corrective in CORRECTIVES
            for side in SIDES
        }
        return shapes, int(arrays["vertices"])
