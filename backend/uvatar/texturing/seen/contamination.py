"""Seen texels that show something else than the mesh says: cloth where the hands are, background inside the outline.

Such texels must not speak for what is not seen (`Doubt.foreign`), and some of them are not shown either
(`Doubt.hidden`): what is completed instead looks better than another thing's colour.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.data.arrays import Floats
from uvatar.data.landmarks import WRISTS
from uvatar.data.view import View
from uvatar.photos.colour import DISTANCE_WEIGHTS, colour_distance, linear_from_srgb, perceptual, smoothstep
from uvatar.photos.sampling import bilinear
from uvatar.photos.skin import skin_likeness
from uvatar.texturing.completion.lowband import diffuse, vertex_colours
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import ARMS, HANDS, Part
from uvatar.texturing.seen.ears import EarSettings, ear_doubt
from uvatar.texturing.seen.projection import ProjectedView, Projection
from uvatar.texturing.seen.stray_hair import StrayHairSettings, stray_hair


@dataclass(frozen=True)
class ContaminationSettings:
    """Tuned numbers of finding foreign texels, set while looking at photos of 17 people. Lengths are metres on the
    person, colours `perceptual` units or `colour_distance`.

    Attributes:
        glove: mean likeness to skin below which a hand is gloved, or not seen at all.
        found_hand: score of the hand's landmarks, or visibility of the wrist's, from which the photo shows the hand.
        bare: mean likeness to skin from which a hand of which nothing was found is there all the same, and the other
            one wears no glove.
        pocket: colour distance between the hand's texels and the clothes around it below which it is in a pocket.
        hand_margin: pixels around the hand's box in which clothes are compared.
        like_cloth: colour distances to the nearest of the clothes' colours up to which a hand's texel is hidden, and
            from which it is a shadow between fingers.
        cloth_samples: colours of clothes that are compared.
        background_side: longer side, pixels, of the picture in which the background is averaged.
        background_reach: standard deviation of that average, as a share of its side, and where too little background
            is that near.
        least_background: weight of background that is enough at the first reach.
        background_margin: pixels of that picture around the mask that are not background yet.
        plain_background: standard deviation up to which a background can be recognised.
        sure_cosine, sure_depth, sure_contrast: of texels that tell what a place should look like: cosine to the line
            of sight, distance to the mask's edge, colour distance from the background.
        expected_pull: of these, relative to the pull of a vertex's neighbours.
        closer: by how much a texel is closer to the background than to what is expected, from and fully.
        unexpected: colour distances from what is expected, from and fully.
        edge_depth: distance to the mask's edge up to which background is looked for fully, and from which it is not,
        edge_cosine: but for texels at a grazing angle,
        strong: if these have the background's colour itself: distances up to which they have, and from which not.
        own_depth, own_cosine: distance to the mask's edge and cosine from which a texel shows the person for certain,
        own_reach: share of the person's longer side within which such texels tell,
        mistaken: by the share of them that look like the background, up to which it can be told from the person, and
            from which not.
        whole_limb: shares of a slice that look like background from which, and from which fully, they are taken
            for the limb.
        grown: texels at a side, of the neighbourhood that is foreign with it,
        grown_cosine: where the cosine is below that.
        hidden_cosine: cosines up to which background is not shown, and from which it is: the photo's own view counts.
        surely_hidden: the same for what has exactly the background's colour; well inside the mask, where only gaps have
            it, it is never shown.
        same_background: distances from the background's colour up to which it is exactly that, and from which not.
        least_weight: of a texel that is kept, as `ProjectionSettings.least_weight`.
        hair: of hair on the neck.
        ears: of what falls on ears.
    """

    glove: float = 0.15
    found_hand: float = 0.5
    bare: float = 0.6
    pocket: float = 0.2
    hand_margin: float = 15
    like_cloth: tuple[float, float] = (0.08, 0.16)
    cloth_samples: int = 64
    background_side: int = 320
    background_reach: tuple[float, float] = (0.03, 0.15)
    least_background: float = 0.05
    background_margin: int = 3
    plain_background: float = 0.12
    sure_cosine: tuple[float, float] = (0.3, 0.7)
    sure_depth: tuple[float, float] = (0.015, 0.04)
    sure_contrast: tuple[float, float] = (0.12, 0.25)
    expected_pull: float = 10.0
    closer: tuple[float, float] = (0.05, 0.2)
    unexpected: tuple[float, float] = (0.2, 0.35)
    edge_depth: tuple[float, float] = (0.03, 0.05)
    edge_cosine: tuple[float, float] = (0.7, 0.9)
    strong: tuple[float, float] = (0.06, 0.14)
    own_depth: float = 0.05
    own_cosine: float = 0.8
    own_reach: float = 0.12
    mistaken: tuple[float, float] = (0.03, 0.12)
    whole_limb: tuple[float, float] = (0.25, 0.45)
    grown: int = 5
    grown_cosine: float = 0.6
    hidden_cosine: tuple[float, float] = (0.4, 0.6)
    surely_hidden: tuple[float, float] = (0.75, 0.95)
    same_background: tuple[float, float] = (0.04, 0.10)
    least_weight: float = 0.01
    hair: StrayHairSettings = field(default_factory=StrayHairSettings)
    ears: EarSettings = field(default_factory=EarSettings)


DEFAULT_SETTINGS = ContaminationSettings()


@dataclass(frozen=True)
class Doubt:
    """What speaks against the M texels of a `Projection`.

    Attributes:
        foreign: (M,) 0..1, the texel shows something else and must not speak for others.
        hidden: (M,) 0..1, it is not to be shown either; at most ``foreign``.
    """

    foreign: NDArray[np.float32]
    hidden: NDArray[np.float32]


def without_foreign(
    projection: Projection,
    view: ProjectedView,
    skin: NDArray[np.float32],
    atlas: Atlas,
    settings: ContaminationSettings = DEFAULT_SETTINGS,
) -> Projection:
    """The projection without what does not belong to the person's surface there.

    Args:
        projection: of the photo.
        view: the photo.
        skin: (3,) linear light of the person's skin.
        atlas: of the body.
        settings: tuned numbers.
    """
    if not len(projection.texels):
        return projection
    part = atlas.surface.part[atlas.surface.faces[atlas.table.face[projection.texels], 0]]
    points = atlas.interpolate(view.visibility.vertices, projection.texels)
    pixels = view.source.camera.project(points).astype(np.float32)
    hands = _on_hands(projection, part, pixels, view, skin, settings)
    background = _background(projection, part, pixels, view, atlas, settings)
    hair = stray_hair(projection, skin, atlas, settings.hair)
    other = np.maximum(hair, ear_doubt(projection, skin, atlas, settings.hair, settings.ears))
    foreign = np.maximum(np.maximum(hands.foreign, background.foreign), other)
    hidden = np.maximum(np.maximum(hands.hidden, background.hidden), other)
    weights = (projection.weights * (1 - hidden)).astype(np.float32)
    certainty = (projection.certainty * (1 - foreign)).astype(np.float32)
    kept = np.flatnonzero(weights > settings.least_weight)
    return Projection(
        projection.texels[kept], projection.colours[kept], weights[kept], certainty[kept], projection.cosine[kept],
        projection.width[kept],
    )  # fmt: skip


def _feature(colours: Floats) -> Floats:
    """Colours (K, 3) whose Euclidean distances are `colour_distance`."""
    return perceptual(colours) * DISTANCE_WEIGHTS


def _on_hands(
    projection: Projection,
    part: NDArray[np.uint8],
    pixels: Floats,
    view: ProjectedView,
    skin: Floats,
    settings: ContaminationSettings,
) -> Doubt:
    """Texels of the hands that show clothes."""
    foreign, hidden = np.zeros(len(part), np.float32), np.zeros(len(part), np.float32)
    cloth = np.flatnonzero(~np.isin(part, (Part.HEAD, *HANDS, *ARMS)) & (projection.weights > 0.5))
    cloth = cloth[skin_likeness(projection.colours[cloth], skin) < 0.5]
    if not len(cloth):
        return Doubt(foreign, hidden)
    chosen = np.random.default_rng(0).choice(cloth, min(settings.cloth_samples, len(cloth)), replace=False)
    clothes = cKDTree(_feature(projection.colours[chosen]))
    likeness = {hand: skin_likeness(projection.colours[part == hand], skin) for hand in HANDS}
    for hand, other in zip(HANDS, HANDS[::-1], strict=True):
        own, like = np.flatnonzero(part == hand), likeness[hand]
        if not len(own):
            continue
        if like.mean() < settings.bare and not _hand_found(view, hand, settings):
            # The body's hand lies somewhere before what the photo shows: a hand in patches of cloth and skin is worse
            # than one of plain skin.
            foreign[own] = hidden[own] = 1
            continue
        if like.mean() < settings.glove:
            low, high = (bound(pixels[own], 0) for bound in (np.min, np.max))
            near = pixels[cloth]
            near = ((near > low - settings.hand_margin) & (near < high + settings.hand_margin)).all(1)
            around = projection.colours[cloth[near]]
            colour = np.median(projection.colours[own], 0)
            in_pocket = len(around) > 0 and np.median(colour_distance(around, colour)) < settings.pocket
            alone = len(likeness[other]) > 0 and likeness[other].mean() > settings.bare  # gloves come in pairs
            foreign[own] = hidden[own] = float(in_pocket or alone)
            continue
        nearest, _ = clothes.query(_feature(projection.colours[own]))
        foreign[own] = 1 - like
        hidden[own] = (1 - like) * (1 - smoothstep(nearest, *settings.like_cloth))
    return Doubt(foreign, hidden)


def _hand_found(view: ProjectedView, hand: Part, settings: ContaminationSettings) -> bool:
    """Whether perception found the hand, or at least its wrist, inside the photo."""
    person, camera = view.source.person, view.source.camera
    found = (person.left_hand, person.right_hand)[HANDS.index(hand)]
    if found is not None and found.score > settings.found_hand:
        return True
    x, y, visibility = person.landmarks[WRISTS[HANDS.index(hand)]]
    return bool(visibility > settings.found_hand and 0 <= x < camera.width and 0 <= y < camera.height)


def _background(
    projection: Projection,
    part: NDArray[np.uint8],
    pixels: NDArray[np.float32],
    view: ProjectedView,
    atlas: Atlas,
    settings: ContaminationSettings,
) -> Doubt:
    """Texels that show the background: the mask holds gaps between limbs, or the body is wider than the person."""
    mean, deviation = background_around(view.source, pixels, settings)
    colours, cosine = projection.colours, projection.cosine
    plain = deviation < settings.plain_background
    if not plain.any():
        return Doubt(np.zeros(len(part), np.float32), np.zeros(len(part), np.float32))
    behind = colour_distance(colours, mean)
    depth = view.foreground.depth_inside(pixels) / view.visibility.pixels_per_metre
    sure = smoothstep(cosine, *settings.sure_cosine) * smoothstep(depth, *settings.sure_depth)
    sure = (sure * smoothstep(behind, *settings.sure_contrast) * projection.weights).astype(np.float32)
    colour, share = vertex_colours(colours, sure, projection.texels, atlas)
    expected = diffuse(atlas.surface, [(colour, settings.expected_pull * share)])
    away = colour_distance(colours, atlas.interpolate(expected, projection.texels))
    # Well inside the mask only gaps between limbs show background, and they have its very colour.
    same = 1 - smoothstep(behind, *settings.same_background)
    grazing = (1 - smoothstep(cosine, *settings.edge_cosine)) * (1 - smoothstep(behind, *settings.strong))
    inside = smoothstep(depth, *settings.edge_depth)
    edge = np.maximum(1 - inside, np.maximum(grazing, same))
    foreign = smoothstep(away - 1.5 * behind, *settings.closer) * smoothstep(away, *settings.unexpected) * edge
    own = (depth > settings.own_depth) & (cosine > settings.own_cosine)
    mistaken = _share_around(pixels, own, behind < settings.strong[0], view, settings)
    foreign *= 1 - smoothstep(mistaken, *settings.mistaken)
    foreign[~plain | (part == Part.HEAD)] = 0
    ring = atlas.of_first_vertex(atlas.surface.ring)[projection.texels]
    # What fills much of a slice is the limb itself, in the background's colour.
    share = np.bincount(ring, foreign * projection.weights) / np.maximum(np.bincount(ring, projection.weights), 1e-6)
    foreign *= 1 - smoothstep(share[ring], *settings.whole_limb)
    everywhere = np.zeros(len(atlas.table), np.float32)
    everywhere[projection.texels] = foreign
    grown = cv2.dilate(atlas.table.scatter(everywhere), np.ones((settings.grown, settings.grown), np.uint8))
    grown = np.asarray(grown).ravel()[atlas.table.pixel[projection.texels]]
    foreign = np.where((cosine < settings.grown_cosine) & (part != Part.HEAD), grown, foreign).astype(np.float32)
    surely = smoothstep(cosine, *settings.surely_hidden) * (1 - inside)  # in a gap whatever the cosine
    limit = smoothstep(cosine, *settings.hidden_cosine) * (1 - same) + surely * same
    hidden: NDArray[np.float32] = (foreign * (1 - limit)).astype(np.float32)
    return Doubt(foreign, hidden)


def _share_around(
    pixels: NDArray[np.float32],
    asked: NDArray[np.bool_],
    counted: NDArray[np.bool_],
    view: ProjectedView,
    settings: ContaminationSettings,
) -> NDArray[np.float32]:
    """The share (K,) of the points around each of ``pixels`` (K, 2) that count, among those asked; 0 without any."""
    x0, y0, x1, y1 = view.source.person.window
    cell = settings.own_reach * max(x1 - x0, y1 - y0) / 2
    size = int((x1 - x0) // cell) + 1, int((y1 - y0) // cell) + 1
    at = np.clip(((pixels - np.array([x0, y0])) // cell).astype(np.int32), 0, np.array(size) - 1)
    index = at[:, 1] * size[0] + at[:, 0]
    sums = [
        cv2.GaussianBlur(np.bincount(index, part, size[0] * size[1]).reshape(size[1], size[0]), (0, 0), 1.5)
        for part in (asked.astype(np.float64), (asked & counted).astype(np.float64))
    ]
    share: NDArray[np.float32] = (sums[1] / np.maximum(sums[0], 1e-6)).astype(np.float32).ravel()
    chosen: NDArray[np.float32] = share[index]
    return chosen


def background_around(
    view: View, pixels: NDArray[np.float32], settings: ContaminationSettings = DEFAULT_SETTINGS
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean (K, 3), linear light, and standard deviation (K,), `perceptual` units, of the background around ``pixels``
    (K, 2); the deviation is infinite where there is none.
    """
    person, photo = view.person, view.photo.pixels
    x0, y0, x1, y1 = person.window
    scale = min(1.0, settings.background_side / max(x1 - x0, y1 - y0))
    size = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
    taken = np.maximum(person.mask, person.others)
    picture, taken = (
        np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        for image in (photo[y0:y1, x0:x1], taken)
    )
    side = 2 * settings.background_margin + 1
    outside = (cv2.dilate(taken, np.ones((side, side), np.uint8)) < 16).astype(np.float32)
    coded = perceptual(linear_from_srgb(picture))
    stack = np.dstack([outside, linear_from_srgb(picture) * outside[..., None], coded * outside[..., None]])
    stack = np.dstack([stack, (coded**2).sum(-1) * outside]).astype(np.float32)
    near, far = (
        np.dstack([cv2.GaussianBlur(stack[..., k], (0, 0), reach * max(size)) for k in range(stack.shape[2])])
        for reach in settings.background_reach
    )
    enough = np.clip(near[..., :1] / settings.least_background, 0, 1)
    # weighted sums: the wide average counts only where the narrow one has nothing
    mixed = near + (1 - enough) * far
    weight = np.maximum(mixed[..., 0], 1e-6)
    mean = mixed[..., 1:4] / weight[..., None]
    variance = mixed[..., 7] / weight - ((mixed[..., 4:7] / weight[..., None]) ** 2).sum(-1)
    deviation = np.where(mixed[..., 0] > 1e-4, np.sqrt(np.maximum(variance, 0)), np.float32(1e3))
    at = (pixels - np.array([x0, y0], np.float32)) * np.array([size[0] / (x1 - x0), size[1] / (y1 - y0)], np.float32)
    return bilinear(np.ascontiguousarray(mean, np.float32), at), bilinear(deviation.astype(np.float32), at)
