"""Ears under clothes and hair: whole where the photo shows them, flat where hair covers them.

Clothes and hair are smooth displacements of the body's surface (`uvatar.clothing.offsets`). An ear is no wider than
the nodes of these fields lie apart, so a displacement that grows across it would draw it to a point. An ear therefore
moves as a rigid whole, as the skull around it does. Where hair covers it, it would still stand out of the hair, as the
body's surface is then the hair's. There it is laid nearly flat on the head before clothes are fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.spatial import ConvexHull, QhullError, cKDTree

from uvatar.body.data import BODY, BodyData
from uvatar.body.model import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.face import BARE_SKIN, FACE_SCORE
from uvatar.data.joints import Joint
from uvatar.data.landmarks import EARS, EYES
from uvatar.data.view import View
from uvatar.fitting.face.head import HeadPlace
from uvatar.geometry.mesh import vertex_normals
from uvatar.photos.colour import colour_distance, linear_from_srgb


@dataclass(frozen=True)
class EarSettings:
    """Tuned numbers of ears. Lengths are metres of the template.

    Those of the form were chosen so that the ears of the open body are found whole; those of colours and ``swollen`` on
    six heads in photos, two of them with hair over their ears.

    Attributes:
        behind: from the ear's landmark back to the ear's middle.
        skull: distances from the middle between which the skull tells the surface under the ear.
        reach: distance from the middle within which the ear lies.
        relief: height above the skull from which on skin is the ear's.
        around: distance from the ear within which skin carries it.
        flat: share of its relief that an ear under hair keeps.
        smoothing: of the splines that carry an ear laid flat.
        swollen: how far hair stands off the skull around an ear that it covers, at least.
        hair: height above the eyes from which on a head shows hair, if it has any.
        facing: least cosine between a vertex's normal and the line of sight for its colour to be read.
        least_points: ear, skin and hair are each read from, at least.
        covered: share of an ear's points that look more like hair than like skin from which on it is covered.
        likeness: how far a point must be from skin's colours, in distances from hair's, to look like hair.
    """

    behind: float = 0.015
    skull: tuple[float, float] = (0.04, 0.065)
    reach: float = 0.045
    relief: float = 0.004
    around: float = 0.012
    flat: float = 0.08
    smoothing: float = 1e-6
    swollen: float = 0.012
    hair: float = 0.075
    facing: float = 0.2
    least_points: int = 5
    covered: float = 0.5
    likeness: float = 1.5


DEFAULT_SETTINGS = EarSettings()


@dataclass(frozen=True, eq=False)
class Ear:
    """One ear of a body.

    Attributes:
        outward: 1 on the person's left, -1 on the right: the sign of x.
        vertices: (E,) the ear's.
        around: (R,) of the skin around it, which carries it.
        skull: (S,) of the skull farther around it.
        settings: tuned numbers.
    """

    outward: float
    vertices: NDArray[np.int64]
    around: NDArray[np.int64]
    skull: NDArray[np.int64]
    settings: EarSettings

    @property
    def region(self) -> NDArray[np.int64]:
        """(E + R,) the vertices of the ear and of the skin around it."""
        return np.concatenate([self.vertices, self.around])

    def moved(self, offsets: Floats, rest: Floats) -> Floats:
        """Displacements (V, 3) with which the ear keeps its form: it moves and turns as the skin around it does.

        ``rest`` (V, 3) are the vertices without them.
        """
        carried = rest[self.around]
        place = HeadPlace.between(carried, carried + offsets[self.around], np.ones(len(carried)))
        middle = carried.mean(0)
        shift = middle + offsets[self.around].mean(0)
        moved = offsets.copy()
        moved[self.vertices] = (rest[self.vertices] - middle) @ place.rotation.T + shift - rest[self.vertices]
        return moved

    def carried(self, offsets: Floats, rest: Floats) -> Floats:
        """Displacements (V, 3) with which an ear laid flat goes along with the skin around it.

        Thin-plate splines as seen from the side: what lies in one place there moves alike, so the ear's layers, a
        millimetre apart, do not pass through each other.
        """
        spline = RBFInterpolator(rest[self.around, 1:], offsets[self.around], smoothing=self.settings.smoothing)
        moved = offsets.copy()
        moved[self.vertices] = spline(rest[self.vertices, 1:])
        return moved

    def flattened(self, rest: Floats) -> NDArray[np.float64]:
        """Displacements (V, 3) that lay the ear flat on the head with these vertices (V, 3).

        Heights above the skull shrink, and nothing moves along it: no triangle turns over.
        """
        middle = rest[self.skull].mean(0)
        terms, *_ = np.linalg.lstsq(_quadric(rest[self.skull] - middle), rest[self.skull, 0], rcond=None)
        pressed = self.region
        relief = rest[pressed, 0] - _quadric(rest[pressed] - middle) @ terms
        offsets = np.zeros(rest.shape)
        offsets[pressed, 0] = (self.settings.flat - 1) * relief
        return offsets

    def swelling(self, offsets: Floats) -> float:
        """How far displacements (V, 3) move the skin around the ear away from the head, metres."""
        return float(self.outward * np.median(offsets[self.around, 0]))


def find_ears(data: BodyData, settings: EarSettings = DEFAULT_SETTINGS) -> tuple[Ear, ...]:
    """The ears of a body, the left one first; none where nothing stands out of the skull at the ears' landmarks."""
    ears = [_find_ear(data, outward, mark, settings) for outward, mark in zip((1.0, -1.0), EARS, strict=True)]
    return tuple(ear for ear in ears if ear is not None)


