"""Fine structure for the unseen side of the body, taken from the seen side at the same place in the photo.

A back that is completed from smooth colours looks like plastic.  Cloth and skin go round the body, so their weave,
folds and stripes are continued straight through it, as brightness only.  What sticks out of its surroundings (a logo, a
tie, buttons) is clipped to a few times the usual roughness of that slice of the garment. Filling by material
(`uvatar.texturing.pattern.structure`), which leaves such things out, takes this only where the photo half shows the
surface.
Hair gets strands of its own: in front of it lies the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.photos.colour import LUMA
from uvatar.photos.sampling import bilinear
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import HANDS, Part
from uvatar.texturing.seen.projection import ProjectedView


@dataclass(frozen=True)
class DetailSettings:
    """Tuned numbers of detail. Where nothing is said of how a number was chosen, that is not recorded.

    Attributes:
        coarsest: width, metres, up to which structure is detail; the vertices' colours carry the rest. Stripes and
            folds are finer.
        deviations: robust standard deviations of its slice's detail within which detail is kept: logos, ties and
            buttons are clipped.
        strongest: relative brightness within which detail is kept.
        darkest: linear light that relative brightness is measured against at least.
        trust: of the photo from which detail is taken.
        edge: distance from the mask's edge, in units of ``coarsest``, from which detail is taken.
        strands: of hair, coarse and fine: how many around the head,
        strand_lengths: and how long, metres.
        strand_rows: of them.
        strand_contrast: least and greatest standard deviation of their relative brightness, clipped at twice that; in
            between that of the hair that the photo shows, of which
        least_hair: texels must be seen.
        wave, wave_number, wave_twist: strands wave by so much of the head's circumference, so many radians per metre of
            height, and so many full waves more round the head.
    """

    coarsest: float = 0.04
    deviations: float = 3.0
    strongest: float = 0.8
    darkest: float = 0.01
    trust: float = 0.5
    edge: float = 0.5
    strands: tuple[int, ...] = (70, 180, 480)
    strand_lengths: tuple[float, ...] = (0.08, 0.05, 0.03)
    strand_rows: int = 64
    strand_contrast: tuple[float, float] = (0.08, 0.22)
    least_hair: int = 200
    wave: float = 0.006
    wave_number: float = 60
    wave_twist: float = 6


DEFAULT_SETTINGS = DetailSettings()


def unseen_detail(
    view: ProjectedView, alpha: NDArray[np.float32], atlas: Atlas, settings: DetailSettings = DEFAULT_SETTINGS
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Find detail for the texels that no photo shows fully.

    Args:
        view: the photo that it is taken from.
        alpha: (T,) 0..1, how surely a photo shows each texel.
        atlas: of the body.
        settings: tuned numbers.

    Returns relative brightness (T,), about 0, and the colour (V, 3), linear light, around where it comes from.
    """
    visibility, foreground = view.visibility, view.foreground
    coarse_width = settings.coarsest * visibility.pixels_per_metre
    detail_colour = foreground.sample(visibility.pixels, coarse_width)
    detail = np.zeros(len(atlas.table), np.float32)
    has_detail = ~np.isin(atlas.surface.part, (Part.HEAD, *HANDS))
    vertex = atlas.surface.faces[atlas.table.face, 0]
    texels = np.flatnonzero((alpha < 1) & has_detail[vertex])
    points = atlas.interpolate(visibility.vertices, texels)
    pixels = view.source.camera.project(points)
    usable = visibility.part_at(points) == atlas.surface.part[vertex[texels]]
    # not `trust_at`: what is looked for lies before these points, which the photo does not show
    usable &= bilinear(visibility.trust, visibility.camera.project(points)) > settings.trust
    usable &= foreground.depth_inside(pixels) > settings.edge * coarse_width
    texels, pixels = texels[usable], pixels[usable]
    fine = foreground.sample(pixels, view.footprint[atlas.table.face[texels]]) @ LUMA
    coarse = foreground.sample(pixels, coarse_width) @ LUMA
    contrast = fine / np.maximum(coarse, settings.darkest) - 1
    roughness = _roughness(contrast, atlas.surface.ring[vertex[texels]], len(atlas.surface.ring_part))
    limit = np.minimum(settings.deviations * roughness, settings.strongest)
    detail[texels] = np.clip(contrast, -limit, limit)
    _add_strands(detail, _hair_contrast(view, alpha, atlas, settings), atlas, settings)
    return detail, detail_colour


def _hair_contrast(
    view: ProjectedView, alpha: NDArray[np.float32], atlas: Atlas, settings: DetailSettings
) -> NDArray[np.float64]:
    """The standard deviation of relative brightness in the hair that the photo shows."""
    least, greatest = settings.strand_contrast
    hair = np.flatnonzero((alpha > settings.trust) & atlas.of_first_vertex(atlas.surface.scalp))
    if len(hair) < settings.least_hair:
        return np.asarray(least)
    pixels = view.source.camera.project(atlas.interpolate(view.visibility.vertices, hair))
    fine = view.foreground.sample(pixels, view.footprint[atlas.table.face[hair]]) @ LUMA
    coarse = view.foreground.sample(pixels, settings.coarsest * view.visibility.pixels_per_metre) @ LUMA
    spread = 1.48 * np.median(np.abs(fine / np.maximum(coarse, settings.darkest) - 1))
    return np.asarray(np.clip(spread, least, greatest), np.float64)


def _add_strands(detail: NDArray[np.float32], contrast: Floats, atlas: Atlas, settings: DetailSettings) -> None:
    """Add hair on the scalp to ``detail`` (T,): noise that is fine around the head and long down it, so that it whirls
    at the crown; tufts and single strands.
    """
    surface = atlas.surface
    amount = atlas.interpolate(surface.scalp.astype(np.float32))
    texels = np.flatnonzero(amount > 0)
    place = atlas.interpolate(surface.template, texels)
    middle = surface.template[surface.scalp].mean(0) if surface.scalp.any() else np.zeros(3, np.float32)
    around = np.arctan2(place[:, 0] - middle[0], place[:, 2] - middle[2]) / (2 * np.pi) + 0.5
    wave = settings.wave * np.sin(settings.wave_number * place[:, 1] + 2 * settings.wave_twist * np.pi * around)
    generator = np.random.default_rng(7)
    total = np.zeros(len(texels), np.float32)
    for strands, length in zip(settings.strands, settings.strand_lengths, strict=True):
        random = generator.standard_normal((settings.strand_rows, strands)).astype(np.float32)
        column = (around + wave) % 1 * strands
        row = (place[:, 1] - middle[1] + 0.3) / length
        total += bilinear(np.pad(random, ((0, 0), (1, 1)), mode="wrap"), np.column_stack([column + 1, row]))
    total /= max(float(total.std()), 1e-6) if len(total) else 1.0
    detail[texels] += contrast * amount[texels] * np.clip(total, -2, 2)


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
