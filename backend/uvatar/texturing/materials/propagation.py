"""The materials of what no photo shows, and their smooth colours.

Labels spread over the mesh as a random walker would reach them (Grady 2006, "Random walks for image segmentation"). It
walks round the body far more easily than along it: hems and belts close at their height, and what the middle of the
front alone shows (an inner shirt, a tie) never gets to the back, because the sides are nearer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.data.arrays import Floats, Integers
from uvatar.geometry.mesh import vertex_normals
from uvatar.photos.colour import colour_distance
from uvatar.texturing.completion.lowband import diffuse, solved
from uvatar.texturing.layout.surface import ARMS, FEET, LEGS, Part, Surface, unseen_hands
from uvatar.texturing.materials.labels import HAIR, SKIN, UNSEEN
from uvatar.texturing.materials.segmentation import Materials


@dataclass(frozen=True)
class PropagationSettings:
    """Tuned numbers of propagation, set while looking at 17 people. Pulls are relative to that of all neighbours.

    Attributes:
        seed_pull: of seen vertices.
        before_pull: of what the photo shows before an unseen vertex, if its sides show the same.
        side_share: share of a slice's outermost seen vertices that show what its sides show.
        prior_pull: hair on the unseen scalp, skin on unseen faces and hands.
        across_border: how much two neighbours of different materials share their colours.
        colour_pull: of a seen vertex towards its colour: shade spreads over about eight centimetres.
        material_pull: of every vertex towards the median colour of its material.
        firm_pull: the same of hair, which is seen at grazing angles only, and of invented garments.
        odd_colour: distance of a vertex's colour from its material's median, and in units of the median of these
            distances (``odd_spread``), from which it does not tell the material's colour elsewhere.
        odd_spread: see there.
        mirror_pull: of limbs of which less is seen than of the opposite one, towards its materials: sleeves, legs and
            shoes come in pairs.
        foot_pull: of what is not seen of a foot towards what most of both feet is seen to be,
        foot_height: metres above the soles up to which that holds.
        sole: height of the normal up to which the surface is the sole's, which tells only if nothing else is seen.
        rounds: of smoothing the borders of what is not seen, which else follow the mesh's edges.
        hidden_hand: as `CompletionSettings`.
        chest: heights on the rest body, metres, between which a chest of which nothing is seen is covered,
        least_worn: if so many square metres of clothes, and as many of bare skin, are seen on the trunk above its lower
            end: where there is no skin, labels spread as they do elsewhere,
        hidden_chest: and less than this share of the chest.
    """

    seed_pull: float = 100.0
    before_pull: float = 0.02
    side_share: float = 0.3
    prior_pull: float = 0.3
    across_border: float = 0.003
    colour_pull: float = 0.03
    material_pull: float = 2e-4
    firm_pull: float = 0.2
    odd_colour: float = 0.25
    odd_spread: float = 4.0
    mirror_pull: float = 0.1
    foot_pull: float = 3.0
    foot_height: float = 0.05
    sole: float = -0.7
    rounds: int = 2
    hidden_hand: float = 0.1
    chest: tuple[float, float] = (-0.02, 0.15)
    least_worn: float = 0.008
    hidden_chest: float = 0.15


DEFAULT_SETTINGS = PropagationSettings()


def propagate(
    materials: Materials,
    share: Floats,
    before: Integers,
    surface: Surface,
    settings: PropagationSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float32]:
    """The probability (V, K) of each material at each vertex.

    Args:
        materials: of the seen vertices.
        share: (V,) 0..1, how much of each vertex is seen.
        before: (V,) the material that the photo shows where each vertex projects, `UNSEEN` if it is of another part.
        surface: of the body.
        settings: tuned numbers.

    Raises RuntimeError if the system is singular.
    """
    count = materials.count
    laplacian = surface.stretched_laplacian
    degree = np.full(len(share), float(np.median(laplacian.diagonal())))
    seeds = materials.labels != UNSEEN
    pull = np.where(seeds, settings.seed_pull, 1e-6)
    right = np.full((len(share), count), 1e-6 / count)
    right[seeds] = settings.seed_pull * np.eye(count)[materials.labels[seeds]]
    priors = [(SKIN, surface.face_front)]
    if (materials.labels == HAIR).any():
        priors.append((HAIR, surface.scalp))
    priors += [(SKIN, hand) for hand in unseen_hands(share, surface, settings.hidden_hand)]
    priors += _covered_chest(materials.labels, surface, settings)
    for material, region in priors:
        bare = region & ~seeds
        pull[bare] += settings.prior_pull
        right[bare, material] += settings.prior_pull
    _pull_to_opposite(pull, right, materials.labels, surface, settings)
    _pull_to_shoes(pull, right, materials.labels, surface, settings)
    bare = np.flatnonzero(~seeds & (before != UNSEEN) & _at_the_sides(before, materials.labels, surface, settings))
    pull[bare] += settings.before_pull
    right[bare, before[bare]] += settings.before_pull
    found = solved(laplacian + sparse.diags(degree * pull), degree[:, None] * right)
    exact = np.eye(count, dtype=np.float32)
    found[seeds] = exact[materials.labels[seeds]]
    _keep_invented(found, materials)
    neighbours = np.asarray(surface.graph.sum(1)).ravel()[:, None]
    seen = seeds if materials.invented is None else seeds & ~materials.invented
    for _ in range(settings.rounds):
        found = (0.5 * found + 0.5 * (surface.graph @ found) / neighbours).astype(np.float32)
        found[seen] = exact[materials.labels[seen]]
    return found


def _covered_chest(
    labels: NDArray[np.int32], surface: Surface, settings: PropagationSettings
) -> list[tuple[int, NDArray[np.bool_]]]:
    """The garment of a chest of which nothing is seen, and where (V,) it is: a dress with an open back has a front."""
    trunk, height = surface.part == Part.TRUNK, surface.template[:, 1]
    low, high = settings.chest
    above, area = trunk & (height > low), surface.vertex_area
    chest = above & (height < high) & (surface.template[:, 2] > np.median(surface.template[trunk, 2]))
    worn, bare = above & (labels > HAIR), above & (labels == SKIN)
    shown = (labels != UNSEEN)[chest].mean() > settings.hidden_chest if chest.any() else True
    if shown or min(area[worn].sum(), area[bare].sum()) < settings.least_worn:
        return []
    # what lies in the middle of the back, a rucksack say, is less likely worn in front as well
    sides = np.bincount(labels[worn], area[worn] * np.abs(surface.template[worn, 0]))
    return [(int(sides.argmax()), chest)]


def _keep_invented(found: NDArray[np.float32], materials: Materials) -> None:
    """Take from probabilities (V, K) what nobody has seen anywhere out of where it was not put.

    Plain trousers would else meet a shirt half way between what is seen of it and the hips, and shoes would be boots.
    """
    if materials.invented is None:
        return
    of_seen = materials.labels[~materials.invented]
    new = np.setdiff1d(materials.labels[materials.invented], of_seen)
    others = found.copy()
    others[:, new] = 0
    total = others.sum(1)
    changed = ~materials.invented & (total > 1e-6)
    found[changed] = others[changed] / total[changed, None]


def _pull_to_opposite(
    pull: NDArray[np.float64],
    right: NDArray[np.float64],
    labels: NDArray[np.int32],
    surface: Surface,
    settings: PropagationSettings,
) -> None:
    """Add the prior of what is seen of the opposite limb to a system's ``pull`` (V,) and ``right`` side (V, K)."""
    opposite = labels[surface.mirror]
    for one, other in (ARMS, LEGS, FEET):
        own, others = surface.part == one, surface.part == other
        for limb, pair in ((own, others), (others, own)):
            if (labels[limb] != UNSEEN).sum() < (labels[pair] != UNSEEN).sum():
                told = np.flatnonzero(limb & (labels == UNSEEN) & (opposite != UNSEEN))
                pull[told] += settings.mirror_pull
                right[told, opposite[told]] += settings.mirror_pull


