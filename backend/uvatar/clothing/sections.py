"""Horizontal cross-sections of a body: how far it reaches in each direction from their middles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates
from scipy.spatial import ConvexHull, QhullError

from uvatar.data.arrays import Floats
from uvatar.geometry.mesh import unit

_LEAST_POINTS = 8  # of a cross-section that says something
_CENTRE_BLUR = 4  # rows: middles change smoothly from one cross-section to the next


@dataclass(frozen=True)
class Sections:
    """R cross-sections at evenly spaced heights, in C directions.

    Attributes:
        heights: (R,) metres; they may fall.
        way: (C, 2) directions in x and z, evenly spaced.
        centre: (R, 2) middles, x and z.
        reach: (R, C) metres from the middle to the convex hull.
    """

    heights: Floats
    way: Floats
    centre: Floats
    reach: Floats

    @classmethod
    def of(cls, points: Floats, heights: Floats, half: float, directions: int) -> Sections | None:
        """Those of points (N, 3), each of the points less than ``half`` metres above or below it.

        None if they are fewer than three, or one of them has hardly any points.
        """
        turn = np.arange(directions) * (2 * np.pi / directions)
        way = np.stack([np.cos(turn), np.sin(turn)], 1)
        sections: Sequence[Floats] = [points[np.abs(points[:, 1] - one) < half][:, [0, 2]] for one in heights]
        if len(sections) < 3 or min(map(len, sections)) < _LEAST_POINTS:
            return None
        spans = np.array([(one.min(0) + one.max(0)) / 2 for one in sections])
        centre = gaussian_filter1d(spans, _CENTRE_BLUR, axis=0, mode="nearest")
        reach = np.stack([hull_reach(one - middle, way) for one, middle in zip(sections, centre, strict=True)])
        return cls(heights, way, centre, reach)

    def outwards(self, places: Floats, radius: Floats) -> Floats:
        """(N, 2) steps in x and z from places (N, 3) out to ``radius`` (R, C) around the middles; 0 where beyond."""
        step = (self.heights[-1] - self.heights[0]) / (len(self.heights) - 1)
        row = (places[:, 1] - self.heights[0]) / step
        middle = np.stack([np.interp(row, np.arange(len(self.heights)), axis) for axis in self.centre.T], 1)
        away = places[:, [0, 2]] - middle
        column = np.arctan2(away[:, 1], away[:, 0]) % (2 * np.pi) * (len(self.way) / (2 * np.pi))
        wrapped = np.concatenate([radius, radius[:, :1]], 1)
        wanted = map_coordinates(wrapped, np.stack([row, column]), order=1, mode="nearest")
        steps: Floats = unit(away) * np.maximum(wanted - np.linalg.norm(away, axis=1), 0)[:, None]
        return steps


def smoothed(radius: Floats, along: float, around: float) -> Floats:
    """``radius`` (R, C) blurred by these numbers of rows and of directions (standard deviations)."""
    found: Floats = gaussian_filter1d(gaussian_filter1d(radius, along, axis=0, mode="nearest"), around, 1, mode="wrap")
    return found


def hull_reach(points: Floats, way: Floats) -> Floats:
    """(C,) distance in directions (C, 2) from the origin, which lies inside, to the convex hull of points (N, 2)."""
    try:
        hull = ConvexHull(points).equations
    except QhullError:  # all in a line
        return np.full(len(way), float(np.abs(points).max()))
    facing = way @ hull[:, :2].T
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(facing > 1e-9, -hull[:, 2] / facing, np.inf).min(1)
    found: Floats = np.maximum(reach, 1e-3)
    return found
