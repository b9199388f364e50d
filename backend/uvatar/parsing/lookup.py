"""What a parser says at single pixels of the photo."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.parsing import ParseClass, Parsing
from uvatar.photos.sampling import bilinear


def probability_at(parsing: Parsing, pixels: Floats, classes: tuple[ParseClass, ...]) -> NDArray[np.float32]:
    """Probability (K,) that pixels (K, 2) of the photo show one of the classes; 0 outside the parsing's window."""
    height, width = parsing.probabilities.shape[:2]
    x0, y0, x1, y1 = parsing.window
    places = (np.asarray(pixels, np.float64) - (x0, y0)) * (width / (x1 - x0), height / (y1 - y0))
    inside = (places >= 0).all(1) & (places < (width, height)).all(1)
    found = bilinear(parsing.probabilities[..., list(classes)].sum(-1), places)
    return np.where(inside, found, 0).astype(np.float32)