def _pull_to_shoes(
    pull: NDArray[np.float64],
    right: NDArray[np.float64],
    labels: NDArray[np.int32],
    surface: Surface,
    settings: PropagationSettings,
) -> None:
    """Add the prior of one material on both feet to a system's ``pull`` (V,) and ``right`` side (V, K): the photo shows
    trousers' hems before them, and neither heels nor soles.
    """
    feet = np.isin(surface.part, FEET)
    if not feet.any():
        return
    low = feet & (surface.template[:, 1] < surface.template[feet, 1].min() + settings.foot_height)
    seen = low & (labels != UNSEEN)
    if not seen.any():
        return
    upper = vertex_normals(surface.template, surface.faces)[:, 1] > settings.sole  # soles have colours of their own
    telling = seen & upper if (seen & upper).any() else seen
    area = np.bincount(labels[telling], surface.vertex_area[telling], right.shape[1])
    told = low & ~seen
    pull[told] += settings.foot_pull
    right[told, area.argmax()] += settings.foot_pull


def _at_the_sides(
    before: Integers, labels: NDArray[np.int32], surface: Surface, settings: PropagationSettings
) -> NDArray[np.bool_]:
    """Whether (V,) the material before each vertex is also that of the outermost seen vertices of its slice: an open
    jacket's shirt is not.
    """
    across = np.abs(surface.template[:, 0])
    rings, count = len(surface.ring_part), max(int(labels.max()) + 1, 1)
    widest = np.zeros(rings)
    np.maximum.at(widest, surface.ring, across)
    outer = (labels != UNSEEN) & (across > 0.7 * widest[surface.ring])
    outer |= (labels != UNSEEN) & (surface.part != Part.TRUNK)
    counts = np.bincount(surface.ring[outer] * count + labels[outer], minlength=rings * count).reshape(rings, count)
    at_sides = counts > settings.side_share * counts.sum(1, keepdims=True)
    found: NDArray[np.bool_] = at_sides[surface.ring, np.maximum(before, 0)]
    return found


