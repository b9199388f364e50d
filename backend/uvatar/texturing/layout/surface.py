"""What texturing needs to know of the body's surface and no photo changes: parts, slices, mirror image, mesh graph."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.body.data import BodyData
from uvatar.clothing.ears import find_ears
from uvatar.data.arrays import Floats, Integers
from uvatar.data.joints import COLLAR_JOINTS, SPINE_JOINTS, Joint
from uvatar.data.landmarks import EYES, MOUTH
from uvatar.geometry.adjacency import adjacency, triangle_edges


class Part(IntEnum):
    """A part of the body; parts differ in what they may be completed from. Left and right are the person's own."""

    TRUNK = 0
    HEAD = 1
    LEFT_LEG = 2
    RIGHT_LEG = 3
    LEFT_FOOT = 4
    RIGHT_FOOT = 5
    LEFT_ARM = 6
    RIGHT_ARM = 7
    LEFT_HAND = 8
    RIGHT_HAND = 9


# The pairs are (left, right).
ARMS = [Part.LEFT_ARM, Part.RIGHT_ARM]
HANDS = [Part.LEFT_HAND, Part.RIGHT_HAND]
LEGS = [Part.LEFT_LEG, Part.RIGHT_LEG]
FEET = [Part.LEFT_FOOT, Part.RIGHT_FOOT]
# The joints whose skin each part is.
_JOINTS_OF_PART = {
    Part.TRUNK: [Joint.PELVIS, *SPINE_JOINTS, *COLLAR_JOINTS],
    Part.HEAD: [Joint.NECK, Joint.HEAD],
    Part.LEFT_LEG: [Joint.LEFT_HIP, Joint.LEFT_KNEE],
    Part.RIGHT_LEG: [Joint.RIGHT_HIP, Joint.RIGHT_KNEE],
    Part.LEFT_FOOT: [Joint.LEFT_ANKLE, Joint.LEFT_FOOT],
    Part.RIGHT_FOOT: [Joint.RIGHT_ANKLE, Joint.RIGHT_FOOT],
    Part.LEFT_ARM: [Joint.LEFT_SHOULDER, Joint.LEFT_ELBOW],
    Part.RIGHT_ARM: [Joint.RIGHT_SHOULDER, Joint.RIGHT_ELBOW],
    Part.LEFT_HAND: [Joint.LEFT_WRIST, Joint.LEFT_HAND],
    Part.RIGHT_HAND: [Joint.RIGHT_WRIST, Joint.RIGHT_HAND],
}
# The rest pose's axis along each part: 0 (x) for arms and hands, 1 (y) for the others.
AXIS_OF_PART = np.array([0 if part in (*ARMS, *HANDS) else 1 for part in Part])


@dataclass(frozen=True)
class SurfaceSettings:
    """Tuned numbers of the surface's regions. How they were chosen is not recorded.

    Heights and depths of the head are measured on the rest body: heights above the mouth, in units of the distance from
    mouth to eyes; depths in front of the head's middle, in units of the eyes' depth.

    Attributes:
        slice_height: of the slices that trunk and limbs are cut into, metres along the part.
        crown: height above which there is hair, at whatever depth.
        hairline: height above which there is hair behind ``temple_depth``.
        temple_depth: of the hairline at the temples.
        nape: height above which there is hair behind ``nape_depth``.
        nape_depth: of the hairline behind the ears.
        chin: height above which the face's skin begins.
        cheek_depth: in front of which the face's skin begins.
        stretch: factor by which `Surface.stretched_laplacian` makes trunk and limbs longer. Set, like the two numbers
            below, while looking at 17 people.
        steepest: cotangent at which its weight of a needle-shaped triangle is clipped.
        hops: edges of the mesh between the vertices of `Surface.near_pairs`, at most.
    """

    slice_height: float = 0.025
    crown: float = 1.95
    hairline: float = 1.35
    temple_depth: float = 0.4
    nape: float = 0.0
    nape_depth: float = -0.2
    chin: float = -0.9
    cheek_depth: float = 0.25
    stretch: float = 4.0
    steepest: float = 20.0
    hops: int = 3


DEFAULT_SETTINGS = SurfaceSettings()


