"""Texels at grazing angles whose colour is not that of the material around them: hair on a temple, shirt on a neck.

The fitted body's outline is never quite the person's. Beside it a photo shows what lies behind or before: a texel that
is seen edge-on there has another thing's colour, drawn out into a smear. It is not taken for seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.photos.colour import colour_distance, smoothstep
from uvatar.texturing.completion.lowband import colours_at
from uvatar.texturing.completion.smooth import SeenColours
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import Part
from uvatar.texturing.materials.labels import HAIR, SKIN


@dataclass(frozen=True)
class OffMaterialSettings:
    """Tuned numbers, set while looking at the heads of 5 people in 6 photos.

    Attributes:
        grazing: cosines to the line of sight up to which a texel may be rejected, and from which it is shown,
        neck_grazing: and the same on the neck, where collars, hair and skin meet.
        hairline: rings of vertices on both sides of the border of hair and skin where a texel may have either's colour:
            the border is finer than the mesh that materials are told on.
        facing: cosine from which texels tell how much their material varies: stripes, folds, the face's features,
        varies: by this quantile of their colour distances from the material's smooth colour,
        least_facing: if there are so many.
        least_limit: colour distance that is allowed at least.
        beyond: multiples of what is allowed from which, and from which fully, a texel is rejected.
        grown: texels at a side of the neighbourhood that is rejected with one: its blurred edge.
    """

    grazing: tuple[float, float] = (0.05, 0.2)
    neck_grazing: tuple[float, float] = (0.35, 0.55)
    hairline: int = 2
    facing: float = 0.6
    varies: float = 0.9
    least_facing: int = 200
    least_limit: float = 0.12
    beyond: tuple[float, float] = (1.3, 2.0)
    grown: int = 5


DEFAULT_SETTINGS = OffMaterialSettings()


def without_off_material(
    seen: SeenColours,
    cosine: Floats,
    low: NDArray[np.float32],
    labels: NDArray[np.int64],
    texel_labels: NDArray[np.uint8],
    settings: OffMaterialSettings = DEFAULT_SETTINGS,
) -> SeenColours:
    """What the photos show without what is seen at a grazing angle and is off its material's colour.

    Args:
        seen: what the photos show.
        cosine: (T,) between the surface's normal and the line of sight of the photo that shows the texel best.
        low: (V, 3) linear light, smooth colours of the materials.
        labels: (V,) materials.
        texel_labels: (T,) materials.
        settings: tuned numbers.
    """
    atlas = seen.atlas
    shown = np.flatnonzero(seen.alpha > 0)
    own_labels, angle = texel_labels[shown], cosine[shown]
    face, barycentric = atlas.table.face[shown], atlas.table.barycentric[shown]
    smooth = colours_at(low, labels, own_labels, atlas.surface, face, barycentric)
    away = colour_distance(seen.colours[shown], smooth)
    limit = np.full(int(texel_labels.max(initial=0)) + 1, settings.least_limit)
    facing = angle > settings.facing
    for label in np.unique(own_labels[facing]):
        own = facing & (own_labels == label)
        if own.sum() >= settings.least_facing:
            limit[label] = max(settings.least_limit, float(np.quantile(away[own], settings.varies)))
    excess = away / limit[own_labels]
    for label, other in ((SKIN, HAIR), (HAIR, SKIN)):
        near = (own_labels == label) & _by_border(labels, (SKIN, HAIR), atlas, settings.hairline)[shown]
        if near.any() and (labels == other).any():
            colour = np.median(low[labels == other], axis=0)
            excess[near] = np.minimum(excess[near], colour_distance(seen.colours[shown[near]], colour) / limit[other])
    off = np.zeros(len(seen.alpha), np.float32)
    off[shown] = smoothstep(excess, *settings.beyond)
    turned = _turned(cosine, atlas, settings)
    off[turned == 0] = 0
    side = np.ones((settings.grown, settings.grown), np.uint8)
    off = np.asarray(cv2.dilate(atlas.table.scatter(off), side), np.float32).ravel()[atlas.table.pixel]
    off *= turned
    return replace(seen, alpha=seen.alpha * (1 - off), certain=seen.certain * (1 - off))


def _by_border(labels: NDArray[np.int64], pair: tuple[int, int], atlas: Atlas, rings: int) -> NDArray[np.bool_]:
    """(T,) texels within so many rings of vertices of where two materials meet."""
    graph = atlas.surface.graph
    first, second = ((labels == label).astype(np.float32) for label in pair)
    near = ((graph @ first > 0) & (second > 0)) | ((graph @ second > 0) & (first > 0))
    for _ in range(rings):
        near |= graph @ near.astype(np.float32) > 0
    found: NDArray[np.bool_] = near[atlas.surface.faces].any(1)[atlas.table.face]
    return found


def _turned(cosine: Floats, atlas: Atlas, settings: OffMaterialSettings) -> NDArray[np.float32]:
    """(T,) 0..1, whether a texel is seen at so grazing an angle that it may be rejected."""
    surface = atlas.surface
    neck = (surface.part == Part.HEAD) & ~surface.scalp & ~surface.face_front
    if surface.face_front.any():
        neck &= surface.template[:, 1] < surface.template[surface.face_front, 1].min()
    on_neck, elsewhere = (1 - smoothstep(cosine, *limit) for limit in (settings.neck_grazing, settings.grazing))
    return np.where(atlas.of_first_vertex(neck), on_neck, elsewhere).astype(np.float32)
