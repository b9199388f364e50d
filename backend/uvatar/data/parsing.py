"""Classes of human parsing: what each pixel of a person shows."""

from __future__ import annotations

from enum import IntEnum


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
