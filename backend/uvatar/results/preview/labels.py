"""A texture's label map as a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.labels import LABEL_COLOURS, Label


def label_colours(source: NDArray[np.uint8], fill_gutters: bool = False) -> NDArray[np.uint8]:
    """A texture's label map (N, N) as a picture (N, N, 3): green seen, blue mirrored, orange completed, purple
    predicted.

    ``fill_gutters``: give empty texels the colour of the nearest island, as a picture that goes on a body needs.
    """
    table = np.zeros((256, 3), np.uint8)
    table[: len(LABEL_COLOURS)] = LABEL_COLOURS
    if fill_gutters and (source == Label.EMPTY).any() and (source != Label.EMPTY).any():
        empty = (source == Label.EMPTY).astype(np.uint8)
        _, nearest = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
        label_of = np.zeros(int(nearest.max()) + 1, np.uint8)
        label_of[nearest[empty == 0]] = source[empty == 0]
        source = label_of[nearest]
    return table[source]
