"""Structure of cloth for what no photo shows: folds, weave and pattern of the seen front, as ratios to the smooth band.

Structure moves in the photo's own picture: an unseen point takes it from the pixel that it projects to, straight
through the body. So it meets the front at the outline, and stripes and checks stay straight. At the sides, where the
photo is stretched, the picture goes on outside the outline as the cloth does (`pattern_places`). Each material is a
picture of its own, in which single things (plackets, ties, logos) and the sides are holes, and holes are filled from
the rest of the material.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.photos.sampling import bilinear
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.pattern.places import places
from uvatar.texturing.pattern.settings import DEFAULT_SETTINGS, PatternSettings
from uvatar.texturing.pattern.shift_map import filled
from uvatar.texturing.pattern.sources import clean_sources, of_others
from uvatar.texturing.pattern.structure_picture import NO_GROUP, Dressed, cloth_groups, structure_picture
from uvatar.texturing.seen.projection import ProjectedView


def unseen_structure(
    view: ProjectedView,
    dressed: Dressed,
    texels: NDArray[np.int64],
    texel_labels: NDArray[np.uint8],
    alpha: NDArray[np.float32],
    certain: NDArray[np.float32],
    atlas: Atlas,
    settings: PatternSettings = DEFAULT_SETTINGS,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Find the structure of texels that no photo shows fully.

    Args:
        view: the photo that it is taken from.
        dressed: materials and smooth colours.
        texels: (M,) that need structure.
        texel_labels: (M,) their materials.
        alpha, certain: (T,) of all texels, as in `SeenColours`.
        atlas: of the body.
        settings: tuned numbers.

    Returns (M, 3) factors of the smooth colour plus ``settings.darkest``, and how patterned (M,), 0..1, the material is
    there; 0 where nothing tells.
    """
    surface = atlas.surface
    group = cloth_groups(surface)
    texel_group = group[surface.faces[atlas.table.face[texels], 0]]
    picture = structure_picture(view, dressed, group, alpha, certain, atlas, settings)
    place = places(view, texels, picture.camera, atlas, settings)
    result, patterned = np.ones((len(texels), 3), np.float32), np.zeros(len(texels), np.float32)
    height, width = picture.label.shape
    for material in np.unique(texel_labels[texel_group != NO_GROUP]):
        others = of_others(picture, material, settings)
        for cloth in np.unique(texel_group[(texel_group != NO_GROUP) & (texel_labels == material)]):
            source = picture.source & (picture.label == material) & (picture.group == cloth)
            large = source.sum() >= settings.least_area * picture.metre**2
            source &= ~others
            if not large or not source.any():  # all of it may show other materials beside it
                continue
            own = np.flatnonzero((texel_group == cloth) & (texel_labels == material))
            column, row = np.clip(place[own].astype(np.int32), 0, (width - 1, height - 1)).T
            wanted = np.bincount(row * width + column, minlength=height * width).reshape(height, width) > 0
            wanted = cv2.dilate(wanted.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
            rows, columns = (np.flatnonzero((wanted | source).any(axis)) for axis in (1, 0))
            box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            values = picture.structure[box]
            clean, patterned[own] = clean_sources(values, source[box], picture, box, settings)
            whole = filled(values, clean, wanted[box], picture.metre, settings.shift)
            at = place[own] - np.array([columns[0], rows[0]], np.float32)
            whole = _without_shade(whole, wanted[box], picture.metre, settings)
            strength = settings.plain_strength + (1 - settings.plain_strength) * patterned[own]
            result[own] = np.exp(strength[:, None] * bilinear(np.ascontiguousarray(whole), at))
    return result, patterned


def _without_shade(
    whole: NDArray[np.float32], wanted: NDArray[np.bool_], metre: float, settings: PatternSettings
) -> NDArray[np.float32]:
    """Structure (h, w, 3) of the wanted pixels (h, w) with less of what changes slowly over them."""
    weight = wanted.astype(np.float32)
    deviation = settings.broad * metre
    total = np.maximum(np.asarray(cv2.GaussianBlur(weight, (0, 0), deviation), np.float32), 1e-3)
    broad = np.asarray(cv2.GaussianBlur(whole * weight[..., None], (0, 0), deviation), np.float32) / total[..., None]
    return np.asarray(whole - (1 - settings.broad_strength) * broad, np.float32)
