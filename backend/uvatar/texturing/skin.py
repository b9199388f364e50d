"""The colour of the person's skin, for what of it no photo shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uvatar.photos.colour import LUMA, linear_from_srgb, perceptual
from uvatar.texturing.projection import Glimpse
from uvatar.texturing.surface import HEAD, LEFT_ARM, LEFT_HAND, RIGHT_ARM, RIGHT_HAND, Surface
from uvatar.texturing.texels import TexelTable

# MediaPipe face mesh points on the cheeks, the nose and the forehead, where neither hair nor beard is likely.
_BARE_POINTS = [50, 280, 205, 425, 101, 330, 4, 5, 151, 108, 337]
FACE_SCORE = 0.5
# A part of which this share is seen may tell the skin's colour if its hue is this near to skin's.
_ENOUGH, _ALMOST_SKIN = 0.05, 0.12
_UNKNOWN = np.array([190, 150, 128], np.uint8)


def skin_colour(
    glimpses: Sequence[Glimpse],
    colours: NDArray[np.float32],
    alpha: NDArray[np.float32],
    surface: Surface,
    table: TexelTable,
) -> NDArray[np.float32]:
    """(3,) linear light: from the first photo that shows the face, else the part that looks most like skin, else a
    middling tone.
    """
    for glimpse in glimpses:
        person = glimpse.view.person
        if person.face is not None and person.face_score > FACE_SCORE:
            points = person.face[_BARE_POINTS]
            width = float(np.ptp(person.face[:, 0]))
            samples = glimpse.foreground.sample(points.astype(np.float32), 0.06 * width)
            inside = glimpse.foreground.depth_inside(points.astype(np.float32)) > 0
            if inside.sum() >= 3:
                return np.median(samples[inside], axis=0)
    texel_part = surface.part[surface.faces[table.face, 0]]
    below_hair = table.interpolate(surface.scalp.astype(np.float32), surface.faces) < 0.01
    tone = linear_from_srgb(_UNKNOWN)
    best, smallest = tone, _ALMOST_SKIN
    for part in (HEAD, LEFT_HAND, RIGHT_HAND, LEFT_ARM, RIGHT_ARM):
        own = np.flatnonzero((texel_part == part) & below_hair & (alpha > 0.5))
        if len(own) > _ENOUGH * (texel_part == part).sum():
            colour = np.median(colours[own], axis=0)
            # brightness says nothing: skin has one hue in all its shades
            difference = float(
                np.linalg.norm(
                    (perceptual(colour) / perceptual(colour)[0] - perceptual(tone) / perceptual(tone)[0])[1:]
                )
            )
            if difference < smallest:
                best, smallest = colour, difference
    grey = bool((np.ptp(glimpses[0].view.photo.pixels[::16, ::16], axis=-1) < 4).mean() > 0.98)
    return np.full(3, tone @ LUMA, np.float32) if grey and best is tone else best
