"""The colour of the person's skin, for what of it no photo shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.texturing.colour import linear_from_srgb
from backend.texturing.projection import Glimpse
from backend.texturing.surface import LEFT_HAND, RIGHT_HAND, Surface
from backend.texturing.texels import TexelTable

# MediaPipe face mesh points on the cheeks, the nose and the forehead, where neither hair nor beard is likely.
_BARE_POINTS = [50, 280, 205, 425, 101, 330, 4, 5, 151, 108, 337]
FACE_SCORE = 0.5
_UNKNOWN = np.array([190, 150, 128], np.uint8)


def skin_colour(
    glimpses: Sequence[Glimpse], colours: NDArray[np.float32], alpha: NDArray[np.float32], surface: Surface, table: TexelTable
) -> NDArray[np.float32]:
    """(3,) linear light: from the first photo that shows the face, else from the hands, else a middling skin tone."""
    for glimpse in glimpses:
        person = glimpse.view.person
        if person.face is not None and person.face_score > FACE_SCORE:
            points = person.face[_BARE_POINTS]
            width = float(np.ptp(person.face[:, 0]))
            samples = glimpse.foreground.sample(points.astype(np.float32), 0.06 * width)
            inside = glimpse.foreground.depth_inside(points.astype(np.float32)) > 0
            if inside.sum() >= 3:
                return np.median(samples[inside], axis=0)
    part = surface.part[surface.faces[table.face, 0]]
    hands = ((part == LEFT_HAND) | (part == RIGHT_HAND)) & (alpha > 0.5)
    if hands.sum() > 0.1 * np.isin(part, (LEFT_HAND, RIGHT_HAND)).sum():
        return np.median(colours[hands], axis=0)
    tone = linear_from_srgb(_UNKNOWN)
    grey = bool((np.ptp(glimpses[0].view.photo.pixels[::16, ::16], axis=-1) < 4).mean() > 0.98)
    return np.full(3, tone @ np.float32([0.21, 0.72, 0.07]), np.float32) if grey else tone
