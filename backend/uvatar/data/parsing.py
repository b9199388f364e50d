"""Human parsing: what each pixel of a person shows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


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
