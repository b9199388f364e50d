"""The light that the photos hold, as a map: dividing a texture by it leaves what an engine can light.

Each photo has a light of its own: a smooth function of the surface's direction (`uvatar.texturing.light.shading`), here
fitted so that each material has the same brightness on all of its sides, and shadows, which are smooth and darker than
that function says. What no photo shows was completed from what they show, so its light is continued in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.data.arrays import Floats, Integers
from uvatar.photos.colour import smoothstep
from uvatar.protocol.even_light import SIDE, encoded_light
from uvatar.texturing.completion.lowband import diffuse, vertex_colours
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import Surface
from uvatar.texturing.layout.texels import TexelTable
from uvatar.texturing.light.shading import LightSteps, ShadingSettings, fitted_light, harmonics, light_steps, log_luma
from uvatar.texturing.materials.material_map import MaterialMap
from uvatar.texturing.seen.merging import photo_scores
from uvatar.texturing.seen.projection import ProjectedView, Projection


@dataclass(frozen=True)
class EvenLightSettings:
    """Tuned numbers of even light. Brightness is in natural log.

    Attributes:
        shading: of the comparison of neighbours.
        rounds: of fitting the light and the brightness of materials in turn.
        material_weight: how much the difference of all vertices from their material counts, relative to the steps
            between neighbours.
        odd: difference from the rest of its material at which a vertex hardly counts.
        patterned: robust deviations within a material from which it begins to lose its say, and has none: stripes,
            prints and folded black cloth tell little of the light.
        strongest: factors that the light is believed to make, darker and brighter, at most.
        shadow: darkness from which smooth darkness is a shadow, and the most that is taken for one.
        shadow_share: how much of a shadow is taken away: what is taken for one may be the cloth's own colour.
        shadow_reach: rounds of averaging over neighbours on the mesh, some 12 mm each.
        least_face: vertices of the face that must be seen for its skin to keep its tone.
        face_shift: by how much the whole may be made brighter or darker to keep the skin's tone, at most.
        seen_pull, level_pull: of vertices' light towards what is seen, and towards the level of their material,
            relative to the pull of a vertex's neighbours.
        unseen_share: share of a vertex that is seen below which it is unseen.
        least_level: vertices of a material that must be seen, and unseen, to compare their levels.
        level_shift: by how much the unseen level may differ from the mean of the seen light, at most.
        across_border: how much of the pull of neighbours of another material counts.
    """

    shading: ShadingSettings = field(default_factory=ShadingSettings)
    rounds: int = 8
    material_weight: float = 1.0
    odd: float = 0.25
    patterned: tuple[float, float] = (0.15, 0.45)
    strongest: tuple[float, float] = (1.0, 0.6)
    shadow: tuple[float, float] = (0.08, 0.5)
    shadow_share: float = 0.6
    shadow_reach: int = 8
    least_face: int = 60
    face_shift: float = 0.2
    seen_pull: float = 6.0
    level_pull: float = 0.1
    unseen_share: float = 0.02
    least_level: int = 60
    level_shift: float = 0.3
    across_border: float = 0.05


DEFAULT_SETTINGS = EvenLightSettings()


@dataclass(frozen=True)
class LitSurface:
    """What one photo shows of the V vertices.

    Attributes:
        colour: (V, 3) linear light around each vertex.
        share: (V,) 0..1, how much of it is seen and sure.
        score: (V,) how well the photo shows it, compared with other photos.
        normals: (V, 3) unit vectors, camera frame.
    """

    colour: NDArray[np.float32]
    share: NDArray[np.float32]
    score: NDArray[np.float32]
    normals: NDArray[np.float32]


def light_map(
    views: Sequence[ProjectedView],
    projections: Sequence[Projection],
    colours: NDArray[np.float32],
    materials: MaterialMap | None,
    atlas: Atlas,
    settings: EvenLightSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float32]:
    """The natural log of the light (T,) that a texture of these photos holds, 0 in the median or on the face.

    Args:
        views: the photos.
        projections: of the same photos, what each shows.
        colours: (T, 3) linear light, the finished texture.
        materials: of the texels; None if they are not known: then only neighbours are compared.
        atlas: of the body.
        settings: tuned numbers.

    Raises RuntimeError if the system is singular.
    """
    lit = [_lit(view, projection, atlas) for view, projection in zip(views, projections, strict=True)]
    labels = None if materials is None else vertex_labels(materials.labels, atlas)
    names = () if materials is None else materials.names
    every = np.arange(len(atlas.table), dtype=np.int32)
    made, _ = vertex_colours(colours, np.ones(len(colours), np.float32), every, atlas)
    return atlas.interpolate(light_at_vertices(lit, made, labels, names, atlas.surface, settings)).astype(np.float32)


def light_picture(log_light: NDArray[np.float32], table: TexelTable) -> NDArray[np.uint8]:
    """Light (T,) as the small grey picture that goes with a texture (`uvatar.protocol.even_light`)."""
    picture, side = table.picture(log_light), min(SIDE, table.size)
    return encoded_light(np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)))


def _lit(view: ProjectedView, projection: Projection, atlas: Atlas) -> LitSurface:
    sure = projection.weights * projection.certainty
    colour, share = vertex_colours(projection.colours, sure, projection.texels, atlas)
    score = photo_scores(projection)
    scores = vertex_colours(np.repeat(score[:, None], 3, 1), sure, projection.texels, atlas)[0][:, 0]
    return LitSurface(colour, share, scores, view.visibility.normals)


def vertex_labels(labels: NDArray[np.uint8], atlas: Atlas) -> NDArray[np.int64]:
    """The label (V,) that most texels (T,) around each vertex have."""
    table, faces = atlas.table, atlas.surface.faces
    nearest = faces[table.face, table.barycentric.argmax(1)]
    shape = len(atlas.surface.template), int(labels.max(initial=0)) + 1
    counts = sparse.coo_matrix((np.ones(len(labels), np.float32), (nearest, labels)), shape).toarray()
    found: NDArray[np.int64] = counts.argmax(1)
    return found


def light_at_vertices(
    photos: Sequence[LitSurface],
    made: Floats,
    labels: NDArray[np.int64] | None,
    names: Sequence[str],
    surface: Surface,
    settings: EvenLightSettings = DEFAULT_SETTINGS,
) -> NDArray[np.float32]:
    """The natural log of the light (V,) at all vertices.

    Args:
        photos: what each shows.
        made: (V, 3) linear light of the finished texture around each vertex.
        labels: (V,) indices into ``names``, of all vertices; None if unknown.
        names: of the materials.
        surface: of the body.
        settings: tuned numbers.
    """
    count = len(surface.template)
    light, total, share = np.zeros(count), np.zeros(count), np.zeros(count)
    best = np.max([photo.score * photo.share for photo in photos], axis=0)
    for photo in photos:
        one = _photo_light(photo, labels, names, surface, settings)
        # as `merge` divides texels between photos
        weight = photo.share * (photo.score * photo.share / np.maximum(best, 1e-9)) ** 4
        light += weight * one
        total += weight
        share = np.maximum(share, photo.share)
    light /= np.maximum(total, 1e-9)
    labels = np.zeros(count, np.int64) if labels is None else labels
    level = _levels(light, share, log_luma(made), labels, _index(names, "hair"), settings)
    return _continued(light, share, level[labels], labels, surface, settings)


def _photo_light(
    photo: LitSurface,
    labels: NDArray[np.int64] | None,
    names: Sequence[str],
    surface: Surface,
    settings: EvenLightSettings,
) -> NDArray[np.float64]:
    """The natural log of one photo's light (V,), believable where that photo shows the vertices."""
    steps = light_steps(photo.colour, photo.share, photo.normals, surface, settings.shading)
    if steps is None:
        return np.zeros(len(photo.share))
    coefficients = fitted_light(steps, settings.shading)
    basis = harmonics(photo.normals)
    seen = photo.share > settings.shading.seen_share
    if labels is None:
        light = basis @ coefficients
    else:
        comparable = seen & (labels != _index(names, "hair")) & (surface.eye == 0)
        coefficients, rest, sure = _by_material(photo, steps, coefficients, basis, labels, comparable, settings)
        light = basis @ coefficients
        light -= np.median(light[seen])
        light = _bounded(light, settings) + sure * _shadows(rest, labels, comparable, surface, settings)
    light -= np.median(light[seen])
    face = seen & surface.face_front
    if face.sum() >= settings.least_face:
        light -= np.clip(np.median(light[face]), -settings.face_shift, settings.face_shift)
    return _bounded(light, settings)


