"""Straight edges of a photo that may be vertical in the world: of walls, doors, windows, posts."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.person import Person

SIDE = 560  # pixels of the longer side at most where edges are looked for, which takes some 0.05 s
_SHORTEST = 0.03  # of the longer side
_STEEPEST = np.radians(35)  # from the picture's vertical: what is more inclined is not taken for vertical
_MOST = 300  # the longest are kept
_MARGIN = 0.01  # of the longer side, around people, whose clothes and limbs have edges too


def vertical_segments(pixels: NDArray[np.uint8], people: Sequence[Person], tilt: float = 0.0) -> NDArray[np.float32]:
    """Straight edges near the vertical, the longest first; none of them on people.

    Line segment detector: Grompone von Gioi et al. 2010, as OpenCV has it.

    Args:
        pixels: (H, W, 3) the photo.
        people: whose masks are left out.
        tilt: radians from the picture's up to where up is known to be, clockwise.

    Returns:
        (N, 4) x0, y0, x1, y1 in pixels of the photo.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, SIDE / max(width, height))
    # Of large photos, every second pixel or fewer: two for each one that is looked at are enough.
    step = max(1, int(0.5 / scale))
    grey = cv2.cvtColor(np.ascontiguousarray(pixels[::step, ::step]), cv2.COLOR_RGB2GRAY)
    if scale < 1:
        grey = cv2.resize(grey, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    lines = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0]
    if lines is None:
        return np.zeros((0, 4), np.float32)
    found = lines.reshape(-1, 4).astype(np.float32)
    along = found[:, 2:] - found[:, :2]
    length = np.linalg.norm(along, axis=1)
    cosine = np.abs(along @ np.array([np.sin(tilt), -np.cos(tilt)], np.float32)) / np.maximum(length, 1e-6)
    kept = (length > _SHORTEST * max(grey.shape)) & (cosine > np.cos(_STEEPEST))
    kept &= ~_on_people(found, people, scale, grey.shape)
    order = np.argsort(-length[kept], kind="stable")[:_MOST]
    segments: NDArray[np.float32] = found[kept][order] / np.float32(scale)
    return segments


def _on_people(
    segments: NDArray[np.float32], people: Sequence[Person], scale: float, shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """(N,) which segments begin, end or have their middle on a person; ``shape`` of the picture that they are in."""
    mask = np.zeros(shape[:2], np.uint8)
    for person in people:
        x0, y0, x1, y1 = (round(value * scale) for value in person.window)
        x1, y1 = min(max(x1, x0 + 1), shape[1]), min(max(y1, y0 + 1), shape[0])
        if x1 > x0 and y1 > y0:
            small = cv2.resize(person.mask, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
            np.maximum(mask[y0:y1, x0:x1], small, out=mask[y0:y1, x0:x1])
    reach = 2 * round(_MARGIN * max(shape)) + 1
    mask = np.asarray(cv2.dilate(mask, np.ones((reach, reach), np.uint8)))
    ends = segments.reshape(-1, 2, 2)
    points = np.stack([ends[:, 0], ends.mean(1), ends[:, 1]], 1).astype(int)
    x, y = (np.clip(points[..., axis], 0, shape[1 - axis] - 1) for axis in (0, 1))
    on: NDArray[np.bool_] = (mask[y, x] > 127).any(1)
    return on
