"""The materials that a photo shows: skin, hair and each garment, as labels of the seen vertices.

Colours are compared without their shading, and neighbours that differ little join whatever their distance in colour:
light and folds change gradually, hems do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from uvatar.data.arrays import Floats
from uvatar.photos.colour import perceptual, smoothstep
from uvatar.photos.skin import skin_likeness
from uvatar.texturing.surface import HANDS, Part, Surface

UNSEEN = -1
SKIN, HAIR = 0, 1  # the first two materials of everybody; garments follow


@dataclass(frozen=True)
class MaterialSettings:
    """Tuned numbers of materials, set while looking at 17 people. Colours are `perceptual` units times
    ``colour_weights``.

    Attributes:
        seen_share: share of a vertex's texels that must be seen.
        colour_weights: of luma and the two chroma differences.
        smoothing, rounds: colours are averaged with neighbours that differ by less than this, so often.
        clusters, cluster_rounds: of the first, too fine division (k-means).
        alike: score below which two materials become one: distance of their colours, less the following.
        gradual: factor on the median step of colour where two materials meet, which counts instead of their distance
            if that is larger.
        gradual_least: share of the distance that remains at least.
        least_border: edges of the mesh that must tell.
        saturated: chroma over luma, both weighted, from which a colour is saturated, and fully;
        faded: what a difference in brightness counts between saturated colours of one hue.
        washed: the same for a difference in saturation.
        interleaved: share of two materials' edges that lead from one to the other from which they are checks or
            stripes of one, and what that takes off the score.
        interleaved_bonus: see there.
        smallest: vertices below which a material is ever more likely a part of another, and an island joins its
            surroundings: some 30 square centimetres.
        smallest_bonus: what that takes off the score.
        spread, coupling, potts_rounds: of the Potts model that tidies up: deviation of colours inside a material, and
            how much all neighbours count.
        same_skin: distance from the skin's colour below which a garment is bare skin.
        hair_height, hair_shades: as `CompletionSettings`.
        bald: distance of the scalp's colour from the skin's below which there is no hair.
        glove: mean likeness of a hand to skin below which it is gloved.
    """

    seen_share: float = 0.3
    colour_weights: tuple[float, float, float] = (0.7, 2.2, 2.2)
    smoothing: float = 0.08
    rounds: int = 8
    clusters: int = 16
    cluster_rounds: int = 12
    alike: float = 0.13
    gradual: float = 2.5
    gradual_least: float = 0.35
    least_border: int = 8
    saturated: tuple[float, float] = (0.1, 0.35)
    faded: float = 0.45
    washed: float = 0.6
    interleaved: float = 0.30
    interleaved_bonus: float = 0.5
    smallest: int = 25
    smallest_bonus: float = 0.3
    spread: float = 0.15
    coupling: float = 4.0
    potts_rounds: int = 8
    same_skin: float = 0.07
    hair_height: float = 0.4
    hair_shades: tuple[float, float] = (0.15, 0.5)
    bald: float = 0.06
    glove: float = 0.15


DEFAULT_SETTINGS = MaterialSettings()


@dataclass(frozen=True)
class Materials:
    """The materials of the seen vertices.

    Attributes:
        labels: (V,) int, `SKIN`, `HAIR`, 2 and more for garments, `UNSEEN`.
        count: number of materials, with skin and hair.
        colours: (count, 3) median linear light as the photo shows it; those of unseen skin and hair are estimates.
    """

    labels: NDArray[np.int32]
    count: int
    colours: NDArray[np.float32]


def segment(
    colour: Floats,
    share: Floats,
    shading: Floats,
    skin: Floats,
    surface: Surface,
    settings: MaterialSettings = DEFAULT_SETTINGS,
) -> Materials:
    """Divide what is seen into materials.

    Args:
        colour: (V, 3) linear light around each vertex.
        share: (V,) 0..1, how much of it is seen and sure.
        shading: (V,) natural log of the light on each vertex.
        skin: (3,) linear light of the person's skin.
        surface: of the body.
        settings: tuned numbers.
    """
    seen = share > settings.seen_share
    albedo = colour / np.exp(shading)[:, None]
    weights = np.array(settings.colour_weights, np.float32)
    raw = perceptual(albedo) * weights
    skin_feature = perceptual(skin) * weights
    labels = np.full(len(share), UNSEEN, np.int32)
    head = _upper_head(surface)
    hands = np.isin(surface.part, HANDS)
    dressed = np.flatnonzero(seen & ~head & ~hands & (surface.eye == 0))
    if len(dressed) > settings.clusters:
        graph = surface.graph[dressed][:, dressed].tocoo()
        feature = _smoothed(raw[dressed], graph, settings)
        own = _clustered(feature, share[dressed], settings)
        own = _joined(own, feature, raw[dressed], graph, settings)
        own = _tidied(own, feature, graph, settings)
        own = _without_islands(own, graph, settings)
        labels[dressed] = _numbered(own, feature, skin_feature, settings)
    for hand in HANDS:
        bare = seen & (surface.part == hand)
        if bare.any():
            like = skin_likeness(colour[bare], skin).mean() >= settings.glove
            labels[bare] = SKIN if like else max(int(labels.max()), HAIR) + 1
    _label_head(labels, raw, seen & head, skin_feature, surface, settings)
    count = max(int(labels.max()) + 1, 2)
    colours = np.tile(np.asarray(skin, np.float32), (count, 1))
    for material in range(count):
        members = labels == material
        if members.any():
            colours[material] = np.median(colour[members], axis=0)
    if not (labels == SKIN).any():
        colours[SKIN] = skin
    return Materials(labels, count, colours)


def _upper_head(surface: Surface) -> NDArray[np.bool_]:
    """(V,) the head above the chin."""
    chin = surface.template[surface.face_front, 1].min() if surface.face_front.any() else np.inf
    upper: NDArray[np.bool_] = (surface.part == Part.HEAD) & (surface.template[:, 1] >= chin)
    return upper


def _smoothed(raw: Floats, graph: sparse.coo_matrix, settings: MaterialSettings) -> NDArray[np.float32]:
    """Features (K, 3), averaged with similar neighbours."""
    feature = raw.astype(np.float32)
    for _ in range(settings.rounds):
        apart = ((feature[graph.row] - feature[graph.col]) ** 2).sum(1)
        weight = sparse.csr_matrix((np.exp(-apart / settings.smoothing**2), (graph.row, graph.col)), graph.shape)
        feature = (feature + weight @ feature) / (1 + np.asarray(weight.sum(1)))
    return feature.astype(np.float32)


def _clustered(feature: Floats, share: Floats, settings: MaterialSettings) -> NDArray[np.int32]:
    """k-means, started from points that lie far from each other (Gonzalez 1985)."""
    centres = [np.average(feature, axis=0, weights=share)]
    distance = ((feature - centres[0]) ** 2).sum(1)
    for _ in range(settings.clusters - 1):
        centres.append(feature[(distance * share).argmax()])
        distance = np.minimum(distance, ((feature - centres[-1]) ** 2).sum(1))
    middle = np.array(centres)
    for _ in range(settings.cluster_rounds):
        own = ((feature[:, None] - middle) ** 2).sum(-1).argmin(1)
        sums = np.stack([np.bincount(own, feature[:, k] * share, len(middle)) for k in range(3)], 1)
        mass = np.bincount(own, share, len(middle))
        middle = np.where(mass[:, None] > 0, sums / np.maximum(mass, 1e-9)[:, None], middle)
    numbered: NDArray[np.int32] = np.unique(own, return_inverse=True)[1].astype(np.int32)
    return numbered


def _joined(
    labels: NDArray[np.int32], feature: Floats, raw: Floats, graph: sparse.coo_matrix, settings: MaterialSettings
) -> NDArray[np.int32]:
    """Clusters joined while two of them are alike."""
    labels = labels.copy()
    step = np.linalg.norm(raw[graph.row] - raw[graph.col], axis=1)
    while labels.max() > 0:
        count = labels.max() + 1
        size = np.bincount(labels, minlength=count)
        centre = _centres(labels, feature, count)
        a, b = labels[graph.row], labels[graph.col]
        edges = np.bincount(a * count + b, minlength=count * count).reshape(count, count)
        distance = _apart(centre, settings)
        best, pair = settings.alike, None
        for i in range(count):
            for j in range(i):
                score = float(distance[i, j])
                between = edges[i, j]
                if between >= settings.least_border:
                    border = float(np.median(step[(a == i) & (b == j)]))
                    score = min(score, max(settings.gradual_least * score, settings.gradual * border))
                    least = min(edges[i, i], edges[j, j])
                    if between / (least + between) > settings.interleaved and min(size[i], size[j]) > 40:
                        score -= settings.interleaved_bonus
                if min(size[i], size[j]) < settings.smallest:
                    score -= settings.smallest_bonus
                if score < best:
                    best, pair = score, (i, j)
        if pair is None:
            break
        labels[labels == pair[0]] = pair[1]
        labels = np.unique(labels, return_inverse=True)[1].astype(np.int32)
    return labels


def _centres(labels: NDArray[np.int32], feature: Floats, count: int) -> NDArray[np.float64]:
    """Mean features (count, 3) of the clusters."""
    sums = np.stack([np.bincount(labels, feature[:, k], count) for k in range(3)], 1)
    centres: NDArray[np.float64] = sums / np.bincount(labels, minlength=count)[:, None]
    return centres


def _apart(centre: Floats, settings: MaterialSettings) -> NDArray[np.float64]:
    """Distances (K, K) of features (K, 3): brightness counts less between saturated colours of one hue, such as the
    faded and the shaded parts of jeans, than between greys.
    """
    luma = np.maximum(centre[:, 0], 0.02)
    hue = centre[:, 1:] / luma[:, None]
    saturation = smoothstep(np.linalg.norm(hue, axis=1), *settings.saturated)
    darker = np.minimum(luma[:, None], luma)
    step = hue[:, None] - hue
    towards = hue[:, None] + hue
    towards /= np.maximum(np.linalg.norm(towards, axis=-1, keepdims=True), 1e-6)
    along = (step * towards).sum(-1)
    across = np.linalg.norm(step - along[..., None] * towards, axis=-1)
    saturated = np.minimum(saturation[:, None], saturation)
    # washed out and full shades of one hue
    by_hue = np.hypot(across, along * (1 - (1 - settings.washed) * saturated)) * darker
    by_luma = np.abs(luma[:, None] - luma) * (1 - (1 - settings.faded) * saturated)
    plain = np.linalg.norm(centre[:, None] - centre, axis=-1)
    apart: NDArray[np.float64] = np.minimum(np.hypot(by_hue, by_luma), plain)
    return apart


def _tidied(
    labels: NDArray[np.int32], feature: Floats, graph: sparse.coo_matrix, settings: MaterialSettings
) -> NDArray[np.int32]:
    """Mean-field rounds of a Potts model: neighbours prefer the same label."""
    count = labels.max() + 1
    centre = _centres(labels, feature, count)
    unary = -((feature[:, None] - centre) ** 2).sum(-1) / settings.spread**2
    # A material of many colours, such as a check, is at home at all of them, not at their mean.
    unary = np.maximum(unary, np.where(labels[:, None] == np.arange(count), -1.0, -np.inf))
    weight = sparse.csr_matrix((np.ones(len(graph.row)), (graph.row, graph.col)), graph.shape)
    weight = sparse.diags(1 / np.maximum(np.asarray(weight.sum(1)).ravel(), 1)) @ weight
    probability = np.eye(count)[labels]
    for _ in range(settings.potts_rounds):
        logit = unary + settings.coupling * (weight @ probability)
        probability = np.exp(logit - logit.max(1, keepdims=True))
        probability /= probability.sum(1, keepdims=True)
    tidy: NDArray[np.int32] = probability.argmax(1).astype(np.int32)
    return tidy


def _without_islands(
    labels: NDArray[np.int32], graph: sparse.coo_matrix, settings: MaterialSettings
) -> NDArray[np.int32]:
    """Small islands take the label that most of their neighbours have."""
    labels = labels.copy()
    for _ in range(2):
        same = labels[graph.row] == labels[graph.col]
        inside = sparse.csr_matrix((np.ones(same.sum()), (graph.row[same], graph.col[same])), graph.shape)
        _, island = connected_components(inside, directed=False)
        small = np.bincount(island) < settings.smallest
        leaving = small[island[graph.row]] & ~same
        count = labels.max() + 1
        votes = sparse.csr_matrix(
            (np.ones(leaving.sum()), (island[graph.row[leaving]], labels[graph.col[leaving]])), (len(small), count)
        ).toarray()
        told = votes.sum(1) > 0
        new = np.where(told, votes.argmax(1), -1)[island]
        labels = np.where(small[island] & (new >= 0), new, labels).astype(np.int32)
    return labels


def _numbered(
    labels: NDArray[np.int32], feature: Floats, skin: Floats, settings: MaterialSettings
) -> NDArray[np.int32]:
    """Labels from 2 on, but `SKIN` for what has the skin's colour."""
    result, following = np.empty_like(labels), HAIR + 1
    for label in np.unique(labels):
        own = labels == label
        bare = np.linalg.norm(np.median(feature[own], 0) - skin) < settings.same_skin
        result[own] = SKIN if bare else following
        following += not bare
    return result


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
    low, high = (np.quantile(strands[:, 0], quantile) for quantile in settings.hair_shades)
    hair = np.median(strands[(strands[:, 0] >= low) & (strands[:, 0] <= high)], axis=0)
    if np.linalg.norm(hair - skin) < settings.bald:
        return
    face = np.flatnonzero(head & surface.face_front)
    bare = np.median(raw[face], axis=0) if len(face) else skin
    other = np.flatnonzero(head & ~surface.face_front)
    nearer = np.linalg.norm(raw[other] - hair, axis=1) < np.linalg.norm(raw[other] - bare, axis=1)
    labels[other[nearer]] = HAIR
