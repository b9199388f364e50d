"""What people wear where the photo ends above their legs or feet: plain trousers and plain shoes.

What little a portrait shows of the clothes would otherwise go on down to the toes: somebody in a shirt came out in
tights of the shirt's cloth, barefoot and painted. Of a lower garment that is seen at the hips, the legs wear that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.photos.colour import linear_from_srgb
from uvatar.texturing.materials import HAIR, SKIN, UNSEEN, Materials
from uvatar.texturing.surface import FEET, LEGS, Part, Surface


@dataclass(frozen=True)
class UnseenGarmentSettings:
    """Tuned numbers of what is worn where nothing is seen, set while looking at 8 portraits.

    Attributes:
        trousers, shoes: sRGB, 0 to 255: dark and grey, which goes with everything, but not black.
        hidden: mean share of legs or feet seen, below which the photo does not show them.
        hips: metres above the top of the legs up to which a garment may be a lower one.
        lower: how much of the upper half of the trunk a lower garment may take, relative to its share of the hips.
        hem: metres above the top of the legs where the trousers begin, if what is worn above is not seen farther down.
        least: share of the hips' vertices that a lower garment must take.
    """

    trousers: tuple[int, int, int] = (62, 66, 76)
    shoes: tuple[int, int, int] = (46, 44, 44)
    hidden: float = 0.02
    hips: float = 0.12
    lower: float = 0.5
    hem: float = 0.0
    least: float = 0.12


DEFAULT_SETTINGS = UnseenGarmentSettings()


def with_unseen_garments(
    materials: Materials,
    share: Floats,
    shod: bool,
    skirted: bool,
    surface: Surface,
    settings: UnseenGarmentSettings = DEFAULT_SETTINGS,
) -> Materials:
    """The materials, with those of legs and feet of which no photo shows anything.

    Args:
        materials: of the seen vertices.
        share: (V,) 0..1, how much of each vertex is seen.
        shod: whether shoes are worn.
        skirted: whether a skirt or coat hides the legs: nobody knows what is worn below.
        surface: of the body.
        settings: tuned numbers.
    """
    legs, feet = np.isin(surface.part, [*LEGS, *FEET]), np.isin(surface.part, FEET)
    free = materials.labels == UNSEEN
    if share[legs].mean() < settings.hidden and not skirted:
        worn = _lower_garment(materials.labels, surface, settings)
        top = surface.template[legs, 1].max()
        trunk = (surface.part == Part.TRUNK) & (surface.template[:, 1] < top + settings.hem)
        materials = _dressed(materials, free & (legs | trunk), worn, settings.trousers)
    if share[feet].mean() < settings.hidden:
        materials = _dressed(materials, free & feet, None if shod else SKIN, settings.shoes)
    return materials


def _lower_garment(labels: NDArray[np.int32], surface: Surface, settings: UnseenGarmentSettings) -> int | None:
    """The material seen at the hips that is not also worn above, or None."""
    trunk, height = surface.part == Part.TRUNK, surface.template[:, 1]
    bottom, top = height[trunk].min(), height[trunk].max()
    legs = height[np.isin(surface.part, [*LEGS, *FEET])].max()
    above = labels[trunk & (height > 0.5 * (bottom + top)) & (labels != UNSEEN)]
    hips = trunk & (height < legs + settings.hips)
    seen = labels[hips & (labels > HAIR)]
    counts = np.bincount(seen, minlength=int(labels.max(initial=0)) + 1).astype(float)
    share_above = np.bincount(above, minlength=len(counts)) / max(len(above), 1)
    counts[share_above > settings.lower * counts / max(len(seen), 1)] = 0
    return int(counts.argmax()) if counts.max() > settings.least * hips.sum() else None


def _dressed(
    materials: Materials, where: NDArray[np.bool_], label: int | None, colour: tuple[int, int, int]
) -> Materials:
    """The materials with one more at ``where`` (V,): ``label``, or a new one of this colour, sRGB."""
    count, colours = materials.count, materials.colours
    if label is None:
        label, count = count, count + 1
        colours = np.concatenate([colours, linear_from_srgb(np.array([colour], np.uint8)).astype(np.float32)])
    labels = np.where(where, label, materials.labels).astype(np.int32)
    invented = where if materials.invented is None else where | materials.invented
    return replace(materials, labels=labels, count=count, colours=colours, invented=invented)
