"""Fine structure for the far side of the body, taken from the near side at the same place in the picture.

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
from uvatar.texturing.atlas import Atlas
from uvatar.texturing.projection import ProjectedView
from uvatar.texturing.surface import HEAD, LEFT_HAND, RIGHT_HAND

# Structure up to this width (metres) is detail; the vertices' colours carry the rest.
_COARSEST = 0.012
# Detail is kept within so many robust standard deviations of its slice, and within these factors at all.
_SIGMAS = 1.5
_STRONGEST = 0.15
# Strands of hair: how many around the head, how long (metres), and how much they differ in brightness.
_STRANDS, _STRAND_ROWS, _STRAND_LENGTH, _STRAND_CONTRAST = 560, 64, 0.03, 0.08


def unseen_detail(
    view: ProjectedView, alpha: NDArray[np.float32], atlas: Atlas
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Relative brightness (T,), about 0, for texels that no photo sees fully, and the colour (V, 3) around where it
    comes from.
    """
    visibility, foreground = view.visibility, view.foreground
    coarse_width = _COARSEST * visibility.pixels_per_metre
    detail_colour = foreground.sample(visibility.pixels, coarse_width)
    detail = np.zeros(len(atlas.table), np.float32)
    lends = ~np.isin(atlas.surface.part, (HEAD, LEFT_HAND, RIGHT_HAND))
    vertex = atlas.surface.faces[atlas.table.face, 0]
    texels = np.flatnonzero((alpha < 1) & lends[vertex])
    points = atlas.interpolate(visibility.vertices, texels)
    pixels = view.source.camera.project(points)
    usable = (visibility.part_at(points) == atlas.surface.part[vertex[texels]]) & (visibility.trust_at(points) > 0.5)
    usable &= foreground.depth_inside(pixels) > 0.5 * coarse_width
    texels, pixels = texels[usable], pixels[usable]
    fine = foreground.sample(pixels, view.footprint[atlas.table.face[texels]]) @ LUMA
    coarse = foreground.sample(pixels, coarse_width) @ LUMA
    contrast = fine / np.maximum(coarse, 0.01) - 1
    limit = np.minimum(
        _SIGMAS * _roughness(contrast, atlas.surface.ring[vertex[texels]], len(atlas.surface.ring_part)), _STRONGEST
    )
    detail[texels] = np.clip(contrast, -limit, limit)
    _add_strands(detail, atlas)
    return detail, detail_colour


def _add_strands(detail: NDArray[np.float32], atlas: Atlas) -> None:
    """Hair on the scalp: noise that is fine around the head and long down it, and so whirls at the crown."""
    surface = atlas.surface
    amount = atlas.interpolate(surface.scalp.astype(np.float32))
    texels = np.flatnonzero(amount > 0)
    place = atlas.interpolate(surface.template, texels)
    middle = surface.template[surface.scalp].mean(0) if surface.scalp.any() else np.zeros(3, np.float32)
    around = np.arctan2(place[:, 0] - middle[0], place[:, 2] - middle[2]) / (2 * np.pi) + 0.5
    random = np.random.default_rng(7).standard_normal((_STRAND_ROWS, _STRANDS)).astype(np.float32)
    wave = 0.006 * np.sin(60 * place[:, 1] + 12 * np.pi * around)
    column = (around + wave) % 1 * _STRANDS
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
