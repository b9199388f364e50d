# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pixels of a photo are a person's: as the backend sends it, and as an avatar keeps it."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST_SIDE = 512  # pixels
_LARGEST = 1e6  # pixels on a side of a photo


@dataclass(frozen=True)
class PersonMask:
    """A mask, small.

    Attributes:
        window: x0, y0, x1, y1 of its corners, pixels of the photo.
        pixels: (H, W) whether they are the person's, the top row first.
    """

    window: tuple[int, int, int, int]
    pixels: NDArray[np.bool_]


def parse_mask(entry: Mapping[str, Any]) -> PersonMask:
    """Check a mask as it comes from the backend. Raises KeyError, TypeError or ValueError if it is damaged."""
    pixels = np.asarray(entry["pixels"])
    if pixels.ndim != 2 or pixels.dtype != np.uint8 or not 0 < min(pixels.shape) <= max(pixels.shape) <= _MOST_SIDE:
        raise ValueError(f"the mask has the shape {pixels.shape}")
    return PersonMask(_window(entry["window"]), pixels > 127)


def stored(mask: PersonMask) -> dict[str, Any]:
    """Return the mask as JSON has it."""
    bits = zlib.compress(np.packbits(mask.pixels).tobytes(), 9)
    return {"window": mask.window, "size": mask.pixels.shape, "bits": base64.b64encode(bits).decode("ascii")}


def restored(text: str) -> PersonMask | None:
    """Return the mask that `stored` has made JSON of; None if it is damaged."""
    try:
        entry = json.loads(text)
        height, width = (int(side) for side in entry["size"])
        if not (0 < height <= _MOST_SIDE and 0 < width <= _MOST_SIDE):
            return None
        packed = -(-height * width // 8)
        bits = zlib.decompressobj().decompress(base64.b64decode(entry["bits"], validate=True), packed)
        pixels = np.unpackbits(np.frombuffer(bits, np.uint8), count=height * width)
        return PersonMask(_window(entry["window"]), pixels.reshape(height, width).astype(bool))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError, zlib.error):
        return None


def _window(sides: Any) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (int(side) for side in sides)
    if not (0 <= x0 < x1 <= _LARGEST and 0 <= y0 < y1 <= _LARGEST):
        raise ValueError("the mask's window is empty")
    return x0, y0, x1, y1
