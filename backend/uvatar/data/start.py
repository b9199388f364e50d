"""An initial pose of a person, from any stage: a starting point for fitting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Start:
    """A first guess of one person's pose.

    Attributes:
        name: what made it, for the report ("landmarks", "mesh_predictor", ...).
        orient: (3, 3) rotation of the pelvis, camera frame.
        pose: (21, 3) axis-angle of joints 1..21, radians.
    """

    name: str
    orient: NDArray[np.float64]
    pose: NDArray[np.float64]
