"""Vertices divided by colour: neighbours that differ little belong together whatever their distance in colour.

Light and folds change gradually, hems do not; checks and stripes are colours that alternate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from uvatar.data.arrays import Floats
from uvatar.photos.colour import linear_from_srgb, perceptual, smoothstep
from uvatar.photos.skin import hue_distance
from uvatar.texturing.materials.settings import MaterialSettings


def smoothed(raw: Floats, graph: sparse.coo_matrix, settings: MaterialSettings) -> NDArray[np.float32]:
    """Features (K, 3), averaged with similar neighbours."""
    feature = raw.astype(np.float32)
    for _ in range(settings.rounds):
        apart = ((feature[graph.row] - feature[graph.col]) ** 2).sum(1)
        weight = sparse.csr_matrix((np.exp(-apart / settings.smoothing**2), (graph.row, graph.col)), graph.shape)
        feature = (feature + weight @ feature) / (1 + np.asarray(weight.sum(1)))
    return feature.astype(np.float32)


def clustered(feature: Floats, share: Floats, settings: MaterialSettings) -> NDArray[np.int32]:
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


def joined(
    labels: NDArray[np.int32],
    feature: Floats,
    raw: Floats,
    skin: Floats,
    graph: sparse.coo_matrix,
    settings: MaterialSettings,
) -> NDArray[np.int32]:
    """Clusters joined while two of them are alike.

    What has joined is compared cluster by cluster, not by its mean: stripes of white and black are not grey.
    """
    count = int(labels.max()) + 1
    size = np.bincount(labels, minlength=count).astype(float)
    centre = _centres(labels, feature, count)
    apart, bare = _apart(centre, settings), _skin_hue(centre, skin, settings)
    member = np.eye(count, dtype=bool)  # the clusters of each material
    step = np.linalg.norm(raw[graph.row] - raw[graph.col], axis=1)
    labels, count = labels.copy(), len(member)
    row, column = graph.row, graph.col
    known = np.full((count, count), np.nan)  # scores, by pairs of clusters that stand for what has joined them
    while count > 1:
        a, b = labels[row], labels[column]
        edges = np.bincount(a * count + b, minlength=count**2).reshape(count, -1)
        mass = member @ size
        skin_share = member @ (size * bare) / mass
        for i, j in np.argwhere(np.tril(np.isnan(known), -1)):
            between = apart[np.ix_(member[i], member[j])]
            distance = 0.5 * (
                np.average(between.min(1), weights=size[member[i]])
                + np.average(between.min(0), weights=size[member[j]])
            )
            border = step[(a == i) & (b == j)] if edges[i, j] >= settings.least_border else None
            skin_step = abs(float(skin_share[i] - skin_share[j]))
            between_both = edges[[i, j]][:, [i, j]]
            known[i, j] = _join_score(float(distance), skin_step, border, between_both, min(mass[i], mass[j]), settings)
        scores = np.where(np.tri(count, k=-1, dtype=bool), known, np.inf)
        i, j = divmod(int(scores.argmin()), count)
        if scores[i, j] >= settings.alike:
            break
        member[j] |= member[i]
        member = np.delete(member, i, 0)
        known[j], known[:, j] = np.nan, np.nan
        known = np.delete(np.delete(known, i, 0), i, 1)
        labels = np.where(labels == i, j, labels)
        labels = (labels - (labels > i)).astype(np.int32)
        count -= 1
    return labels


def _join_score(
    distance: float,
    skin_step: float,
    border: Floats | None,
    edges: NDArray[np.int64],
    smaller: float,
    settings: MaterialSettings,
) -> float:
    """How different two materials are: their distance, less what speaks for one material.

    Args:
        distance: of their colours.
        skin_step: by how much more one of them has the skin's hue.
        border: steps of colour along the edges between them, None if there are too few.
        edges: (2, 2) number of edges inside either and between them.
        smaller: vertices of the smaller one.
        settings: tuned numbers.
    """
    score = distance
    if border is not None:
        score = min(score, max(settings.gradual_least * score, settings.gradual * float(np.median(border))))
        between = edges[0, 1]
        least = min(edges[0, 0], edges[1, 1])
        if between / (least + between) > settings.interleaved and smaller > settings.least_interleaved:
            # checks and stripes may have the skin's colour
            return score - settings.interleaved_bonus
    small = 1 - smoothstep(np.array(smaller), settings.smallest, settings.small)
    return score - settings.smallest_bonus * float(small) + settings.skin_apart * skin_step


def _skin_hue(centre: Floats, skin: Floats, settings: MaterialSettings) -> NDArray[np.float64]:
    """Whether (K,), 0..1, colours have the skin's hue, and are not far brighter; both as features. Nothing has, where
    what was taken for the skin (a visor before the face) cannot be skin.
    """
    luma, own = np.maximum(centre[:, 0], 0.02), max(float(skin[0]), 0.02)
    hue = np.linalg.norm(centre[:, 1:] / luma[:, None] - skin[1:] / own, axis=1)
    like = (1 - smoothstep(hue, *settings.skin_hue)) * (1 - smoothstep(luma / own, *settings.skin_light))
    return np.asarray(like * plausible_skin(skin, settings), np.float64)


def plausible_skin(skin: Floats, settings: MaterialSettings) -> bool:
    """Whether a colour (3,), as a feature, has the hue of any skin, or none, as in black and white."""
    tone = perceptual(linear_from_srgb(np.array([settings.tone], np.uint8)))[0] * np.array(settings.colour_weights)
    hue, usual = (colour[1:] / max(float(colour[0]), 0.02) for colour in (skin, tone))
    away = float(hue_distance(hue, usual, settings.saturated_skin))
    return bool(away < settings.any_skin or np.linalg.norm(hue) < settings.no_hue)


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


def tidied(
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


def without_islands(
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
