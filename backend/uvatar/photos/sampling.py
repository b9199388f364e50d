"""Samples pictures at scattered points."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats, Integers

# cv2.remap takes pictures of less than 2^15 pixels a side: long lists of points are folded into rows.
_ROW = 4096


def bilinear(picture: NDArray[np.float32], points: Floats | Integers) -> NDArray[np.float32]:
    """`sampled` with bilinear interpolation."""
    return sampled(picture, points, cv2.INTER_LINEAR)


def bicubic(picture: NDArray[np.float32], points: Floats | Integers) -> NDArray[np.float32]:
    """`sampled` with bicubic interpolation: sharper when a picture is enlarged, but it may overshoot at edges."""
    return sampled(picture, points, cv2.INTER_CUBIC)


def sampled(picture: NDArray[np.float32], points: Floats | Integers, interpolation: int) -> NDArray[np.float32]:
    """Values (K,) or (K, C) of a picture (h, w) or (h, w, C <= 4) at points (K, 2).

    Points are in pixels from the top-left corner, so the first pixel's centre is (0.5, 0.5). Outside the picture, the
    border pixels are repeated.
    """
    rows = -(-len(points) // _ROW)
    if not rows:
        return np.zeros((0, *picture.shape[2:]), np.float32)
    # Separate maps for x and y: OpenCV 5 does not accept an empty array for "no second map", and returns non-finite
    # values.
    at = np.zeros((2, rows * _ROW), np.float32)
    at[:, : len(points)] = points.T - np.float32(0.5)  # cv2 has the origin at the first pixel's centre
    x, y = at.reshape(2, rows, _ROW)
    values = np.asarray(cv2.remap(picture, x, y, interpolation, borderMode=cv2.BORDER_REPLICATE), np.float32)
    return values.reshape(rows * _ROW, *picture.shape[2:])[: len(points)]
