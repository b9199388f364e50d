"""A photo as its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    Attributes:
        pixels: (H, W, 3) uint8 sRGB, upright (EXIF orientation applied).
        focal: focal length in pixels of ``pixels`` where EXIF gives it (35 mm equivalent), else None.
        digest: sha256 of the original bytes, hexadecimal.
        name: the file name that the artist knows it by (no folder).
        up: (3,) unit vector against gravity in the camera's frame (x right, y down, z forward) where the file holds
            what the camera's accelerometer measured, else None.
    """

    pixels: NDArray[np.uint8]
    focal: float | None
    digest: str
    name: str = "photo"
    up: tuple[float, float, float] | None = None


# A photo as it is given: the file name that the artist knows it by (no folder), and the file's bytes.
PhotoFile = tuple[str, bytes]
