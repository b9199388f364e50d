"""The material of every texel, with names that people use for clothes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Integers
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import ARMS, FEET, HANDS, LEGS, Part, Surface
from uvatar.texturing.materials.labels import HAIR

# Shares of a material's area from which it is named after a part of the body.
_MOSTLY = 0.5
_SLEEVES = 0.05
# A garment of the upper body whose mean distance from the trunk's middle is less than this share of another's lies
# inside it, as a shirt in an open jacket.
_INSIDE = 0.6
EYES = "eyes"
# Square metres on the trunk from which a garment may be the outer one.
_LEAST_OUTER = 0.04


@dataclass(frozen=True)
class MaterialMap:
    """The materials of all T texels.

    Attributes:
        labels: (T,) uint8, indices into ``names``.
        names: of the materials: ``skin``, ``hair``, ``upper``, ``outer``, ``lower``, ``shoes``, ``gloves``,
            ``headwear``, ``eyes``; a second one of a kind is ``lower 2``.
        invented: (T,) bool, where a garment is worn of which the photo shows nothing there.
    """

    labels: NDArray[np.uint8]
    names: tuple[str, ...]
    invented: NDArray[np.bool_]


def material_names(labels: Integers, count: int, surface: Surface) -> tuple[str, ...]:
    """Name the materials by the place that they take.

    Args:
        labels: (V,) the material of each vertex.
        count: number of materials.
        surface: of the body.
    """
    area = surface.vertex_area
    by_part = np.stack([np.bincount(labels[surface.part == p], area[surface.part == p], count) for p in Part], 1)
    whole = np.maximum(by_part.sum(1, keepdims=True), 1e-12)
    share = by_part / whole
    regions = {
        "shoes": FEET,
        "gloves": list(HANDS),
        "headwear": [Part.HEAD],
        "lower": [*LEGS, *FEET],
    }
    kinds = ["skin", "hair", *["upper"] * (count - HAIR - 1)]
    for material in range(HAIR + 1, count):
        for kind, parts in regions.items():
            if share[material, parts].sum() > _MOSTLY:
                # what has sleeves is no lower garment, however long its legs are
                sleeved = kind == "lower" and share[material, ARMS].sum() > _SLEEVES
                kinds[material] = "upper" if sleeved else kind
                break
    upper = [material for material, kind in enumerate(kinds) if kind == "upper"]
    trunk = surface.part == Part.TRUNK
    middle = np.bincount(labels[trunk], area[trunk] * np.abs(surface.template[trunk, 0]), count)
    middle = middle / np.maximum(by_part[:, Part.TRUNK], 1e-12)
    size = by_part[:, [Part.TRUNK, *ARMS]].sum(1)
    large = [m for m in upper if by_part[m, Part.TRUNK] > _LEAST_OUTER]
    if large:
        outermost = max(large, key=lambda m: size[m])
        if any(middle[m] < _INSIDE * middle[outermost] for m in upper if m != outermost and by_part[m, Part.TRUNK] > 0):
            kinds[outermost] = "outer"
    return _numbered(kinds)


def _numbered(kinds: list[str]) -> tuple[str, ...]:
    """Names that differ: the second ``upper`` is ``upper 2``."""
    seen: dict[str, int] = {}
    names = []
    for kind in kinds:
        seen[kind] = seen.get(kind, 0) + 1
        names.append(kind if seen[kind] == 1 else f"{kind} {seen[kind]}")
    return tuple(names)


def material_map(texel_labels: NDArray[np.uint8], names: tuple[str, ...], invented: NDArray[np.bool_]) -> MaterialMap:
    """The map without the materials that no texel has; ``invented`` (T,) as in `MaterialMap`."""
    there = np.unique(texel_labels)
    number = np.zeros(256, np.uint8)
    number[there] = np.arange(len(there))
    return MaterialMap(number[texel_labels], tuple(names[label] for label in there), invented)


def with_eyes(materials: MaterialMap, atlas: Atlas) -> MaterialMap:
    """The map with the eyeballs as a material of their own, on a body that has some: they shine as skin does not."""
    eyes = atlas.of_first_vertex(atlas.surface.eye) > 0
    if not eyes.any():
        return materials
    labels = np.where(eyes, len(materials.names), materials.labels).astype(np.uint8)
    return replace(materials, labels=labels, names=(*materials.names, EYES))
