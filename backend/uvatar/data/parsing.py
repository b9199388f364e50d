"""Human parsing: what each pixel of a person shows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats


class ParseClass(IntEnum):
    """What a pixel shows; the values are stored in label images and in weights."""

    BACKGROUND = 0
    HAIR = 1
    FACE = 2  # skin of the face, ears and beard included
    SKIN = 3  # any other skin
    UPPER = 4  # shirts, pullovers, gloves
    OUTER = 5  # jackets and coats
    LOWER = 6  # trousers and belts
    SKIRT = 7  # skirts and dresses
    SHOES = 8  # and socks
    CARRIED = 9  # bags, balls, sticks
    HAT = 10
    CLOTHES = 11  # clothes, by a parser that does not tell them apart


BARE = (ParseClass.FACE, ParseClass.SKIN)
CLOTH = (
    ParseClass.UPPER,
    ParseClass.OUTER,
    ParseClass.LOWER,
    ParseClass.SKIRT,
    ParseClass.SHOES,
    ParseClass.CLOTHES,
)


@dataclass(frozen=True)
class Parsing:
    """What a photo shows in a rectangle around one person.

    Attributes:
        window: (x0, y0, x1, y1) of the rectangle, pixels of the photo; it may reach beyond the photo.
        probabilities: (h, w, C) float32, of the classes in the order of `ParseClass`, over the whole window.
    """

    window: tuple[float, float, float, float]
    probabilities: NDArray[np.float32]

    def at(self, pixels: Floats, classes: tuple[ParseClass, ...]) -> NDArray[np.float32]:
        """Probability (K,) that pixels (K, 2) of the photo show one of the classes; 0 outside the window."""
        height, width = self.probabilities.shape[:2]
        x0, y0, x1, y1 = self.window
        places = (np.asarray(pixels, np.float64) - (x0, y0)) * (width / (x1 - x0), height / (y1 - y0))
        inside = (places >= 0).all(1) & (places < (width, height)).all(1)
        places = np.clip(places - 0.5, 0, (width - 1, height - 1))
        picture = self.probabilities[..., list(classes)].sum(-1)
        low = np.minimum(places.astype(np.int64), (max(width - 2, 0), max(height - 2, 0)))
        (column, row), (right, down) = low.T, (places - low).T
        far_column, far_row = np.minimum(column + 1, width - 1), np.minimum(row + 1, height - 1)
        upper = picture[row, column] * (1 - right) + picture[row, far_column] * right
        lower = picture[far_row, column] * (1 - right) + picture[far_row, far_column] * right
        return np.where(inside, upper * (1 - down) + lower * down, 0).astype(np.float32)
