"""The materials that a photo shows: skin, hair and each garment, as labels of the seen vertices.

Colours are compared without their shading, and neighbours that differ little join whatever their distance in colour:
light and folds change gradually, hems do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.data.arrays import Floats
from uvatar.photos.colour import perceptual
from uvatar.photos.skin import skin_likeness
from uvatar.texturing.completion.hair_tone import telling
from uvatar.texturing.layout.surface import ARMS, FEET, HANDS, LEGS, Part, Surface
from uvatar.texturing.materials.clustering import clustered, joined, plausible_skin, smoothed, tidied, without_islands
from uvatar.texturing.materials.collars import label_dark_collars, label_high_collars
from uvatar.texturing.materials.labels import HAIR, SKIN, UNSEEN, pieces
from uvatar.texturing.materials.light_splits import joined_over_light
from uvatar.texturing.materials.parsed import ParsedVertices, bare_hand, corrected, corrected_head
from uvatar.texturing.materials.settings import DEFAULT_SETTINGS, MaterialSettings


@dataclass(frozen=True)
class Hem:
    """Where a garment ends of which nothing is seen there.

    Attributes:
        label: of its material.
        height: metres on the rest body, the same all round.
        parts: of the body that it is on.
    """

    label: int
    height: float
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Materials:
    """The materials of the seen vertices.

    Attributes:
        labels: (V,) int, `SKIN`, `HAIR`, 2 and more for garments, `UNSEEN`.
        count: number of materials, with skin and hair.
        colours: (count, 3) median linear light as the photo shows it; those of unseen skin and hair are estimates.
        things: (V,) bool, what is seen but goes on nowhere else: single things on garments (badges, straps, pockets),
            which are of no material, and the parts of a garment that are in other light than most of it.
        invented: (V,) bool, unseen vertices that have a label all the same, or None if there are none.
        hems: of garments of which nothing is seen.
    """

    labels: NDArray[np.int32]
    count: int
    colours: NDArray[np.float32]
    things: NDArray[np.bool_]
    invented: NDArray[np.bool_] | None = None
    hems: tuple[Hem, ...] = ()


def segment(
    colour: Floats,
    share: Floats,
    shading: Floats,
    skin: Floats,
    surface: Surface,
    settings: MaterialSettings = DEFAULT_SETTINGS,
    parsed: ParsedVertices | None = None,
) -> Materials:
    """Divide what is seen into materials.

    Args:
        colour: (V, 3) linear light around each vertex.
        share: (V,) 0..1, how much of it is seen and sure.
        shading: (V,) natural log of the light on each vertex.
        skin: (3,) linear light of the person's skin.
        surface: of the body.
        settings: tuned numbers.
        parsed: what a parser sees, if there is one.
    """
    seen = share > settings.seen_share
    albedo = colour / np.exp(shading)[:, None]
    weights = np.array(settings.colour_weights, np.float32)
    raw = perceptual(albedo) * weights
    skin_feature = perceptual(skin) * weights
    labels = np.full(len(share), UNSEEN, np.int32)
    head = _upper_head(surface)
    hands = np.isin(surface.part, HANDS)
    odd_light = np.zeros(len(share), bool)
    dressed = np.flatnonzero(seen & ~head & ~hands & (surface.eye == 0))
    if len(dressed) > settings.clusters:
        graph = surface.graph[dressed][:, dressed].tocoo()
        feature = smoothed(raw[dressed], graph, settings)
        own = clustered(feature, share[dressed], settings)
        own = joined(own, feature, raw[dressed], skin_feature, graph, settings)
        own = tidied(own, feature, graph, settings)
        own = without_islands(own, graph, settings)
        own, odd_light[dressed] = joined_over_light(own, dressed, albedo, surface, settings.light)
        labels[dressed] = _numbered(own, feature, skin_feature, settings)
    things = _single_things(labels, surface, settings)
    labels[things] = UNSEEN
    _split_shoes(labels, surface, settings)
    little = _too_little(labels, surface, settings)
    labels[little] = UNSEEN
    things |= little
    _label_hands(labels, colour, seen, skin, surface, settings, parsed)
    _label_bare_limbs(labels, colour, skin, plausible_skin(skin_feature, settings), surface, settings)
    if parsed is not None:
        labels = corrected(labels, parsed, surface, settings.parsed)
    _label_head(labels, raw, seen & head, skin_feature, surface, settings)
    if parsed is not None:
        corrected_head(labels, seen & head, parsed, settings.parsed)
    label_dark_collars(labels, parsed, surface)
    label_high_collars(labels, raw, seen & head, skin_feature, parsed, surface, settings.collars)
    labels, count = _renumbered(labels)
    colours = _median_colours(labels, count, colour, odd_light, skin)
    return Materials(labels, count, colours, things | odd_light)


def _median_colours(
    labels: NDArray[np.int32], count: int, colour: Floats, odd_light: NDArray[np.bool_], skin: Floats
) -> NDArray[np.float32]:
    """(count, 3) of each material, as most of it is lit; that of ``skin`` where nothing of it is seen."""
    colours = np.tile(np.asarray(skin, np.float32), (count, 1))
    for material in range(count):
        members = labels == material
        members &= ~odd_light if (members & ~odd_light).any() else members
        if members.any():
            colours[material] = np.median(colour[members], axis=0)
    return colours


def _upper_head(surface: Surface) -> NDArray[np.bool_]:
    """(V,) the head above the chin."""
    chin = surface.template[surface.face_front, 1].min() if surface.face_front.any() else np.inf
    upper: NDArray[np.bool_] = (surface.part == Part.HEAD) & (surface.template[:, 1] >= chin)
    return upper


def _single_things(labels: NDArray[np.int32], surface: Surface, settings: MaterialSettings) -> NDArray[np.bool_]:
    """The vertices (V,) of single things on garments: small pieces inside another material."""
    count, piece = pieces(labels, surface)
    seen = piece >= 0
    area = np.bincount(piece[seen], surface.vertex_area[seen], count)
    edges = surface.graph.tocoo()
    leaving = seen[edges.row] & seen[edges.col] & (labels[edges.row] != labels[edges.col])
    materials = int(labels.max()) + 1
    around = sparse.csr_matrix(
        (np.ones(leaving.sum()), (piece[edges.row[leaving]], labels[edges.col[leaving]])), (count, max(materials, 1))
    ).toarray()
    seen_of_ring = np.bincount(surface.ring[seen], surface.vertex_area[seen], len(surface.ring_part))
    result = np.zeros(len(labels), bool)
    touching = np.isin(surface.part, (Part.HEAD, *HANDS))
    whole = np.bincount(labels[seen], surface.vertex_area[seen])
    for one in np.flatnonzero((area > 0) & (area < settings.thing_area)):
        own = piece == one
        if area[one] > settings.thing_piece and whole[labels[own][0]] > settings.thing_area:
            continue
        edge = around[one].sum()
        if not edge or around[one].max() < settings.thing_surrounded * edge or touching[own].any():
            continue
        in_ring = np.bincount(surface.ring[own], surface.vertex_area[own], len(surface.ring_part))
        covered = float((in_ring * in_ring / np.maximum(seen_of_ring, 1e-9)).sum() / in_ring.sum())
        if covered < settings.thing_coverage:
            result |= own
    return result


def _too_little(labels: NDArray[np.int32], surface: Surface, settings: MaterialSettings) -> NDArray[np.bool_]:
    """The vertices (V,) of garments of which less is seen than anybody wears."""
    garment = labels > HAIR
    area = np.bincount(labels[garment], surface.vertex_area[garment], int(labels.max(initial=0)) + 1)
    little: NDArray[np.bool_] = garment & (area[np.maximum(labels, 0)] < settings.least_area)
    return little


def _split_shoes(labels: NDArray[np.int32], surface: Surface, settings: MaterialSettings) -> None:
    """Give pieces on the feet a label of their own if the rest of their material lies elsewhere."""
    feet = np.isin(surface.part, FEET)
    count, piece = pieces(labels, surface)
    seen = piece >= 0
    area = np.bincount(piece[seen], surface.vertex_area[seen], count)
    on_feet = np.bincount(piece[seen], surface.vertex_area[seen] * feet[seen], count)
    shoe = (on_feet >= settings.shoe_share * area) & (area > settings.least_area)
    shoes = seen & shoe[piece] & (labels > HAIR)
    following = max(int(labels.max()), HAIR) + 1
    for label in np.unique(labels[shoes]):
        own = shoes & (labels == label)
        if (seen & (labels == label) & ~shoes).any():
            labels[own] = following
            following += 1


def _renumbered(labels: NDArray[np.int32]) -> tuple[NDArray[np.int32], int]:
    """Labels without gaps after `HAIR`, and their number."""
    garments = np.unique(labels[labels > HAIR])
    number = np.arange(int(labels.max(initial=HAIR)) + 1)
    number[garments] = HAIR + 1 + np.arange(len(garments))
    return np.where(labels > HAIR, number[labels], labels).astype(np.int32), HAIR + 1 + len(garments)


def _numbered(
    labels: NDArray[np.int32], feature: Floats, skin: Floats, settings: MaterialSettings
) -> NDArray[np.int32]:
    """Labels from 2 on, but `SKIN` for what has the skin's colour."""
    result, following, plausible = np.empty_like(labels), HAIR + 1, plausible_skin(skin, settings)
    for label in np.unique(labels):
        own = labels == label
        bare = plausible and np.linalg.norm(np.median(feature[own], 0) - skin) < settings.same_skin
        result[own] = SKIN if bare else following
        following += not bare
    return result


