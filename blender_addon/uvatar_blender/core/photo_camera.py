# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera that took a photo: its lens, and how it was held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

LEVEL = (0.0, -1.0, 0.0)
_FARTHEST = 1000.0  # metres to the ground; more is a damaged result


@dataclass(frozen=True)
class PhotoCamera:
    """The pinhole camera that took the photo.

    Attributes:
        focal: focal length in pixels.
        center: principal point in pixels.
        width, height: of the photo in pixels.
        up: (3,) unit vector against gravity in the camera's frame (x right, y down, z forward).
        ground: metres from the camera straight down to the ground; None where the result does not say.
    """

    focal: float
    center: tuple[float, float]
    width: int
    height: int
    up: tuple[float, float, float] = LEVEL
    ground: float | None = None


def parse_camera(camera: Mapping[str, Any]) -> PhotoCamera:
    """Check the camera of a result.

    Results of older backends do not say how the camera was held: it counts as level. So does one whose direction up
    points down or is no direction, because an avatar must never be upside down.

    Raises:
        ValueError: it has no size.
        KeyError: an entry is missing.
    """
    checked = PhotoCamera(
        float(camera["focal"]),
        (float(camera["center"][0]), float(camera["center"][1])),
        int(camera["width"]),
        int(camera["height"]),
        _checked_up(camera.get("up")),
        _checked_ground(camera.get("ground")),
    )
    if not (checked.focal > 0 and checked.width > 0 and checked.height > 0 and np.isfinite(checked.center).all()):
        raise ValueError("its camera has no size")
    return checked


def _checked_up(given: Any) -> tuple[float, float, float]:
    vector = np.zeros(3) if given is None else np.asarray(given, np.float64).ravel()
    length = float(np.linalg.norm(vector)) if vector.shape == (3,) else 0.0
    if not (np.isfinite(length) and length > 1e-6 and vector[1] < 0):
        return LEVEL
    x, y, z = vector / length
    return float(x), float(y), float(z)


def _checked_ground(given: Any) -> float | None:
    ground = None if given is None else float(given)
    return ground if ground is not None and 0 < ground < _FARTHEST else None
