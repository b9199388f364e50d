"""The labels of a texture's source map: the origin of each texel's colour."""

from __future__ import annotations

from enum import IntEnum


class Label(IntEnum):
    """The origin of a texel's colour; its value is the one stored in the source map (uint8)."""

    EMPTY = 0  # outside the islands
    SEEN = 1  # a photo, or what the artist painted
    MIRRORED = 2  # the other side of the body
    COMPLETED = 3  # interpolated from what is known
    PREDICTED = 4  # the Texture Predictor


LABEL_NAMES = tuple(label.name.lower() for label in Label)

# (R, G, B), sRGB, for each label: told apart by colour-blind eyes too (Okabe and Ito 2008).
LABEL_COLOURS = ((0, 0, 0), (0, 158, 115), (86, 180, 233), (230, 159, 0), (204, 121, 167))
