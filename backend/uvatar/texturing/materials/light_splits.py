"""Garments that light has split in two: a sleeve in the sun and the other in the shade are of one cloth.

Hard light makes borders as sharp as hems, so colour alone does not tell them apart. Two things do: clothes are
symmetrical, and they end at hems that go round the body. Of two materials of one hue, what one shows on the left and
the other at the same place on the right is one garment; so is what lies side by side in the same slices of the body.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.photos.colour import perceptual
from uvatar.photos.skin import hue_distance
from uvatar.texturing.layout.surface import Part, Surface


@dataclass(frozen=True)
class LightSplitSettings:
    """Tuned numbers of joining what light has split, set while looking at 12 photos in hard and soft light.

    Attributes:
        hue: distance of hue (chroma over luma) up to which two materials may be one in another light,
        saturation: where a difference in saturation alone counts by this factor: light washes colours out.
        darker: luma over the brighter one's, from which it may be the same cloth in the shade.
        no_hue: luma below which hue says nothing.
        coherent: median distance of a material's hues from their median up to which that tells its hue: a crowd behind
            somebody has none.
        mirrored: share of a material's mirror image that is the other material rather than itself.
        least_mirrored: square metres that must be seen on both sides to tell.
        middle: metres from the trunk's middle within which nothing is compared: what is there is on no side.
        overlap: share of the smaller material's area that lies in slices of the body in which the other one is too.
        beside: area of the other one in a slice, relative to the smaller one's, from which it is there.
        inner: a material whose mean distance from the trunk's middle is below this share of the other's lies inside it,
            as a shirt in an open jacket, and is another garment whatever its hue.
    """

    hue: float = 0.075
    saturation: float = 0.3
    darker: float = 0.5
    no_hue: float = 0.25
    coherent: float = 0.075
    mirrored: float = 0.55
    least_mirrored: float = 0.006
    middle: float = 0.03
    overlap: float = 0.45
    beside: float = 0.35
    inner: float = 0.6


DEFAULT_SETTINGS = LightSplitSettings()


def joined_over_light(
    labels: NDArray[np.int32],
    members: NDArray[np.int64],
    albedo: Floats,
    surface: Surface,
    settings: LightSplitSettings = DEFAULT_SETTINGS,
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Join the labels of one garment in different light.

    Args:
        labels: (K,) of some vertices.
        members: (K,) which vertices they are.
        albedo: (V, 3) linear light of all vertices, without the shading that is known.
        surface: of the body.
        settings: tuned numbers.

    Returns the labels (K,), numbered without gaps, and where (K,) a garment is not in the light that most of it is in.
    """
    before = np.unique(labels, return_inverse=True)[1].astype(np.int32)
    labels = before.copy()
    colours = perceptual(albedo[members])
    while (count := int(labels.max(initial=0)) + 1) > 1:
        alike = _one_hue([colours[labels == label] for label in range(count)], settings)
        one = alike & (
            _mirrored(labels, members, surface, settings) | _side_by_side(labels, members, surface, settings)
        )
        if not one.any():
            break
        first, second = np.argwhere(np.triu(one, 1))[0]
        labels[labels == second] = first
        labels = np.unique(labels, return_inverse=True)[1].astype(np.int32)
    area = np.bincount(before, surface.vertex_area[members])
    odd = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        parts = np.unique(before[labels == label])
        odd |= (labels == label) & (before != parts[area[parts].argmax()])
    return labels, odd


def _one_hue(materials: Sequence[Floats], settings: LightSplitSettings) -> NDArray[np.bool_]:
    """Whether (C, C) materials, the colours (K, 3) of each, `perceptual`, may be of one cloth."""
    hues = [colours[:, 1:] / np.maximum(colours[:, :1], 1e-3) for colours in materials]
    hue = np.stack([np.median(own, axis=0) for own in hues])
    spread = np.array([np.median(np.linalg.norm(own - middle, axis=1)) for own, middle in zip(hues, hue, strict=True)])
    luma = np.array([np.median(colours[:, 0]) for colours in materials])
    away = hue_distance(hue[:, None], hue[None], settings.saturation)
    darker, brighter = np.minimum(luma[:, None], luma), np.maximum(luma[:, None], luma)
    told = (darker > settings.no_hue) & (np.maximum(spread[:, None], spread) < settings.coherent)
    alike: NDArray[np.bool_] = (np.minimum(away, away.T) < settings.hue) & (darker > settings.darker * brighter) & told
    return alike & ~np.eye(len(hue), dtype=bool)


def _mirrored(
    labels: NDArray[np.int32], members: NDArray[np.int64], surface: Surface, settings: LightSplitSettings
) -> NDArray[np.bool_]:
    """Whether (C, C) two materials lie at the same places of the two sides of the body, rather than each on both."""
    count = int(labels.max()) + 1
    everywhere = np.full(len(surface.template), -1, np.int32)
    everywhere[members] = labels
    opposite = everywhere[surface.mirror[members]]
    both = (opposite >= 0) & (np.abs(surface.template[members, 0]) > settings.middle)
    pair = labels[both] * count + opposite[both]
    area = np.bincount(pair, surface.vertex_area[members[both]], count * count).reshape(count, count)
    opposed, own = 0.5 * (area + area.T), np.diagonal(area)
    found: NDArray[np.bool_] = opposed > settings.mirrored * (opposed + np.minimum(own[:, None], own))
    return found & (opposed > settings.least_mirrored)


def _side_by_side(
    labels: NDArray[np.int32], members: NDArray[np.int64], surface: Surface, settings: LightSplitSettings
) -> NDArray[np.bool_]:
    """Whether (C, C) the smaller of two materials lies mostly in slices of the body in which the other one is too, and
    neither inside the other.
    """
    count, rings = int(labels.max()) + 1, len(surface.ring_part)
    ring, area = surface.ring[members], surface.vertex_area[members]
    by_ring = np.bincount(labels * rings + ring, area, count * rings).reshape(count, rings)
    whole = by_ring.sum(1)
    beside = by_ring[None] > settings.beside * by_ring[:, None]
    shared = (by_ring[:, None] * beside).sum(-1) / np.maximum(whole[:, None], 1e-9)
    overlap = np.where(whole[:, None] <= whole, shared, shared.T)
    trunk = surface.part[members] == Part.TRUNK
    across = np.abs(surface.template[members, 0])
    on_trunk = np.bincount(labels[trunk], area[trunk], count)
    distance = np.bincount(labels[trunk], area[trunk] * across[trunk], count) / np.maximum(on_trunk, 1e-9)
    nearer = np.minimum(distance[:, None], distance) < settings.inner * np.maximum(distance[:, None], distance)
    inside = nearer & (on_trunk[:, None] > 0) & (on_trunk > 0)
    result: NDArray[np.bool_] = (overlap > settings.overlap) & ~inside
    return result