def _index(names: Sequence[str], name: str) -> int:
    return list(names).index(name) if name in names else -1


def _bounded(light: Floats, settings: EvenLightSettings) -> NDArray[np.float64]:
    """Light (V,) that approaches the strongest factors instead of passing them."""
    dark, bright = settings.strongest
    limit = np.where(light < 0, dark, bright)
    return np.asarray(limit * np.tanh(light / limit), np.float64)


def _by_material(
    photo: LitSurface,
    steps: LightSteps,
    coefficients: Floats,
    basis: Floats,
    labels: Integers,
    seen: NDArray[np.bool_],
    settings: EvenLightSettings,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Fit light and materials in turn.

    Returns the light's coefficients (8,), the brightness (V,) that neither explains, and how far (V,), 0..1, each
    vertex's material tells of the light.
    """
    luma = log_luma(photo.colour)
    near = 1 / (1 + ((steps.luma - steps.basis @ coefficients) / settings.shading.luma_step) ** 2)
    weight = steps.same * near
    of_steps = (steps.basis * weight[:, None]).T @ steps.basis
    right_of_steps = steps.basis.T @ (weight * steps.luma)
    of_steps += settings.shading.ridge * len(steps.luma) * np.eye(len(coefficients))
    scale = settings.material_weight * len(steps.luma) / max(float(photo.share[seen].sum()), 1e-9)
    level, sure = np.zeros(len(luma)), np.zeros(len(luma))
    for _ in range(settings.rounds):
        left = luma - basis @ coefficients
        for label in np.unique(labels[seen]):
            own = seen & (labels == label)
            middle = float(np.median(left[own]))
            spread = 1.5 * float(np.median(np.abs(left[own] - middle)))
            member = labels == label
            level[member], sure[member] = middle, 1 - smoothstep(np.array(spread), *settings.patterned)
        rest = left - level
        weight = scale * seen * photo.share * sure / (1 + (rest / settings.odd) ** 2)
        system = of_steps + (basis * weight[:, None]).T @ basis
        coefficients = np.linalg.solve(system, right_of_steps + basis.T @ (weight * (luma - level)))
    return coefficients, luma - basis @ coefficients - level, sure


def _shadows(
    rest: Floats, labels: Integers, seen: NDArray[np.bool_], surface: Surface, settings: EvenLightSettings
) -> NDArray[np.float64]:
    """The part (V,), 0 or less, of the unexplained brightness that is taken for shadows: smooth and dark."""
    edges = surface.graph.tocoo()
    same = seen[edges.row] & seen[edges.col] & (labels[edges.row] == labels[edges.col])
    graph = sparse.csr_matrix((same.astype(np.float64), (edges.row, edges.col)), edges.shape)
    degree = 1 + np.asarray(graph.sum(1)).ravel()
    smooth = np.where(seen, rest, 0.0)
    for _ in range(settings.shadow_reach):
        smooth = (smooth + graph @ smooth) / degree
    least, most = settings.shadow
    found: NDArray[np.float64] = -settings.shadow_share * np.clip(-smooth - least, 0, most)
    return found


def _levels(
    light: Floats, share: Floats, luma: Floats, labels: Integers, hair: int, settings: EvenLightSettings
) -> NDArray[np.float64]:
    """The light (K,) that makes the unseen part of each material as bright as its seen part; of hair, whose strands
    differ, and of what is all seen or unseen, the mean.

    ``luma`` (V,): of the finished texture.
    """
    seen, unseen = share > settings.shading.seen_share, share < settings.unseen_share
    count = int(labels.max(initial=0)) + 1
    mean = np.bincount(labels, light * share, count) / np.maximum(np.bincount(labels, share, count), 1e-9)
    for label in range(count):
        before, behind = seen & (labels == label), unseen & (labels == label)
        if label != hair and min(before.sum(), behind.sum()) >= settings.least_level:
            even = float(np.median(luma[before] - light[before]))
            other = float(np.median(luma[behind])) - even
            mean[label] += np.clip(other - mean[label], -settings.level_shift, settings.level_shift)
    return np.asarray(mean, np.float64)


def _continued(
    light: Floats, share: Floats, level: Floats, labels: Integers, surface: Surface, settings: EvenLightSettings
) -> NDArray[np.float32]:
    """Light (V,) also where nothing is seen: smooth, and far from what is seen its material's ``level`` (V,)."""
    edges = surface.graph.tocoo()
    ease = np.where(labels[edges.row] == labels[edges.col], 1.0, settings.across_border)
    graph = sparse.csr_matrix((ease, (edges.row, edges.col)), edges.shape)
    anchors = [(light, settings.seen_pull * share), (level, np.full(len(light), settings.level_pull))]
    return diffuse(surface, [(np.repeat(value[:, None], 3, 1), pull) for value, pull in anchors], graph)[:, 0]
