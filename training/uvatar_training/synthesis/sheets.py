"""Pictures of samples for visual inspection."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.joints import PARENTS
from uvatar_training.data.sample import Sample


def contact_sheet(samples: Sequence[Sample], columns: int = 6, cell: int = 256) -> NDArray[np.uint8]:
    """Arrange samples in rows; every second row repeats the row above it, with masks and joints drawn in.

    Args:
        samples: the samples to show.
        columns: pictures per row.
        cell: side of a picture in the sheet, pixels.

    Returns:
        (H, W, 3) uint8 sRGB.
    """
    rows = []
    for start in range(0, len(samples), columns):
        line = list(samples[start : start + columns])
        for draw in (lambda sample: sample.image, drawn):
            tiles = [_fitted(draw(sample), cell) for sample in line]
            tiles += [np.full((cell, cell, 3), 32, np.uint8)] * (columns - len(tiles))
            rows.append(np.concatenate(tiles, 1))
    return np.concatenate(rows)


def tiled(pictures: Sequence[NDArray[np.uint8]], columns: int = 6, cell: int = 256) -> NDArray[np.uint8]:
    """Arrange pictures (H, W, 3) of any size in rows, each scaled to a cell of ``cell`` pixels a side."""
    tiles = [_fitted(picture, cell) for picture in pictures]
    tiles += [np.full((cell, cell, 3), 32, np.uint8)] * (-len(tiles) % columns)
    return np.concatenate([np.concatenate(tiles[k : k + columns], 1) for k in range(0, len(tiles), columns)])


def drawn(sample: Sample) -> NDArray[np.uint8]:
    """The picture (H, W, 3) with all masks tinted and all skeletons drawn; joints that are not visible are hollow."""
    image = sample.image.copy()
    for number, person in enumerate(sample.people):
        colour = np.array(
            cv2.applyColorMap(np.array([[(53 * number + 20) % 256]], np.uint8), cv2.COLORMAP_HSV)[0, 0, ::-1]
        )
        if sample.mask is not None:
            here = sample.mask == number + 1
            image[here] = (0.6 * image[here] + 0.4 * colour).astype(np.uint8)
        points = [
            tuple(int(c) for c in np.clip(point, -5000, 5000)) for point in np.nan_to_num(person.joints_2d, nan=-100)
        ]
        for joint, parent in enumerate(PARENTS):
            if parent >= 0:
                cv2.line(image, points[joint], points[parent], colour.tolist(), 1, cv2.LINE_AA)
            cv2.circle(image, points[joint], 3, (255, 255, 255), -1 if person.visible[joint] else 1, cv2.LINE_AA)
    return image


def _fitted(image: NDArray[np.uint8], cell: int) -> NDArray[np.uint8]:
    scale = cell / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:cell, :cell]
    out = np.full((cell, cell, 3), 32, np.uint8)
    out[: small.shape[0], : small.shape[1]] = small
    return out
