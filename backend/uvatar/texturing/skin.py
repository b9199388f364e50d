"""The colour of the person's skin, for skin that no photo shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uvatar.data.face import BARE_SKIN
from uvatar.photos.colour import LUMA, linear_from_srgb, perceptual
from uvatar.texturing.atlas import Atlas
from uvatar.texturing.projection import ProjectedView
from uvatar.texturing.surface import HEAD, LEFT_ARM, LEFT_HAND, RIGHT_ARM, RIGHT_HAND

FACE_SCORE = 0.5
# A part of which this share is seen may tell the skin's colour if its hue is this near to skin's.
_ENOUGH, _ALMOST_SKIN = 0.05, 0.12
_UNKNOWN = np.array([190, 150, 128], np.uint8)


def skin_colour(
    projected_views: Sequence[ProjectedView],
    colours: NDArray[np.float32],
    alpha: NDArray[np.float32],
    atlas: Atlas,
) -> NDArray[np.float32]:
    """(3,) linear light: from the first photo that shows the face, else the part that looks most like skin, else a
    middling tone.
    """
    for view in projected_views:
        person = view.source.person
        if person.face is not None and person.face_score > FACE_SCORE:
            points = person.face[BARE_SKIN]
            width = float(np.ptp(person.face[:, 0]))
            samples = view.foreground.sample(points.astype(np.float32), 0.06 * width)
            inside = view.foreground.depth_inside(points.astype(np.float32)) > 0
            if inside.sum() >= 3:
                median: NDArray[np.float32] = np.median(samples[inside], axis=0)
                return median
    texel_part = atlas.of_first_vertex(atlas.surface.part)
    below_hair = atlas.interpolate(atlas.surface.scalp.astype(np.float32)) < 0.01
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
    grey = bool((np.ptp(projected_views[0].source.photo.pixels[::16, ::16], axis=-1) < 4).mean() > 0.98)
    return np.full(3, tone @ LUMA, np.float32) if grey and best is tone else best