def _label_hands(
    labels: NDArray[np.int32],
    colour: Floats,
    seen: NDArray[np.bool_],
    skin: Floats,
    surface: Surface,
    settings: MaterialSettings,
    parsed: ParsedVertices | None,
) -> None:
    """Hands are skin, or each wears a glove of its own."""
    for hand in HANDS:
        own = seen & (surface.part == hand)
        if own.sum() < settings.smallest:
            continue
        bare = None if parsed is None else bare_hand(parsed, own, settings.parsed)
        if bare is None:
            bare = bool(skin_likeness(colour[own], skin).mean() >= settings.glove)
        labels[own] = SKIN if bare else max(int(labels.max()), HAIR) + 1


def _label_bare_limbs(
    labels: NDArray[np.int32],
    colour: Floats,
    skin: Floats,
    plausible: bool,
    surface: Surface,
    settings: MaterialSettings,
) -> None:
    """Give the label of skin to bare arms, with the legs if they are as bare: to what may be skin in another light than
    the face, and lies on the arms, but hardly on the trunk; and to what has the skin's own hue, wherever else it lies.
    """
    if not plausible:
        return
    areas, trunk, arms = surface.vertex_area, surface.part == Part.TRUNK, np.isin(surface.part, ARMS)
    seen, height = labels != UNSEEN, surface.template[:, 1]
    seen_trunk, seen_arms = (max(float(areas[part & seen].sum()), 1e-9) for part in (trunk, arms))
    tone = perceptual(skin)
    coloured = np.linalg.norm(tone[1:]) > settings.pale_skin * max(float(tone[0]), 1e-3)
    hips = trunk & (height < height[np.isin(surface.part, LEGS)].max() + settings.hips)
    for label in np.unique(labels[labels > HAIR]):
        own = labels == label
        area = areas[own] / areas[own].sum()
        on_arms, on_trunk = area[arms[own]].sum(), area[trunk[own]].sum()
        on_legs = area[np.isin(surface.part[own], [*LEGS, *FEET])].sum()
        like = np.median(skin_likeness(colour[own], skin, settings.bare_skin))
        same = np.median(skin_likeness(colour[own], skin, settings.same_hue))
        mostly = on_arms > settings.bare_arms and on_trunk < settings.bare_trunk and like > settings.bare_like
        # another garment takes the trunk, and the hips, where trousers begin
        limbs = areas[own & trunk].sum() < settings.limb_share[1] * seen_trunk
        limbs &= areas[own & hips].sum() < settings.limb_share[1] * max(float(areas[hips & seen].sum()), 1e-9)
        both = min(on_arms, on_legs) > settings.limb_each and on_arms + on_legs > settings.limb_share[0] and coloured
        both &= np.median(skin_likeness(colour[own], skin, settings.limb_skin)) > settings.limb_like
        bare_arms = areas[arms & (labels == SKIN)].sum() > settings.same_arms * seen_arms
        shoulders = bare_arms and on_arms > settings.same_arms and like > settings.bare_like
        if mostly or (limbs and (both or shoulders)) or (on_arms > settings.same_arms and same > settings.bare_like):
            labels[own] = SKIN


def _label_head(
    labels: NDArray[np.int32],
    raw: Floats,
    head: NDArray[np.bool_],
    skin: Floats,
    surface: Surface,
    settings: MaterialSettings,
) -> None:
    """Hair and skin above the chin, by the nearer of the two colours."""
    labels[head] = SKIN
    scalp = np.flatnonzero(head & surface.scalp)
    if not len(scalp):
        return
    height = surface.template[surface.scalp, 1]
    upper = scalp[surface.template[scalp, 1] > height.min() + settings.hair_height * np.ptp(height)]
    strands = raw[upper if len(upper) else scalp]
    hair = np.median(strands[telling(strands[:, 0], float(skin[0]), settings.hair)], axis=0)
    if np.linalg.norm(hair - skin) < settings.bald:
        return
    face = np.flatnonzero(head & surface.face_front)
    bare = np.median(raw[face], axis=0) if len(face) else skin
    other = np.flatnonzero(head & ~surface.face_front)
    nearer = np.linalg.norm(raw[other] - hair, axis=1) < np.linalg.norm(raw[other] - bare, axis=1)
    labels[other[nearer]] = HAIR
