"""Finds the triangle visible at each pixel on the CPU, by scan conversion of all triangles at once in NumPy.

A body has some 27,000 triangles of about a pixel each; most of the time is spent on visiting triangles, not on filling
them. The pixels whose centres are inside each triangle's bounding box are listed; all these candidates are tested and
merged into a depth buffer by array operations.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats, Integers

# Triangles with a corner nearer than this (metres) are left out, because their projections can be unbounded.
NEAR = 1e-3
# Candidates tested at once: limits memory to about 300 MB, however close the camera is.
_CANDIDATES_AT_ONCE = 1 << 20


def scan(vertices: Floats, faces: Integers, focal: float, center: Floats, height: int, width: int) -> NDArray[np.int64]:
    """The nearest triangle at every pixel's centre, facing either way.

    Args:
        vertices: (V, 3) camera frame, metres.
        faces: (F, 3).
        focal, center, height, width: of the camera, pixels; center (2,).

    Returns:
        (height, width) index of the triangle, -1 for none. Of triangles with equal depth (a pixel's centre on their
        common edge), the first is chosen.
    """
    points = vertices.astype(np.float64)
    depth = points[:, 2]
    # In units of pixels along x and y: a pixel's ray is (column + .5 - cx, row + .5 - cy) per unit of depth.
    points[:, :2] *= focal
    pixels = points[:, :2] / np.maximum(depth, NEAR)[:, None] + center
    first, size = _pixel_boxes(pixels, depth, faces, height, width)
    buffer = np.full(height * width, np.inf)
    nearest = np.full(height * width, -1)
    for face, column, row in _candidates(first, size):
        # Offsets of the corners from the pixel's ray. The cross product of two of them is a determinant of the corners
        # and the ray; these are proportional to the perspective-correct barycentrics (Olano and Greer 1997, section 4).
        corners = points[faces[face]]
        z = corners[..., 2]
        x = corners[..., 0] - (column + 0.5 - center[0])[:, None] * z
        y = corners[..., 1] - (row + 0.5 - center[1])[:, None] * z
        weight = x[:, [1, 2, 0]] * y[:, [2, 0, 1]] - y[:, [1, 2, 0]] * x[:, [2, 0, 1]]
        total = weight.sum(1)
        inside = (weight * np.sign(total)[:, None] >= 0).all(1) & (total != 0)
        place, found = (row * width + column)[inside], face[inside]
        distance = (weight[inside] * z[inside]).sum(1) / total[inside]
        before = buffer[place]
        np.minimum.at(buffer, place, distance)
        wins = (distance == buffer[place]) & (distance < before)
        nearest[place[wins][::-1]] = found[wins][::-1]
    return nearest.reshape(height, width)


def _pixel_boxes(
    pixels: Floats, depth: Floats, faces: Integers, height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First column and row (F, 2) of the pixels whose centres are inside each triangle's box, and their counts (F, 2)
    across and down.
    """
    corners = [pixels[faces[:, k]] for k in range(3)]
    low = np.minimum(np.minimum(corners[0], corners[1]), corners[2])
    high = np.maximum(np.maximum(corners[0], corners[1]), corners[2])
    edge = np.array([width, height])
    first = np.clip(np.ceil(low - 0.5), 0, edge).astype(np.int64)
    last = np.clip(np.floor(high - 0.5), -1, edge - 1).astype(np.int64)
    size = np.maximum(last - first + 1, 0)
    size[~(depth > NEAR)[faces].all(1)] = 0
    return first, size


def _candidates(first: NDArray[np.int64], size: NDArray[np.int64]) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Yield triangle, column and row of every pixel in every box in portions, in the order of triangles."""
    count = size[:, 0] * size[:, 1]
    faces = np.flatnonzero(count)
    ends = np.cumsum(count[faces])
    portion = ends // _CANDIDATES_AT_ONCE
    for part in range(int(portion[-1]) + 1 if len(faces) else 0):
        some = faces[portion == part]
        face = np.repeat(some, count[some])
        start = np.cumsum(count[some]) - count[some]
        offset = np.arange(len(face)) - np.repeat(start, count[some])
        across = size[face, 0]
        yield face, first[face, 0] + offset % across, first[face, 1] + offset // across
