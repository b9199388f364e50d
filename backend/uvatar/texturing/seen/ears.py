"""Ears, which a photo hardly ever shows where the body has them: what falls on them from hair, cheek or background.

An ear that no hair covers is skin in the tone of the cheek before it, shaded by its own shape; what the photo shows of
it is kept where it is skin and not seen from the edge.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.data.arrays import Floats
from uvatar.data.labels import Label
from uvatar.geometry.mesh import vertex_normals
from uvatar.photos.colour import colour_distance, smoothstep
from uvatar.photos.sampling import bilinear
from uvatar.photos.skin import SkinLikenessSettings, skin_likeness
from uvatar.texturing.completion.smooth import SeenColours, mirrored_places
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import Part, Surface
from uvatar.texturing.seen.projection import Projection
from uvatar.texturing.seen.stray_hair import StrayHairSettings, hair_tone

EARS = (1, 2)  # as `Surface.ear` numbers them


@dataclass(frozen=True)
class EarSettings:
    """Tuned numbers of ears, set while looking at the heads of 10 people. Lengths are metres on the template.

    Attributes:
        least: share of an ear's texels that must be seen to tell whether hair covers it.
        told: cosine to the line of sight from which they tell it.
        like_hair: colour distance from hair up to which it may be hair.
        covered: share of them that is nearer to hair than to skin from which hair covers the ear,
        parted: and from which it does if the other ear is bare: an ear that lies beside the photo's shows hair.
        bare: share of an ear's seen texels that are skin from which it is bare.
        grazing: cosines up to which a bare ear's texel is not shown, and from which it is.
        around: distance from the middle of the ear within which hair and skin around it are told apart,
        turned: up to and from which cosines a texel of the other one is hidden, and is shown.
        skin: what is skin in an ear's shade or with the light behind it.
        cheek: distances from the middle of the ear between which the skin before it tells its tone.
        least_cheek: share of it that must be skin to tell it.
        edge: distances from the ear's edge from which it is painted, and fully.
        mirror: alpha of the mirror image from which an ear takes its structure, and fully.
        occluders: distance within which the head's surface shades the ear.
        shade: part of the light that full occlusion takes.
        darkest: least light that is left.
    """

    least: float = 0.05
    told: float = 0.3
    like_hair: float = 0.35
    covered: float = 0.5
    parted: float = 0.8
    bare: float = 0.6
    grazing: tuple[float, float] = (0.15, 0.4)
    around: float = 0.07
    turned: tuple[float, float] = (0.35, 0.65)
    skin: SkinLikenessSettings = field(
        default_factory=lambda: SkinLikenessSettings(hue=(0.2, 0.35), shade=(0.35, 0.55))
    )
    cheek: tuple[float, float] = (0.02, 0.055)
    least_cheek: float = 0.2
    edge: tuple[float, float] = (0.001, 0.006)
    mirror: tuple[float, float] = (0.5, 0.9)
    occluders: float = 0.02
    shade: float = 0.6
    darkest: float = 0.45


DEFAULT_SETTINGS = EarSettings()


def ear_doubt(
    projection: Projection,
    skin: Floats,
    atlas: Atlas,
    hair: StrayHairSettings,
    settings: EarSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float32]:
    """How far (M,), 0..1, each texel of a photo shows something else on bare ears and around them.

    Args:
        projection: of the photo.
        skin: (3,) linear light of the person's skin.
        atlas: of the body.
        hair: how the hair's colour is told.
        settings: tuned numbers.
    """
    surface, found = atlas.surface, np.zeros(len(projection.texels), np.float32)
    corner = surface.faces[atlas.table.face[projection.texels], 0]
    ear_of_texel = surface.ear[corner]
    if not surface.ear.any():
        return found
    scalp = surface.scalp[corner] & (ear_of_texel == 0)
    tone = hair_tone(projection, scalp, skin, hair)
    head = np.flatnonzero(surface.part[corner] == Part.HEAD)
    colours, cosine, ear_of_texel = projection.colours[head], projection.cosine[head], ear_of_texel[head]
    like, of_hair = skin_likeness(colours, skin, settings.skin), np.zeros(len(head), bool)
    if tone is not None:
        to_hair, to_skin = colour_distance(colours, tone), colour_distance(colours, skin)
        like *= to_hair >= to_skin
        of_hair = to_hair < np.minimum(to_skin, settings.like_hair)
    tells = (cosine > settings.told) & (projection.weights[head] > 0.5)
    whole = settings.least * np.bincount(atlas.of_first_vertex(surface.ear), minlength=3)
    hairy, bare = ([_mean(of, tells & (ear_of_texel == ear), whole[ear]) for ear in EARS] for of in (of_hair, like))
    grazing = 1 - smoothstep(cosine, *settings.turned)
    for ear, share, other in zip(EARS, hairy, bare[::-1], strict=True):
        limit = settings.parted if other is not None and other > settings.bare else settings.covered
        if share is not None and share > limit:
            continue
        own = ear_of_texel == ear
        found[head[own]] = 1 - like[own] * smoothstep(cosine[own], *settings.grazing)
        hairy_side, bare_side = (side[corner[head]] for side in _sides(surface, ear, settings))
        if tone is not None:
            found[head[hairy_side]] = (~of_hair * grazing)[hairy_side]
        if like[bare_side].size and like[bare_side].mean() > settings.bare:
            found[head[bare_side]] = ((1 - like) * grazing)[bare_side]
    return found


def _sides(surface: Surface, ear: int, settings: EarSettings) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where (V,) around an ear there is hair, on those who have some, and where (V,) there is skin; neither is sure
    below the hairline behind it and at the temple before it.
    """
    own = surface.template[surface.ear == ear]
    if not len(own):
        nowhere = np.zeros(len(surface.template), bool)
        return nowhere, nowhere
    middle = own.mean(0)
    near = np.linalg.norm(surface.template - middle, axis=1) < settings.around
    near &= (surface.ear == 0) & (surface.part == Part.HEAD)
    above = surface.template[:, 1] > middle[1]
    return near & above & surface.scalp, near & ~above & ~surface.scalp


