"""What the photo shows on a garment or a limb that belongs to something beside it: hands on trousers, trousers on arms.

Limbs lie before and behind each other in a photo, and the mesh never quite where they are. What strays so must not
speak for the sides that no photo shows, and is replaced where it shows at a grazing angle: from the photo's side, it is
there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from uvatar.photos.colour import colour_distance, smoothstep
from uvatar.photos.skin import SkinLikenessSettings, skin_likeness
from uvatar.texturing.completion.lowband import colours_at
from uvatar.texturing.completion.smooth import SeenColours
from uvatar.texturing.layout.surface import ARMS, HANDS, LEGS, Part, Surface
from uvatar.texturing.materials.labels import SKIN, UNSEEN
from uvatar.texturing.materials.segmentation import Materials

_DRESSED = (Part.TRUNK, *LEGS)


@dataclass(frozen=True)
class StraySettings:
    """Tuned numbers of what strays, set while looking at the whole people of 23 photos.

    Attributes:
        hand_reach: distance, metres, from a hand or a bare arm within which skin on trunk and legs is theirs.
        unlike: colour distances from a garment's own colour from which, and from which fully, skin's colour in that
            reach is not shown either.
        turned: cosines to the line of sight up to which what strays is replaced, and from which what the photo shows is
            shown.
        more_alike: share of that distance below which its distance from the skin's own colour must be.
        middle: half width, metres, of the trunk's middle, which bare bellies and backs go across.
        on_arms: share of a garment on the arms up to which it belongs elsewhere,
        shoulder: share of the arm's length that belongs to the shoulder,
        upper_arm: and share of what is seen there up to which no sleeve of it reaches down the arm.
        other_arm: and share of what is seen of the opposite arm up to which that one has no such sleeve either.
        skin, bare: likeness to skin, and its mean from which it is a bare arm.
        least_share: share of what is seen of the arm below which it is left: seams and armpits.
        least_arm: seen vertices of the upper arms, or of the opposite arm, that tell.
    """

    hand_reach: float = 0.07
    unlike: tuple[float, float] = (0.1, 0.2)
    turned: tuple[float, float] = (0.25, 0.5)
    more_alike: float = 0.7
    middle: float = 0.03
    on_arms: float = 0.35
    shoulder: float = 0.35
    upper_arm: float = 0.3
    other_arm: float = 0.1
    skin: SkinLikenessSettings = field(default_factory=lambda: SkinLikenessSettings(shade=(0.4, 0.6)))
    bare: float = 0.5
    least_share: float = 0.3
    least_arm: int = 15


DEFAULT_SETTINGS = StraySettings()


def without_stray(
    materials: Materials,
    colour: NDArray[np.float32],
    vertices: NDArray[np.float32],
    surface: Surface,
    settings: StraySettings = DEFAULT_SETTINGS,
) -> tuple[Materials, NDArray[np.bool_], NDArray[np.bool_]]:
    """The materials without what strays.

    Args:
        materials: of what is seen.
        colour: (V, 3) linear light around each vertex.
        vertices: (V, 3) of the body in the photo's pose, metres.
        surface: of the body.
        settings: tuned numbers.

    Returns the materials, the vertices (V,) of trunk and legs that a hand or a bare arm may hide, and those (V,) of
    arms and hands of which the photo shows another garment in places, and nothing of their own.
    """
    labels = materials.labels.copy()
    other = _other_on_arms(materials, colour, surface, settings)
    labels[other] = UNSEEN
    for arm, hand in zip(ARMS, HANDS, strict=True):
        strays = other & (surface.part == arm)
        if strays.any():
            # between such places, and on the hand beyond them, the photo shows more of the same
            garment, skin = np.median(colour[strays], axis=0), materials.colours[SKIN]
            unlike = colour_distance(colour, garment) < colour_distance(colour, skin)
            other |= (surface.part == arm) & (labels == UNSEEN)
            other |= (surface.part == hand) & ((labels == UNSEEN) | unlike)
    labels[other] = UNSEEN
    bare = np.isin(surface.part, HANDS) | (np.isin(surface.part, ARMS) & (labels == SKIN))
    near = np.isin(surface.part, _DRESSED)
    if bare.any():
        distance, _ = cKDTree(vertices[bare]).query(vertices[near])
        near[near] = distance < settings.hand_reach
    else:
        near[:] = False
    labels[near & (labels == SKIN)] = UNSEEN
    of_arms = _of_arms_on_trunk(labels, surface, settings)
    labels[of_arms] = UNSEEN
    near |= of_arms
    return replace(materials, labels=labels), near, other


def _of_arms_on_trunk(labels: NDArray[np.int32], surface: Surface, settings: StraySettings) -> NDArray[np.bool_]:
    """The vertices (V,) of bare skin on the trunk that is neither the neck's nor goes across its middle: an arm's."""
    bare = np.flatnonzero((labels == SKIN) & np.isin(surface.part, (Part.TRUNK, Part.HEAD)))
    stray = np.zeros(len(labels), bool)
    if len(bare):
        count, piece = connected_components(surface.graph[bare][:, bare], directed=False)
        own = (surface.part[bare] == Part.HEAD) | (np.abs(surface.template[bare, 0]) < settings.middle)
        stray[bare[np.bincount(piece, own, count)[piece] == 0]] = True
    return stray


def _other_on_arms(
    materials: Materials, colour: NDArray[np.float32], surface: Surface, settings: StraySettings
) -> NDArray[np.bool_]:
    """The vertices (V,) of arms that show a garment of trunk or legs of which no sleeve begins at the shoulder."""
    labels = materials.labels
    result = np.zeros(len(labels), bool)
    along = np.abs(surface.template[:, 0])
    arms = np.isin(surface.part, ARMS)
    if not arms.any():
        return result
    upper = arms & (along < along[arms].min() + settings.shoulder * np.ptp(along[arms]))
    area = surface.vertex_area
    for label in np.unique(labels[arms & (labels > SKIN)]):
        own = labels == label
        if area[own & arms].sum() > settings.on_arms * area[own].sum():
            continue
        for arm, opposite in zip(ARMS, ARMS[::-1], strict=True):
            here = own & (surface.part == arm)
            whole = (surface.part == arm) & (labels != UNSEEN)
            if area[here].sum() <= settings.least_share * area[whole].sum():
                continue
            skin = materials.colours[SKIN]
            if skin_likeness(colour[here], skin, settings.skin).mean() > settings.bare:
                continue  # a bare arm, taken for a garment of its colour
            pair = (surface.part == opposite) & (labels != UNSEEN)
            if pair.sum() < settings.least_arm or area[pair & own].sum() > settings.other_arm * area[pair].sum():
                continue  # sleeves come in pairs
            seen = upper & (surface.part == arm) & (labels != UNSEEN)
            if seen.sum() < settings.least_arm:
                seen = upper & (labels != UNSEEN)
            if seen.sum() >= settings.least_arm and area[seen & own].sum() <= settings.upper_arm * area[seen].sum():
                result |= here
    return result


def without_stray_texels(
    seen: SeenColours,
    near: NDArray[np.bool_],
    other: NDArray[np.bool_],
    bare: NDArray[np.float32],
    cosine: NDArray[np.float32],
    low: NDArray[np.float32],
    labels: NDArray[np.int64],
    texel_labels: NDArray[np.uint8],
    settings: StraySettings = DEFAULT_SETTINGS,
) -> SeenColours:
    """What the photos show without what strays; ``near`` and ``other`` as `without_stray` returns them.

    Args:
        seen: what the photos show.
        near: (V,) vertices that a hand or a bare arm may hide.
        other: (V,) vertices of arms that show another garment.
        bare: (3,) linear light of what skin is seen.
        cosine: (T,) between the surface's normal and the line of sight of the photo that shows the texel best.
        low: (V, 3) smooth colours of the materials.
        labels: (V,) materials.
        texel_labels: (T,) materials.
        settings: tuned numbers.
    """
    atlas, surface = seen.atlas, seen.atlas.surface
    hidden = np.zeros(len(seen.alpha), np.float32)
    if other.any():
        hidden[:] = atlas.interpolate(other.astype(np.float32))
    useless = hidden.copy()  # shown or not, it speaks for nothing of the arm
    reached = np.flatnonzero((seen.alpha > 0) & near[surface.faces].any(1)[atlas.table.face] & (texel_labels != SKIN))
    if len(reached):
        face, barycentric = atlas.table.face[reached], atlas.table.barycentric[reached]
        own = colours_at(low, labels, texel_labels[reached], surface, face, barycentric)
        shown = seen.colours[reached]
        away, to_skin = colour_distance(shown, own), colour_distance(shown, bare)
        skin = skin_likeness(shown, seen.skin) * (to_skin < settings.more_alike * away)
        hidden[reached] = np.maximum(hidden[reached], smoothstep(away, *settings.unlike) * skin)
    stray = np.flatnonzero(hidden)
    if not len(stray):
        return seen
    hidden[stray] *= 1 - smoothstep(cosine[stray], *settings.turned)
    return replace(seen, alpha=seen.alpha * (1 - hidden), certain=seen.certain * (1 - np.maximum(hidden, useless)))
