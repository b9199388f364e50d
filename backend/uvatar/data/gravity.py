"""Which way is up in a photo's camera frame, and how far below the camera the ground is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# What is known of a photo's tilt before anything is seen: photographers hold a camera level to a standard deviation of
# about three degrees, and look down at people a little (`uvatar.fitting.gravity`).
PRIOR_ERROR = float(np.radians(np.hypot(7.0, 3.0)))


@dataclass(frozen=True)
class GravityEvidence:
    """What a photo says about the vertical besides its people.

    Attributes:
        segments: (N, 4) straight edges x0, y0, x1, y1 in pixels that may be vertical in the world, people left out.
        up: (3,) unit vector, camera frame, measured by the camera's accelerometer; None where the file has none.
    """

    segments: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    up: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Gravity:
    """The vertical of a photo.

    Attributes:
        up: (3,) unit vector against gravity, camera frame (x right, y down, z forward): (0, -1, 0) for a level camera.
        error: expected angle between ``up`` and the truth, root mean square, radians.
        ground: metres from the camera straight down to the ground that people stand on; None where nobody does.
        sources: what the direction is from, besides the prior: "accelerometer", "lines", "people".
    """

    up: tuple[float, float, float] = (0.0, -1.0, 0.0)
    error: float = PRIOR_ERROR
    ground: float | None = None
    sources: tuple[str, ...] = ()

    @property
    def confidence(self) -> float:
        """How sure the direction is, 0..1: 0 where nothing but the prior is known, 1 where it is known exactly."""
        return float(np.clip(1 - self.error / PRIOR_ERROR, 0, 1))
