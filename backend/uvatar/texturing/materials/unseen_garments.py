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
from uvatar.texturing.layout.surface import FEET, LEGS, Part, Surface
from uvatar.texturing.materials.labels import HAIR, SKIN, UNSEEN
from uvatar.texturing.materials.segmentation import Hem, Materials


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
        lowest: quantile of the heights of what is seen at the hips where an upper garment ends that goes farther down.
        evened: metres above and below a hem within which it is made even: more than an edge of the mesh.
    """

    trousers: tuple[int, int, int] = (62, 66, 76)
    shoes: tuple[int, int, int] = (46, 44, 44)
    hidden: float = 0.02
    hips: float = 0.12
    lower: float = 0.5
    hem: float = 0.0
    least: float = 0.12
    lowest: float = 0.02
    evened: float = 0.055


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
    height, free = surface.template[:, 1], materials.labels == UNSEEN
    if share[legs].mean() < settings.hidden and not skirted:
        worn = _lower_garment(materials.labels, surface, settings)
        hem = height[legs].max() + settings.hem
        hips = legs | ((surface.part == Part.TRUNK) & (height < hem))
        shown = height[hips & ~free & (height > hem - settings.hips)]
        if worn is None and len(shown):  # a coat, say, which the photo shows farther down: it ends evenly all round
            hem = min(hem, float(np.quantile(shown, settings.lowest)))
        parts = (Part.TRUNK, *LEGS) if worn is None else ()
        materials = _dressed(materials, free & hips & (height <= hem), worn, settings.trousers, hem, parts)
    if share[feet].mean() < settings.hidden:
        ankles = feet & (surface.graph @ (legs & ~feet).astype(np.float32) > 0)
        rim = float(height[ankles].mean()) if ankles.any() else np.inf
        materials = _dressed(materials, free & feet, None if shod else SKIN, settings.shoes, rim, (*LEGS, *FEET))
    return materials


def with_even_hems(
    probability: NDArray[np.float32],
    materials: Materials,
    surface: Surface,
    settings: UnseenGarmentSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float32]:
    """The probabilities (V, K) of the materials with hems at one height where nothing is seen of a garment.

    Near a hem the probability falls linearly with height. Interpolated inside the triangles, it is one half exactly at
    the hem's height, so the border runs straight through them instead of along their edges.
    """
    for hem in materials.hems:
        height = surface.template[:, 1]
        near = np.isin(surface.part, hem.parts) & (np.abs(height - hem.height) < settings.evened)
        share = 0.5 + 0.5 * (hem.height - height[near]) / settings.evened
        others = probability[near]
        others[:, hem.label] = 0
        total = others.sum(1, keepdims=True)
        share = np.where(total[:, 0] > 1e-6, share, 1.0)[:, None]  # nothing else is worn there
        probability[near] = others / np.maximum(total, 1e-6) * (1 - share)
        probability[near, hem.label] += share[:, 0]
    return probability


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
    materials: Materials,
    where: NDArray[np.bool_],
    label: int | None,
    colour: tuple[int, int, int],
    hem: float,
    parts: tuple[Part, ...],
) -> Materials:
    """The materials with one more at ``where`` (V,), up to a ``hem``, metres on the rest body, on these ``parts``:
    ``label``, or a new one of this colour, sRGB. Without parts it ends where it is seen to end.
    """
    count, colours = materials.count, materials.colours
    if label is None:
        label, count = count, count + 1
        colours = np.concatenate([colours, linear_from_srgb(np.array([colour], np.uint8)).astype(np.float32)])
    labels = np.where(where, label, materials.labels).astype(np.int32)
    invented = where if materials.invented is None else where | materials.invented
    hems = (*materials.hems, Hem(label, hem, parts)) if parts else materials.hems
    return replace(materials, labels=labels, count=count, colours=colours, invented=invented, hems=hems)