def _find_ear(data: BodyData, outward: float, mark: int, settings: EarSettings) -> Ear | None:
    """Whatever stands out of a quadric through the skull around it, and all inside that as seen from the side."""
    template = data.v_template.astype(np.float64)
    from_middle = template - data.landmark_template[mark] - (0, 0, -settings.behind)
    distance = np.linalg.norm(from_middle[:, 1:], axis=1)
    side = (data.part == BODY) & (data.weights[:, Joint.HEAD] > 0.5)
    side &= outward * template[:, 0] > outward * data.landmark_template[mark, 0] / 1.5
    near, far = settings.skull
    skull = np.flatnonzero(side & (distance > near) & (distance < far))
    if len(skull) < 6:
        return None
    terms, *_ = np.linalg.lstsq(_quadric(from_middle[skull]), template[skull, 0], rcond=None)
    relief = outward * (template[:, 0] - _quadric(from_middle) @ terms)
    outstanding = np.flatnonzero(side & (distance < settings.reach) & (relief > settings.relief))
    try:
        edges = ConvexHull(template[outstanding, 1:]).equations
    except (QhullError, ValueError, IndexError):
        return None
    outside = (template[:, 1:] @ edges[:, :2].T + edges[:, 2]).max(1)
    vertices = np.flatnonzero(side & (outside <= 1e-9))
    reached, _ = cKDTree(template[vertices, 1:]).query(template[:, 1:], distance_upper_bound=settings.around)
    around = np.flatnonzero(side & (outside > 1e-9) & np.isfinite(reached))
    return Ear(outward, vertices, around, skull, settings) if len(around) > 3 else None


def _quadric(points: Floats) -> Floats:
    """(N, 3) -> (N, 6) the terms up to the second order of y and z."""
    y, z = points[:, 1], points[:, 2]
    return np.stack([np.ones_like(y), y, z, y * y, y * z, z * z], 1)


def ears_under_hair(view: View, body: BodyModel, ears: Sequence[Ear]) -> bool:
    """Whether the photo shows hair where the fitted body has its ears; False where the photo does not tell.

    A point of an ear looks like hair if its colour is nearer to the head's above the brow than to the face's bare
    skin. Both ears are judged together, as hair is worn alike on both sides more often than colours tell it apart.
    """
    person, data = view.person, body.data
    if not ears or person.face is None or person.face_score <= FACE_SCORE:
        return False
    settings = ears[0].settings
    vertices = body.posed(view.fit.body, view.fit.offsets)[0]
    towards = -vertices / np.maximum(np.linalg.norm(vertices, axis=1, keepdims=True), 1e-9)
    facing = (vertex_normals(vertices, data.faces) * towards).sum(1) > settings.facing
    facing &= vertices[:, 2] > 0
    above = data.v_template[:, 1] - data.landmark_template[EYES, 1].mean() > settings.hair
    crown = np.flatnonzero(facing & above & (data.weights[:, Joint.HEAD] > 0.5))
    skin = _mask_colours(view, person.face[BARE_SKIN])
    hair = _mask_colours(view, view.camera.project(vertices[crown]))
    if min(len(skin), len(hair)) < settings.least_points:
        return False
    vertices_of_ears = np.concatenate([ear.vertices[facing[ear.vertices]] for ear in ears])
    colours = _mask_colours(view, view.camera.project(vertices[vertices_of_ears]))
    if len(colours) < settings.least_points:
        return False
    like_skin, like_hair = (colour_distance(colours[:, None], some[None]).min(1) for some in (skin, hair))
    return bool((like_skin > settings.likeness * like_hair).mean() > settings.covered)


def _mask_colours(view: View, pixels: Floats) -> NDArray[np.float32]:
    """(K, 3) linear light, of those of the positions (N, 2) in the photo that lie inside the person's mask."""
    x0, y0, x1, y1 = view.person.window
    columns, rows = np.floor(pixels).astype(np.int64).T
    inside = (columns >= x0) & (columns < x1) & (rows >= y0) & (rows < y1)
    columns, rows = columns[inside], rows[inside]
    own = view.person.mask[rows - y0, columns - x0] > 127
    if not own.any():
        return np.zeros((0, 3), np.float32)
    return linear_from_srgb(view.photo.pixels[rows[own], columns[own]])


def flat_ears(ears: Sequence[Ear], rest: Floats) -> Floats:
    """Displacements (V, 3) that lay these ears flat on the head with vertices ``rest`` (V, 3)."""
    offsets: Floats = np.zeros(rest.shape)
    for ear in ears:
        offsets += ear.flattened(rest)
    return offsets


def with_whole_ears(offsets: Floats, rest: Floats, ears: Sequence[Ear], flat: Sequence[Ear] = ()) -> Floats:
    """Displacements (V, 3) of vertices ``rest`` (V, 3) with which ``ears`` keep their form and ``flat`` ones their
    layers.
    """
    for ear in ears:
        offsets = ear.carried(offsets, rest) if ear in flat else ear.moved(offsets, rest)
    return offsets