@dataclass(frozen=True)
class Surface:
    """The body's surface, V vertices and F triangles.

    Attributes:
        faces: (F, 3) int32 triangles.
        uv: (P, 2) float32 places in the UV plane, origin at the bottom left.
        face_uv: (F, 3) int32 indices into ``uv``.
        template: (V, 3) float32 rest T-pose, SMPL axes (x left of the person, y up, z forward), metres.
        part: (V,) uint8, each vertex's `Part`.
        eye: (V,) uint8, 0 body, 1 left eyeball, 2 right eyeball.
        ear: (V,) uint8, 0 elsewhere, 1 left ear, 2 right ear.
        mirror: (V,) index of the vertex on the other side of the body.
        mirror_uv: (F, 3, 2) float32 where the corners of each triangle's mirror image lie in the UV plane.
        ring: (V,) int32 the slice of its part, a few centimetres along the limb or the trunk, that each vertex lies in.
        ring_part: (R,) uint8 part of every ring; rings of one part follow each other along its axis.
        graph: (V, V) scipy csr adjacency of the mesh, ones.
        scalp: (V,) bool, where hair grows.
        face_front: (V,) bool, from the chin to the hairline and from cheek to cheek.
        stature: height of the template, metres.
        double_area: twice its area, square metres.
        settings: tuned numbers.
    """

    faces: NDArray[np.int32]
    uv: NDArray[np.float32]
    face_uv: NDArray[np.int32]
    template: NDArray[np.float32]
    part: NDArray[np.uint8]
    eye: NDArray[np.uint8]
    ear: NDArray[np.uint8]
    mirror: NDArray[np.int32]
    mirror_uv: NDArray[np.float32]
    ring: NDArray[np.int32]
    ring_part: NDArray[np.uint8]
    graph: sparse.csr_matrix
    scalp: NDArray[np.bool_]
    face_front: NDArray[np.bool_]
    stature: float
    double_area: float
    settings: SurfaceSettings

    @cached_property
    def stretched_laplacian(self) -> sparse.csr_matrix:
        """The Laplacian (V, V) of the rest body whose trunk and limbs are stretched along their axes."""
        return _stretched_laplacian(self)

    @cached_property
    def vertex_area(self) -> NDArray[np.float64]:
        """(V,) square metres of the rest body around each vertex."""
        a, b, c = (self.template[self.faces[:, k]] for k in range(3))
        third = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
        return np.asarray(np.bincount(self.faces.ravel(), np.repeat(third, 3), len(self.template)), np.float64)

    @cached_property
    def near_pairs(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The two vertices of every pair that lies a few edges apart in one part of the body, each pair once."""
        reach = self.graph
        for _ in range(self.settings.hops - 1):
            reach = reach @ self.graph
        pairs = reach.tocoo()
        chosen = (pairs.row < pairs.col) & (self.part[pairs.row] == self.part[pairs.col])
        return pairs.row[chosen], pairs.col[chosen]


def build_surface(data: BodyData, settings: SurfaceSettings = DEFAULT_SETTINGS) -> Surface:
    """The surface of a body that has a UV layout."""
    template, faces = data.v_template, data.faces
    part = _part_of_joint()[np.argmax(data.weights, axis=1)]
    scalp, face_front = _head_regions(template, part, data.landmark_template, settings)
    ring, ring_part = _rings(template, part, settings)
    graph = adjacency(triangle_edges(faces), len(template)).astype(np.float32)
    a, b, c = (template[faces[:, k]] for k in range(3))
    ear = np.zeros(len(template), np.uint8)
    for found in find_ears(data):
        ear[found.vertices] = 1 if found.outward > 0 else 2
    return Surface(
        faces=faces, uv=data.uv, face_uv=data.face_uv, template=template, part=part, eye=data.part, ear=ear,
        mirror=data.mirror, mirror_uv=_mirror_uv(faces, data.uv, data.face_uv, data.mirror),
        ring=ring, ring_part=ring_part, graph=graph,
        scalp=scalp, face_front=face_front,
        stature=float(np.ptp(template[:, 1])), double_area=float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()),
        settings=settings,
    )  # fmt: skip


def _part_of_joint() -> NDArray[np.uint8]:
    """(24,) the part whose skin follows each of SMPL's joints."""
    parts = np.empty(len(Joint), np.uint8)
    for part, joints in _JOINTS_OF_PART.items():
        parts[joints] = part
    return parts


def _head_regions(
    template: Floats, part: Integers, landmarks: Floats, settings: SurfaceSettings
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Scalp (V,) and face (V,) from the places of eyes and mouth; ``landmarks`` (33, 3) of the rest body, metres."""
    eyes, mouth = landmarks[EYES].mean(0), landmarks[MOUTH].mean(0)
    unit = eyes[1] - mouth[1]
    height = (template[:, 1] - mouth[1]) / unit
    head = part == Part.HEAD
    middle = 0.5 * (template[head, 2].min() + template[head, 2].max())
    forward = (template[:, 2] - middle) / (eyes[2] - middle)
    scalp = (
        (height > settings.crown)
        | ((height > settings.hairline) & (forward < settings.temple_depth))
        | ((height > settings.nape) & (forward < settings.nape_depth))
    )
    face_front = (height > settings.chin) & ~scalp & (forward > settings.cheek_depth)
    return head & scalp, head & face_front


def _rings(template: Floats, part: Integers, settings: SurfaceSettings) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """The slice (V,) that each vertex lies in, and the part (R,) of each slice."""
    along = template[np.arange(len(template)), AXIS_OF_PART[part]]
    slices = np.floor(along / settings.slice_height).astype(np.int64)
    keys, ring = np.unique(part.astype(np.int64) * 10_000 + slices + 5_000, return_inverse=True)
    return ring.astype(np.int32), (keys // 10_000).astype(np.uint8)


def _mirror_uv(faces: Integers, uv: Floats, face_uv: Integers, mirror: Integers) -> NDArray[np.float32]:
    """Where (F, 3, 2) the corners of each triangle's mirror image lie in the UV plane.

    A vertex on a UV seam lies at several places of the UV plane: the mirrored triangle takes those that lie closest
    together.
    """
    places: dict[int, set[int]] = defaultdict(set)
    for vertex, place in zip(faces.ravel().tolist(), face_uv.ravel().tolist(), strict=True):
        places[vertex].add(place)
    first = np.array([min(places.get(v, {0})) for v in range(len(mirror))])
    on_seam = np.array([len(places.get(v, {0})) > 1 for v in range(len(mirror))])
    mirrored = np.asarray(mirror)[faces]
    chosen = first[mirrored]
    for face in np.flatnonzero(on_seam[mirrored].any(1)):
        chosen[face] = min(
            product(*(sorted(places[v]) for v in mirrored[face])), key=lambda three: _perimeter(uv[list(three)])
        )
    mirrored_uv: NDArray[np.float32] = uv[chosen]
    return mirrored_uv


def _perimeter(triangle: Floats) -> float:
    return float(np.linalg.norm(triangle - np.roll(triangle, 1, axis=0), axis=1).sum())


def unseen_hands(share: Floats, surface: Surface, least: float) -> list[NDArray[np.bool_]]:
    """The vertices (V,) of each hand, if of neither hand the photos show a share of ``least``.

    Args:
        share: (V,) 0..1, how much of each vertex is seen.
        surface: of the body.
        least: mean share.
    """
    hands = [surface.part == hand for hand in HANDS]
    return hands if max(share[hand].mean() for hand in hands) < least else []


def _stretched_laplacian(surface: Surface) -> sparse.csr_matrix:
    """See `Surface.stretched_laplacian`.

    The cotangent weights of a stretched mesh (Pinkall and Polthier 1993) make diffusion slow along the axis whatever
    way the mesh's edges run; weights of edges by their direction follow the edges, which tilt on the back.
    """
    steepest = surface.settings.steepest
    chin = surface.template[surface.face_front, 1].min() if surface.face_front.any() else -np.inf
    first = surface.faces[:, 0]
    part = surface.part[first]
    tube = np.isin(part, (Part.TRUNK, Part.LEFT_LEG, Part.RIGHT_LEG, *ARMS))
    tube |= (part == Part.HEAD) & (surface.template[first, 1] < chin)
    corners = surface.template[surface.faces].astype(np.float64)
    stretch = np.ones((len(part), 1, 3))
    stretch[np.arange(len(part)), 0, AXIS_OF_PART[part]] = np.where(tube, surface.settings.stretch, 1.0)
    corners = corners * stretch
    rows, columns, weights = [], [], []
    for k in range(3):
        a, b, c = (corners[:, (k + offset) % 3] for offset in range(3))
        one, other = a - c, b - c
        area = np.maximum(np.linalg.norm(np.cross(one, other), axis=1), 1e-10)
        rows.append(surface.faces[:, k])
        columns.append(surface.faces[:, (k + 1) % 3])
        weights.append(np.clip(0.5 * (one * other).sum(1) / area, -steepest, steepest))
    row, column, weight = np.concatenate(rows), np.concatenate(columns), np.concatenate(weights)
    count = len(surface.template)
    upper = sparse.csr_matrix((weight, (row, column)), (count, count))
    both = upper + upper.T
    return (sparse.diags(np.asarray(both.sum(1)).ravel()) - both).tocsr()
