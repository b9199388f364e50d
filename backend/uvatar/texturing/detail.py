"""Fine structure for the far side of the body: what the near side shows at the same place of the picture.

A back that is completed from smooth colours looks like plastic.  Cloth and skin go round the body, so their weave,
folds and stripes are continued straight through it, as brightness only.  What sticks out of its surroundings (a logo, a
tie, buttons) is clipped to the usual roughness of that slice of the garment, so that it does not show up mirrored on
the back. Hair gets strands of its own: the face lies before it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvatar.photos.colour import LUMA
from uvatar.photos.sampling import bilinear
from uvatar.texturing.projection import Glimpse
from uvatar.texturing.surface import HEAD, LEFT_HAND, RIGHT_HAND, Surface
from uvatar.texturing.texels import TexelTable

# Structure up to this width (metres) is detail; the vertices' colours carry the rest.
_COARSEST = 0.012
# Detail is kept within so many robust standard deviations of its slice, and within these factors at all.
_SIGMAS = 1.5
_STRONGEST = 0.15
# Strands of hair: how many around the head, how long (metres), and how much they differ in brightness.
_STRANDS, _STRAND_ROWS, _STRAND_LENGTH, _STRAND_CONTRAST = 560, 64, 0.03, 0.08


def borrowed_detail(
    glimpse: Glimpse, alpha: NDArray[np.float32], surface: Surface, table: TexelTable
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Relative brightness (T,), about 0, for texels that no photo sees fully, and the colour (V, 3) around where it
    comes from.
    """
    sight, foreground = glimpse.sight, glimpse.foreground
    coarse_width = _COARSEST * sight.pixels_per_metre
    lender = foreground.sample(sight.pixels, coarse_width)
    detail = np.zeros(len(table), np.float32)
    lends = ~np.isin(surface.part, (HEAD, LEFT_HAND, RIGHT_HAND))
    vertex = surface.faces[table.face, 0]
    texels = np.flatnonzero((alpha < 1) & lends[vertex])
    points = table.interpolate(sight.vertices, surface.faces, texels)
    pixels = glimpse.view.camera.project(points)
    usable = (sight.part_at(points) == surface.part[vertex[texels]]) & (sight.trust_at(points) > 0.5)
    usable &= foreground.depth_inside(pixels) > 0.5 * coarse_width
    texels, pixels = texels[usable], pixels[usable]
    fine = foreground.sample(pixels, glimpse.footprint[table.face[texels]]) @ LUMA
    coarse = foreground.sample(pixels, coarse_width) @ LUMA
    contrast = fine / np.maximum(coarse, 0.01) - 1
    limit = np.minimum(_SIGMAS * _roughness(contrast, surface.ring[vertex[texels]], len(surface.ring_part)), _STRONGEST)
    detail[texels] = np.clip(contrast, -limit, limit)
    _add_strands(detail, surface, table)
    return detail, lender


def _add_strands(detail: NDArray[np.float32], surface: Surface, table: TexelTable) -> None:
    """Hair on the scalp: noise that is fine around the head and long down it, and so whirls at the crown."""
    scalp = surface.scalp.astype(np.float32)
    amount = table.interpolate(scalp, surface.faces)
    texels = np.flatnonzero(amount > 0)
    place = table.interpolate(surface.template, surface.faces, texels)
    middle = surface.template[surface.scalp].mean(0) if surface.scalp.any() else np.zeros(3, np.float32)
    turn = np.arctan2(place[:, 0] - middle[0], place[:, 2] - middle[2]) / (2 * np.pi) + 0.5
    random = np.random.default_rng(7).standard_normal((_STRAND_ROWS, _STRANDS)).astype(np.float32)
    wave = 0.006 * np.sin(60 * place[:, 1] + 12 * np.pi * turn)
    column = (turn + wave) % 1 * _STRANDS
    row = (place[:, 1] - middle[1] + 0.3) / _STRAND_LENGTH
    strands = bilinear(np.pad(random, ((0, 0), (1, 1)), mode="wrap"), np.column_stack([column + 1, row]))
    detail[texels] += _STRAND_CONTRAST * amount[texels] * np.clip(strands, -2, 2)


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