def bare_ears(seen: SeenColours, settings: EarSettings = DEFAULT_SETTINGS) -> tuple[bool, bool]:
    """Whether the left and the right ear are bare, by what is left of them in the photos; an ear of which nothing is
    seen is as the other one, and both are bare if nothing is seen of either.
    """
    ear_of_texel = seen.atlas.of_first_vertex(seen.atlas.surface.ear)
    told: list[float | None] = []
    for ear in EARS:
        own = np.flatnonzero(ear_of_texel == ear)
        like = skin_likeness(seen.colours[own], seen.skin, settings.skin)
        told.append(_mean(like, seen.alpha[own] > 0.5, settings.least * len(own)))
    left, right = (share if share is not None else other for share, other in zip(told, told[::-1], strict=True))
    return (left is None or left > settings.bare), (right is None or right > settings.bare)


def paint_ears(
    colours: NDArray[np.float32],
    source: NDArray[np.uint8],
    seen: SeenColours,
    worn: NDArray[np.bool_] | None = None,
    settings: EarSettings = DEFAULT_SETTINGS,
) -> None:
    """Write what no photo shows of bare ears into ``colours`` (T, 3), linear light, and ``source`` (T,), labels; not
    where a garment is ``worn`` (T,).
    """
    atlas, surface = seen.atlas, seen.atlas.surface
    free = 1.0 if worn is None else ~worn
    shade = ear_shade(surface, settings)
    tones = {ear: _cheek_tone(colours, ear, seen, settings) for ear in EARS}
    shown = colours.copy()
    for ear, bare in zip(EARS, bare_ears(seen, settings), strict=True):
        share = free * smoothstep(atlas.interpolate(_from_edge(ear, surface)), *settings.edge)
        texels = np.flatnonzero((share > 0) & (seen.alpha < 1))
        if not bare or not len(texels):
            continue
        painted = atlas.interpolate(shade, texels)[:, None] * tones[ear]
        places = mirrored_places(texels, atlas)
        known = smoothstep(bilinear(atlas.table.picture(seen.alpha), places), *settings.mirror)[:, None]
        mirrored = bilinear(atlas.table.picture(shown), places) * tones[ear] / np.maximum(tones[3 - ear], 1e-3)
        painted += known * (mirrored - painted)
        covered = (share[texels] * (1 - seen.alpha[texels]))[:, None]
        colours[texels] += (covered * (painted - colours[texels])).astype(np.float32)
        hidden = covered[:, 0] > 0.5
        source[texels[hidden]] = np.where(known[hidden, 0] > 0.5, Label.MIRRORED, Label.COMPLETED)


