"""Facts of the body's surface that texturing needs and that no photo changes: parts, rings, mirror image, mesh
graph.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.body.data import BodyData
from uvatar.data.arrays import Floats, Integers
from uvatar.data.landmarks import EYES, MOUTH
from uvatar.geometry.adjacency import adjacency, triangle_edges

# Parts that differ in what they may be completed from. Left and right of a pair follow each other.
TRUNK, HEAD, LEFT_LEG, RIGHT_LEG, LEFT_FOOT, RIGHT_FOOT, LEFT_ARM, RIGHT_ARM, LEFT_HAND, RIGHT_HAND = range(10)
PARTS = 10
# Part of each of SMPL's 24 joints.
_PART_OF_JOINT = np.array([0, 2, 3, 0, 2, 3, 0, 4, 5, 0, 4, 5, 1, 0, 0, 1, 6, 7, 6, 7, 8, 9, 8, 9], np.uint8)
# The rest pose's axis along each part: x for arms and hands, y for the others.
AXIS_OF_PART = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0])
_RING_HEIGHT = 0.025


@dataclass(frozen=True)
class Surface:
    """The body's surface, V vertices and F triangles.

    Attributes:
        faces: (F, 3) int32 triangles; uv: (T, 2) float32; face_uv: (F, 3) int32 indices into uv.
        template: (V, 3) float32 rest T-pose, SMPL axes (x left of the person, y up, z forward), metres.
        part: (V,) uint8, one of the parts above.
        eye: (V,) uint8, 0 body, 1 left eyeball, 2 right eyeball.
        mirror: (V,) index of the vertex on the other side of the body.
        mirror_uv: (F, 3, 2) float32 where the corners of each triangle's mirror image lie in the UV plane.
        ring: (V,) int32 the slice of its part, a few centimetres along the limb or the trunk, that each vertex lies in.
        ring_part: (R,) part of every ring; rings of one part follow each other along its axis.
        graph: (V, V) scipy csr adjacency of the mesh, ones.
        scalp: (V,) bool, where hair grows; face_front: (V,) bool, from the chin to the hairline and cheek to cheek.
        stature: height of the template, metres; double_area: twice its area, square metres.
    """

    faces: NDArray[np.int32]
    uv: NDArray[np.float32]
    face_uv: NDArray[np.int32]
    template: NDArray[np.float32]
    part: NDArray[np.uint8]
    eye: NDArray[np.uint8]
    mirror: NDArray[np.int32]
    mirror_uv: NDArray[np.float32]
    ring: NDArray[np.int32]
    ring_part: NDArray[np.uint8]
    graph: sparse.csr_matrix
    scalp: NDArray[np.bool_]
    face_front: NDArray[np.bool_]
    stature: float
    double_area: float

    @property
    def other_side(self) -> NDArray[np.uint8]:
        """(10,) the part on the other side of the body; trunk and head are their own."""
        return np.array([0, 1, 3, 2, 5, 4, 7, 6, 9, 8], np.uint8)


def build_surface(data: BodyData) -> Surface:
    """The surface of a body that has a UV layout."""
    template, faces = data.v_template, data.faces
    part = _PART_OF_JOINT[np.argmax(data.weights, axis=1)]
    scalp, face_front = _head_regions(template, part, data.landmark_template)
    ring, ring_part = _rings(template, part)
    graph = adjacency(triangle_edges(faces), len(template)).astype(np.float32)
    a, b, c = (template[faces[:, k]] for k in range(3))
    return Surface(
        faces=faces, uv=data.uv, face_uv=data.face_uv, template=template, part=part, eye=data.part, mirror=data.mirror,
        mirror_uv=_mirror_uv(faces, data.uv, data.face_uv, data.mirror), ring=ring, ring_part=ring_part, graph=graph,
        scalp=scalp, face_front=face_front,
        stature=float(np.ptp(template[:, 1])), double_area=float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()),
    )  # fmt: skip


def _head_regions(template: Floats, part: Integers, landmarks: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Scalp and face from the places of eyes and mouth (landmarks of the rest body)."""
    eyes, mouth = landmarks[EYES].mean(0), landmarks[MOUTH].mean(0)
    unit = eyes[1] - mouth[1]
    height = (template[:, 1] - mouth[1]) / unit
    head = part == HEAD
    middle = 0.5 * (template[head, 2].min() + template[head, 2].max())
    forward = (template[:, 2] - middle) / (eyes[2] - middle)
    scalp = (height > 1.95) | ((height > 1.35) & (forward < 0.4)) | ((height > 0.0) & (forward < -0.2))
    face_front = (height > -0.9) & ~scalp & (forward > 0.25)
    return head & scalp, head & face_front


def _rings(template: Floats, part: Integers) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    along = template[np.arange(len(template)), AXIS_OF_PART[part]]
    slices = np.floor(along / _RING_HEIGHT).astype(np.int64)
    keys, ring = np.unique(part.astype(np.int64) * 10_000 + slices + 5_000, return_inverse=True)
    return ring.astype(np.int32), (keys // 10_000).astype(np.uint8)


def _mirror_uv(faces: Integers, uv: Floats, face_uv: Integers, mirror: Integers) -> NDArray[np.float32]:
    """A vertex on a UV seam lies at several places of the UV plane: the mirrored triangle takes those that lie closest
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
