"""Planes through a person that face the camera, on which the photo is read row by row."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.geometry.mesh import unit


@dataclass(frozen=True)
class BodyPlane:
    """A frame on the person.

    Attributes:
        origin: (3,) metres.
        axes: (3, 3) rows: across to the picture's right (u), away from the camera (w), down (s).
        size: the person's stature / 1.7 m, by which lengths of settings grow.
    """

    origin: Floats
    axes: Floats
    size: float

    @classmethod
    def facing(cls, origin: Floats, down: Floats, stature: float) -> BodyPlane:
        """The frame with this origin (3,) and direction of s (3,), camera frame; ``stature`` metres."""
        down, away = unit(down), unit(origin)
        away = unit(away - (away @ down) * down)
        return cls(origin, np.stack([np.cross(down, away), away, down]), stature / 1.7)

    def coordinates(self, points: Floats) -> Floats:
        """Points (..., 3) of the camera frame -> u, w and s (..., 3)."""
        found: Floats = (points - self.origin) @ self.axes.T
        return found

    def points(self, coordinates: Floats) -> Floats:
        """The inverse of `coordinates`."""
        found: Floats = coordinates @ self.axes + self.origin
        return found


def sampled(image: NDArray[np.uint8], at: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A picture (h, w) at pixels (H, W, 2); 0 outside."""
    # Pixel centres are at (i + 0.5) in the program, and at i in OpenCV.
    x, y = (np.ascontiguousarray(at[..., axis]) - np.float32(0.5) for axis in range(2))
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), np.uint8)
