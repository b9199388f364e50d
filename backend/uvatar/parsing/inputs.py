"""What the parser's network is given of a person: picture, mask, and where the landmarks are."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.landmarks import ANKLES, EARS, ELBOWS, HIPS, INDICES, KNEES, PINKIES, SHOULDERS, TOES
from uvatar.data.parsing import ParseClass

SIDE = 256  # pixels of the picture
GRID = 32  # cells a side of the maps of places
CLASSES = tuple(one for one in ParseClass if one is not ParseClass.CLOTHES)
SOFT = 1.2  # pixels by which the mask is blurred
_SPREAD = 0.035  # standard deviation of a place, as a share of the picture
_SEEN = 0.4  # visibility from which a landmark is a place
# Left and right share a map. Hands are at the knuckles.
_HANDS = tuple(zip(INDICES, PINKIES, strict=True))
_GROUPS: tuple[tuple[tuple[int, ...], ...], ...] = (
    (tuple(EARS),), *(tuple((point,) for point in pair) for pair in (SHOULDERS, ELBOWS)), _HANDS,
    *(tuple((point,) for point in pair) for pair in (HIPS, KNEES, ANKLES, TOES)),
)  # fmt: skip
PLACES = len(_GROUPS)  # head, shoulders, elbows, hands, hips, knees, ankles, toes


def landmark_places(landmarks: Floats) -> list[list[Floats]]:
    """Places (2,), as shares of the picture, in each of the maps; ``landmarks`` (33, 3) in such shares, too."""
    groups = []
    for group in _GROUPS:
        seen = [list(points) for points in group if landmarks[list(points), 2].max() > _SEEN]
        places = [landmarks[points, :2].mean(0) for points in seen]
        groups.append([place for place in places if (place >= 0).all() and (place < 1).all()])
    return groups


def place_maps(groups: Sequence[Sequence[Floats]]) -> NDArray[np.float32]:
    """Maps (8, 32, 32) 0..1 of places (2,), shares of the picture, by group."""
    cells = (np.arange(GRID) + 0.5) / GRID
    maps = np.zeros((len(groups), GRID, GRID), np.float32)
    for number, places in enumerate(groups):
        for x, y in places:
            squared = (cells[None] - x) ** 2 + (cells[:, None] - y) ** 2
            maps[number] = np.maximum(maps[number], np.exp(-squared / (2 * _SPREAD**2)))
    return maps


def network_inputs(
    pixels: NDArray[np.uint8], mask: NDArray[np.uint8], landmarks: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """The network's inputs for a square picture (S, S, 3), its mask (S, S), landmarks (33, 3) in its pixels."""
    size = pixels.shape[0]
    how = cv2.INTER_AREA if size > SIDE else cv2.INTER_LINEAR
    image = cv2.resize(pixels, (SIDE, SIDE), interpolation=how).astype(np.float32) / 255
    soft = cv2.GaussianBlur(cv2.resize(mask, (SIDE, SIDE), interpolation=how), (0, 0), SOFT).astype(np.float32) / 255
    shares = landmarks / np.array([size, size, 1], np.float32)
    return {
        "image": np.ascontiguousarray(np.moveaxis(image, 2, 0))[None],
        "mask": soft[None, None],
        "places": place_maps(landmark_places(shares))[None],
    }