def _from_edge(ear: int, surface: Surface) -> NDArray[np.float32]:
    """Metres (V,) from each of an ear's vertices to the nearest that is not the ear's; 0 elsewhere."""
    away, own = np.zeros(len(surface.template), np.float32), surface.ear == ear
    if own.any():
        away[own] = cKDTree(surface.template[~own & (surface.part == Part.HEAD)]).query(surface.template[own])[0]
    return away


def ear_shade(surface: Surface, settings: EarSettings = DEFAULT_SETTINGS) -> NDArray[np.float32]:
    """Light (V,), 0..1, that the head's own form lets to its ears; 1 elsewhere.

    The surface is taken for discs that face each other (Bunnell, Dynamic Ambient Occlusion, GPU Gems 2, 2005).
    """
    light = np.ones(len(surface.template), np.float32)
    ears = np.flatnonzero(surface.ear)
    if not len(ears):
        return light
    points, normals = surface.template, vertex_normals(surface.template, surface.faces)
    head = np.flatnonzero((surface.part == Part.HEAD) & (surface.eye == 0))
    near = cKDTree(points[head]).query_ball_point(points[ears], settings.occluders)
    receiver = np.repeat(ears, [len(one) for one in near])
    disc = head[np.concatenate([np.asarray(one, np.int64) for one in near])]
    way = points[disc] - points[receiver]
    distance = np.maximum(np.linalg.norm(way, axis=1), 1e-6)
    facing = np.clip((normals[receiver] * way).sum(1) / distance, 0, 1)
    faced = np.clip(-(normals[disc] * way).sum(1) / distance, 0, 1)
    area = surface.vertex_area[disc]
    taken = np.bincount(receiver, facing * faced * area / (np.pi * distance**2 + area), len(points))
    light[ears] = np.maximum(1 - settings.shade * taken[ears], settings.darkest)
    return light


def _cheek_tone(
    colours: NDArray[np.float32], ear: int, seen: SeenColours, settings: EarSettings
) -> NDArray[np.float32]:
    """Linear light (3,) of the skin before an ear, that of the person's skin if too little of it looks like skin."""
    surface, table = seen.atlas.surface, seen.atlas.table
    own = surface.template[surface.ear == ear]
    if not len(own):
        return seen.skin
    middle = own.mean(0)
    away = np.linalg.norm(surface.template - middle, axis=1)
    near, far = settings.cheek
    cheek = (away > near) & (away < far) & (surface.ear == 0) & (surface.part == Part.HEAD) & ~surface.scalp
    cheek &= (surface.template[:, 2] > middle[2]) & (surface.template[:, 1] < own[:, 1].max())
    texels = np.flatnonzero(cheek[surface.faces[table.face]].all(1))
    like = skin_likeness(colours[texels], seen.skin, settings.skin) > 0.5
    if like.sum() < settings.least_cheek * len(texels):
        return seen.skin
    tone: NDArray[np.float32] = np.median(colours[texels[like]], axis=0)
    return tone


def _mean(values: Floats | NDArray[np.bool_], chosen: NDArray[np.bool_], least: float) -> float | None:
    """Mean of the chosen values (K,), None if fewer than ``least`` are chosen."""
    return float(values[chosen].mean()) if chosen.sum() >= max(least, 1) else None
