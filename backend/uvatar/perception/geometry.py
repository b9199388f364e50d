"""Regions of a photo, crops of them, and overlaps of boxes and landmarks.

Pixel frame: origin at the photo's top-left corner, so the centre of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from uvatar.data.arrays import Floats

SAME_PERSON = 0.5  # intersection over union of two boxes of one person in one photo


@dataclass(frozen=True)
class Roi:
    """A square region of a photo that a model looks at, rotated about its centre.

    Attributes:
        x, y: centre in pixels of the photo.
        size: side in pixels of the photo.
        angle: radians; the crop's x axis points along (cos, sin) of it in the photo.
        mirrored: the crop is flipped left to right.
    """

    x: float
    y: float
    size: float
    angle: float = 0.0
    mirrored: bool = False

    @property
    def rotation(self) -> NDArray[np.float64]:
        """(2, 2) directions of the crop -> directions of the photo (a rotation, times a flip if mirrored)."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        flip = -1.0 if self.mirrored else 1.0
        return np.array([[c * flip, -s], [s * flip, c]])

    def flipped(self) -> Roi:
        """The same region, its crop mirrored left to right."""
        return replace(self, mirrored=not self.mirrored)

    def to_photo(self, points: Floats, side: int) -> Floats:
        """(..., 2) points of a crop of ``side`` pixels -> pixels of the photo."""
        placed: Floats = (points / side - 0.5) * self.size @ self.rotation.T + np.array([self.x, self.y])
        return placed

    def to_crop(self, points: Floats, side: int) -> Floats:
        """(..., 2) pixels of the photo -> points of a crop of ``side`` pixels."""
        placed: Floats = ((points - np.array([self.x, self.y])) @ self.rotation / self.size + 0.5) * side
        return placed

    def matrix(self, side: int) -> NDArray[np.float64]:
        """(2, 3) affine map: points of a crop of ``side`` pixels -> pixels of the photo."""
        linear = self.rotation * self.size / side
        return np.column_stack([linear, np.array([self.x, self.y]) - linear @ [side / 2, side / 2]])


class Pyramid:
    """A photo and its half-size versions, made when first needed, so that small crops are fast and free of aliasing."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._levels = [pixels]
        self.height, self.width = pixels.shape[:2]

    def level(self, reduction: float) -> NDArray[np.uint8]:
        """The smallest level that is still at least as fine as the photo reduced by ``reduction``."""
        wanted = max(0, int(np.log2(max(reduction, 1.0))))
        while len(self._levels) <= wanted and min(self._levels[-1].shape[:2]) > 2:
            height, width = self._levels[-1].shape[:2]
            half = cv2.resize(self._levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
            self._levels.append(half.astype(np.uint8, copy=False))
        return self._levels[min(wanted, len(self._levels) - 1)]

    def crop(self, roi: Roi, side: int, border: int = cv2.BORDER_CONSTANT) -> NDArray[np.uint8]:
        """(side, side, 3) picture of the region; ``border`` is OpenCV's mode for the part outside the photo."""
        return self.warp(roi.matrix(side), (side, side), border)

    def warp(self, matrix: Floats, size: tuple[int, int], border: int = cv2.BORDER_CONSTANT) -> NDArray[np.uint8]:
        """Picture of ``size`` (width, height) whose points lie at ``matrix`` (2, 3) @ point in the photo."""
        level = self.level(float(np.linalg.norm(matrix[:, 0])))
        reduced = matrix * (np.array([level.shape[1] / self.width, level.shape[0] / self.height])[:, None])
        # cv2 has the origin at the first pixel's centre, this module at its corner
        reduced[:, 2] += reduced[:, :2] @ [0.5, 0.5] - 0.5
        crop = cv2.warpAffine(level, reduced, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=border)
        return crop.astype(np.uint8, copy=False)

    def window(self, window: tuple[float, float, float, float], size: tuple[int, int]) -> NDArray[np.uint8]:
        """The upright rectangle ``window`` (x0, y0, x1, y1) resized to ``size`` (width, height)."""
        x0, y0, x1, y1 = window
        return self.warp(np.array([[(x1 - x0) / size[0], 0.0, x0], [0.0, (y1 - y0) / size[1], y0]]), size)


def box_iou(a: Floats, b: Floats) -> Floats:
    """(N, 4) and (M, 4) boxes x0, y0, x1, y1 -> (N, M) intersection over union."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = np.prod(np.clip(high - low, 0, None), -1)
    area_a, area_b = (np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), -1) for boxes in (a, b))
    iou: Floats = overlap / np.maximum(area_a[:, None] + area_b[None] - overlap, 1e-9)
    return iou


def same_person(wanted: ArrayLike, boxes: ArrayLike) -> NDArray[np.int64]:
    """(K,) which of the boxes (N, 4) each of those wanted (K, 4) is, -1 for none.

    For boxes of people in one photo, which differ by rounding only, unless options that find other people have changed.
    """
    ours, theirs = (np.asarray(some, float).reshape(-1, 4) for some in (wanted, boxes))
    if not len(theirs):
        return np.full(len(ours), -1)
    overlaps = box_iou(ours, theirs)
    return np.where(overlaps.max(1) >= SAME_PERSON, overlaps.argmax(1), -1)


def landmark_similarity(a: Floats, b: Floats, scale: float, weights: Floats, sigma: float = 0.1) -> float:
    """Object keypoint similarity of two sets of landmarks, 0 different .. 1 equal.

    Args:
        a, b: (K, 2) pixels.
        scale: size of the person in pixels.
        weights: (K,) how much each landmark counts.
        sigma: spread of a landmark as a part of ``scale``.
    """
    distance = np.linalg.norm(a - b, axis=1) / max(scale * sigma, 1e-6)
    return float(np.sum(weights * np.exp(-0.5 * distance**2)) / max(float(np.sum(weights)), 1e-9))
