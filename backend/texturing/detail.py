"""Fine structure for the far side of the body: what the near side shows at the same place of the picture.

A back that is completed from smooth colours looks like plastic.  Cloth and skin go round the body, so their weave, folds
and stripes are continued straight through it, as brightness only.  What sticks out of its surroundings (a logo, a tie,
buttons) is clipped to the usual roughness of that slice of the garment, so that it does not show up mirrored on the back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.texturing.projection import Glimpse
from backend.texturing.surface import HEAD, LEFT_HAND, RIGHT_HAND, Surface
from backend.texturing.texels import TexelTable

# Structure up to this width (metres) is detail; the vertices' colours carry the rest.
_COARSEST = 0.025
# Detail is kept within so many robust standard deviations of its slice, and within these factors at all.
_SIGMAS = 2.0
_STRONGEST = 0.35


def borrowed_detail(glimpse: Glimpse, alpha: NDArray[np.float32], surface: Surface, table: TexelTable) -> NDArray[np.float32]:
    """(T,) factors about 1 for the texels that no photo sees; 1 where nothing can be borrowed."""
    sight, foreground = glimpse.sight, glimpse.foreground
    detail = np.ones(len(table), np.float32)
    lends = ~np.isin(surface.part, (HEAD, LEFT_HAND, RIGHT_HAND))
    vertex = surface.faces[table.face, 0]
    texels = np.flatnonzero((alpha < 1) & lends[vertex])
    points = table.interpolate(sight.vertices, surface.faces, texels)
    pixels = glimpse.view.camera.project(points)
    coarse_width = _COARSEST * sight.pixels_per_metre
    usable = (sight.part_at(points) == surface.part[vertex[texels]]) & (sight.trust_at(points) > 0.5)
    usable &= foreground.depth_inside(pixels) > 0.5 * coarse_width
    texels, pixels = texels[usable], pixels[usable]
    if not len(texels):
        return detail
    luma = np.float32([0.21, 0.72, 0.07])
    fine = foreground.sample(pixels, glimpse.footprint[table.face[texels]]) @ luma
    coarse = foreground.sample(pixels, coarse_width) @ luma
    contrast = fine / np.maximum(coarse, 0.01) - 1
    limit = np.minimum(_SIGMAS * _roughness(contrast, surface.ring[vertex[texels]], len(surface.ring_part)), _STRONGEST)
    detail[texels] = 1 + np.clip(contrast, -limit, limit)
    return detail


def _roughness(contrast: NDArray[np.float32], ring: NDArray[np.int32], rings: int) -> NDArray[np.float32]:
    """Robust standard deviation of the slice that each texel lies in."""
    order = np.argsort(ring, kind="stable")
    starts = np.searchsorted(ring[order], np.arange(rings + 1))
    magnitude = np.abs(contrast)[order]
    spread = np.zeros(rings, np.float32)
    for index in range(rings):
        own = magnitude[starts[index] : starts[index + 1]]
        if len(own):
            spread[index] = 1.48 * np.median(own)
    return spread[ring]
