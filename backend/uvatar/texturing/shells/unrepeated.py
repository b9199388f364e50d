"""What a garment has once: buttons, plackets, buckles, logos, the garment inside an open coat.

A pattern comes back beside itself, at another place of the same height; what does not is shown where the photo shows
it, and must not be carried to the sides and the back.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.data.arrays import Floats
from uvatar.texturing.shells.texels import extent_of


@dataclass(frozen=True)
class UnrepeatedSettings:
    """Tuned numbers of finding what is there once. Lengths are metres on the cloth.

    Attributes:
        pixel: of the picture in which it is looked for.
        strip: width of an upright strip; a pixel is compared with what is at least one strip away.
        height: in which places are compared, as one unit of log colour.
        unlike: log colour by which a pixel differs from everything there that makes it one of a kind: twice what
            weave, folds and noise leave between the two sides of plain and striped skirts.
        grown: by which it is enlarged, as its blurred edge is unlike too.
        most: share of what is seen that may be so; where it is more, the cloth has no regular pattern and copies of it
            are what there is.
        darkest: linear light added before the logarithm.
    """

    pixel: float = 0.004
    strip: float = 0.06
    height: float = 0.15
    unlike: float = 0.45
    grown: float = 0.012
    most: float = 0.35
    darkest: float = 0.01


DEFAULT_SETTINGS = UnrepeatedSettings()


def unrepeated(
    colours: NDArray[np.float32],
    seen: NDArray[np.bool_],
    points: Floats,
    settings: UnrepeatedSettings = DEFAULT_SETTINGS,
) -> NDArray[np.bool_]:
    """(N, N) what is there once, of what is ``seen`` (N, N).

    Args:
        colours: (N, N, 3) linear light; rows run down the garment, columns round it.
        seen: (N, N).
        points: (N, N, 3) the places, metres.
        settings: tuned numbers.
    """
    size = len(seen)
    across, down = extent_of(points)
    shape = tuple(int(np.clip(round(length / settings.pixel), 8, size)) for length in (across, down))
    pixel = max(across / shape[0], down / shape[1])  # coarser than the settings' where the texture is
    small = np.asarray(cv2.resize(colours, shape, interpolation=cv2.INTER_AREA), np.float32)
    known = cv2.resize(seen.astype(np.float32), shape, interpolation=cv2.INTER_AREA) > 0.99
    row, column = np.nonzero(known)
    once = np.zeros(known.shape, np.uint8)
    if not len(row):
        return once.astype(bool) & seen
    height = row * (down / shape[1]) / settings.height
    places = np.column_stack([np.log(np.maximum(small[known], 0) + settings.darkest), height])
    strip = (column * (across / shape[0]) / settings.strip).astype(int)
    apart = np.full(len(row), np.inf)
    for number in np.unique(strip):
        own, far = strip == number, np.abs(strip - number) > 1
        if far.any():
            apart[own], _ = cKDTree(places[far]).query(places[own], distance_upper_bound=settings.unlike)
        else:
            apart[own] = 0  # too narrow to tell
    once[row, column] = ~np.isfinite(apart)
    if once.sum() > settings.most * len(row):
        return np.zeros_like(seen)
    once[cv2.boxFilter(once, cv2.CV_16U, (3, 3), normalize=False) < 2] = 0  # a lone pixel is noise
    closed = cv2.morphologyEx(once, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    side = 2 * max(1, round(settings.grown / pixel)) + 1
    grown = cv2.dilate(closed, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return np.asarray(cv2.resize(grown, (size, size), interpolation=cv2.INTER_NEAREST)) > 0
