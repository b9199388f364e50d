"""Structure of cloth for what no photo shows: folds, weave and pattern of the seen front, as ratios to the smooth band.

Structure moves in the photo's own picture: an unseen point takes it from the pixel that it projects to, straight
through the body. So it meets the front at the outline, and stripes and checks stay straight. Close to the outline,
where the photo is stretched, the picture is mirrored at the contour of what is trusted. Each material is a picture of
its own, in which single things (plackets, ties, logos) are holes, and holes are filled from the rest of the material.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.photos.sampling import bilinear
from uvatar.texturing.atlas import Atlas
from uvatar.texturing.pattern_settings import DEFAULT_SETTINGS, PatternSettings
from uvatar.texturing.pattern_sources import clean_sources, of_others
from uvatar.texturing.projection import ProjectedView
from uvatar.texturing.shift_map import filled
from uvatar.texturing.structure_picture import NO_GROUP, Dressed, StructurePicture, cloth_groups, structure_picture
from uvatar.texturing.surface import Surface


def unseen_structure(
    view: ProjectedView,
    dressed: Dressed,
    texels: NDArray[np.int64],
    texel_labels: NDArray[np.uint8],
    alpha: NDArray[np.float32],
    certain: NDArray[np.float32],
    atlas: Atlas,
    settings: PatternSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float32]:
    """Find the structure of texels that no photo shows fully.

    Args:
        view: the photo that it is taken from.
        dressed: materials and smooth colours.
        texels: (M,) that need structure.
        texel_labels: (M,) their materials.
        alpha, certain: (T,) of all texels, as in `SeenColours`.
        atlas: of the body.
        settings: tuned numbers.

    Returns (M, 3) factors of the smooth colour plus ``settings.darkest``.
    """
    surface = atlas.surface
    group = cloth_groups(surface)
    texel_group = group[surface.faces[atlas.table.face[texels], 0]]
    picture = structure_picture(view, dressed, group, alpha, certain, atlas, settings)
    place = _places(view, texels, picture, atlas, settings)
    result = np.ones((len(texels), 3), np.float32)
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
            clean, strength = clean_sources(values, source[box], picture, box, settings)
            whole = filled(values, clean, wanted[box], picture.metre, settings.shift)
            at = place[own] - np.array([columns[0], rows[0]], np.float32)
            result[own] = np.exp(strength * bilinear(np.ascontiguousarray(whole), at))
    return result


def _places(
    view: ProjectedView, texels: NDArray[np.int64], picture: StructurePicture, atlas: Atlas, settings: PatternSettings
) -> NDArray[np.float32]:
    """The pixels (M, 2) of the picture that texels take their structure from."""
    surface, vertices = atlas.surface, view.visibility.vertices
    normals = view.visibility.normals
    sight = vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    outwards = normals - (normals * sight).sum(1, keepdims=True) * sight
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-6)
    # Folds of the fitted surface would make straight stripes wavy.
    degree = np.asarray(surface.graph.sum(1)).ravel()[:, None] + 1
    smooth = np.column_stack([outwards, view.visibility.cosine])
    for _ in range(settings.mapping_rounds):
        smooth = (smooth + surface.graph @ smooth) / degree
    outwards, bend = smooth[:, :3], smooth[:, 3]
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-6)
    radius = settings.ring_share * _radii(vertices, surface)
    values = np.column_stack([vertices, outwards, bend, radius]).astype(np.float32)
    at = atlas.interpolate(values, texels)
    points, outwards, cosine, radius = at[:, :3], at[:, 3:6], at[:, 6], at[:, 7]
    angle, limit = np.arcsin(np.clip(np.abs(cosine), 0, 1)), np.arcsin(settings.cosine)
    inwards = np.where(angle < limit, np.cos(angle) - np.cos(2 * limit - angle), 0) * radius
    return picture.camera.project(points - outwards * inwards[:, None]).astype(np.float32)


def _radii(vertices: Floats, surface: Surface) -> NDArray[np.float64]:
    """The mean distance (V,) of each vertex's slice from its centre line, metres, smoothed from slice to slice."""
    rings = len(surface.ring_part)
    count = np.maximum(np.bincount(surface.ring, minlength=rings), 1)
    centre = np.stack([np.bincount(surface.ring, vertices[:, k], rings) for k in range(3)], 1) / count[:, None]
    distance = np.linalg.norm(vertices - centre[surface.ring], axis=1)
    mean = (np.bincount(surface.ring, distance, rings) / count)[surface.ring]
    degree = np.asarray(surface.graph.sum(1)).ravel() + 1
    for _ in range(4):
        mean = (mean + surface.graph @ mean) / degree
    return np.asarray(mean, np.float64)