def material_colours(
    materials: Materials,
    labels: NDArray[np.int32],
    colour: Floats,
    share: Floats,
    surface: Surface,
    settings: PropagationSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float32]:
    """One smooth colour (V, 3) per vertex, which does not cross the borders of materials; ``labels`` (V,): of all."""
    edges = surface.graph.tocoo()
    ease = np.where(labels[edges.row] == labels[edges.col], 1.0, settings.across_border)
    graph = sparse.csr_matrix((ease, (edges.row, edges.col)), edges.shape)
    own = (materials.labels != UNSEEN) & (materials.labels == labels)
    away = colour_distance(colour, materials.colours[labels])
    for label in range(materials.count):
        member = own & (labels == label)
        if member.any():
            limit = max(settings.odd_colour, settings.odd_spread * float(np.median(away[member])))
            own &= ~(member & (away > limit))
    seen = colour, settings.colour_pull * share * own
    firm = labels == HAIR if materials.invented is None else (labels == HAIR) | materials.invented
    towards = np.where(firm, settings.firm_pull, settings.material_pull)
    return diffuse(surface, [seen, (materials.colours[labels], towards)], graph)


def labels_at(
    probability: NDArray[np.float32], surface: Surface, face: Integers, barycentric: Floats
) -> NDArray[np.uint8]:
    """The likeliest material (M,) at points of triangles ``face`` (M,): borders are sharp, and smoother than the mesh.

    ``probability`` (V, K) of the vertices; ``barycentric`` (M, 3) of the points.
    """
    label = probability.argmax(1).astype(np.uint8)
    corners = label[surface.faces]
    uniform = (corners == corners[:, :1]).all(1)
    result: NDArray[np.uint8] = corners[face, 0]
    mixed = np.flatnonzero(~uniform[face])
    at = np.einsum("mk,mkc->mc", barycentric[mixed], probability[surface.faces[face[mixed]]])
    result[mixed] = at.argmax(1)
    return result
