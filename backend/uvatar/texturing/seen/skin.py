"""The colour of the person's skin, for skin that no photo shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.face import BARE_SKIN, FACE_SCORE
from uvatar.photos.colour import LUMA, linear_from_srgb, perceptual
from uvatar.photos.skin import hue_distance
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import ARMS, HANDS, Part
from uvatar.texturing.seen.projection import ProjectedView


@dataclass(frozen=True)
class SkinSettings:
    """Tuned numbers of the skin's colour. Where nothing is said of how a number was chosen, that is not recorded.

    Attributes:
        patch: width of the patches of bare skin that are averaged, as a share of the face's width.
        least_patches: of bare skin that must lie inside the mask.
        least_seen: share of a part's texels that must be seen for it to tell the skin's colour.
        hue_distance: from ``unknown``, up to which a part may be bare skin.
        saturated: what more saturation than that counts in that distance: warm light and dark photos saturate skin.
        shade: what black has more in that distance than white, when one of several parts is chosen: in deep shade, hue
            says little.
        unknown: sRGB, 0 to 255, of skin of which nothing is seen: a middling tone.
        grey_range, grey_share: a photo is grey if the channels of this share of its pixels differ by less than that,
            of 255.
    """

    patch: float = 0.06
    least_patches: int = 3
    least_seen: float = 0.05
    hue_distance: float = 0.12
    saturated: float = 0.25
    shade: float = 0.1
    unknown: tuple[int, int, int] = (190, 150, 128)
    grey_range: int = 4
    grey_share: float = 0.98


DEFAULT_SETTINGS = SkinSettings()


def skin_colour(
    projected_views: Sequence[ProjectedView],
    colours: NDArray[np.float32],
    alpha: NDArray[np.float32],
    atlas: Atlas,
    settings: SkinSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float32]:
    """Estimate the colour of the person's skin.

    It is that of the first photo that shows the face, else of head, hand or arm, whichever looks most like skin
    in the light, else a middling tone.

    Args:
        projected_views: the photos.
        colours: (T, 3) linear light that they show.
        alpha: (T,) 0..1, how surely they do.
        atlas: of the body.
        settings: tuned numbers.

    Returns linear light (3,).
    """
    for view in projected_views:
        person = view.source.person
        if person.face is not None and person.face_score > FACE_SCORE:
            points = person.face[BARE_SKIN]
            width = float(np.ptp(person.face[:, 0]))
            samples = view.foreground.sample(points.astype(np.float32), settings.patch * width)
            inside = view.foreground.depth_inside(points.astype(np.float32)) > 0
            if inside.sum() >= settings.least_patches:
                median: NDArray[np.float32] = np.median(samples[inside], axis=0)
                return median
    texel_part = atlas.of_first_vertex(atlas.surface.part)
    below_hair = atlas.interpolate(atlas.surface.scalp.astype(np.float32)) < 0.01
    tone = linear_from_srgb(np.array(settings.unknown, np.uint8))
    hue, best, least = _hue(tone), None, np.inf
    for part in (Part.HEAD, *HANDS, *ARMS):
        own = np.flatnonzero((texel_part == part) & below_hair & (alpha > 0.5))
        if len(own) > settings.least_seen * (texel_part == part).sum():
            colour: NDArray[np.float32] = np.median(colours[own], axis=0)
            # brightness says nothing of whether it is skin: that has one hue in all its shades
            away = float(hue_distance(_hue(colour), hue, settings.saturated))
            unlikely = away + settings.shade * (1 - float(perceptual(colour)[0]))
            if away < settings.hue_distance and unlikely < least:
                best, least = colour, unlikely
    if best is not None:
        return best
    sparse = projected_views[0].source.photo.pixels[::16, ::16]
    grey = bool((np.ptp(sparse, axis=-1) < settings.grey_range).mean() > settings.grey_share)
    return np.full(3, tone @ LUMA, np.float32) if grey else tone


def _hue(colour: NDArray[np.float32]) -> NDArray[np.float32]:
    """Chroma over luma (2,) of linear light (3,)."""
    coded = perceptual(colour)
    hue: NDArray[np.float32] = coded[1:] / max(float(coded[0]), 1e-3)
    return hue
