"""Closest points of triangle meshes that face the same way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from uvatar.data.arrays import Floats, Integers
from uvatar.geometry.mesh import face_normals, unit
from uvatar.geometry.raster import RayScene

FACING = 0.5  # cosine of the largest angle between the normals of two surfaces that may be the same place
_CANDIDATES = 12  # triangles with the nearest centres, among which the closest is looked for
_AT_ONCE = 1 << 15  # points: keeps memory small
_SKY = 32  # directions in which a triangle may be seen from outside


@dataclass(frozen=True)
class Anchors:
    """N places on a mesh.

    Attributes:
        face: (N,) triangle.
        barycentric: (N, 3) weights of its corners.
        distance: (N,) metres from where it was asked for; inf where nothing near faces that way.
    """

    face: NDArray[np.int32]
    barycentric: NDArray[np.float64]
    distance: NDArray[np.float64]

    def rows(self, faces: Integers, vertices: int) -> sparse.csr_matrix:
        """(N, V) matrix: values at the mesh's vertices -> values at these places."""
        count = len(self.face)
        rows = np.repeat(np.arange(count), 3)
        return sparse.csr_matrix((self.barycentric.ravel(), (rows, faces[self.face].ravel())), shape=(count, vertices))


class ClosestPoints:
    """A triangle mesh, prepared for finding closest points on it."""

    def __init__(self, vertices: Floats, faces: Integers, allowed: NDArray[np.bool_] | None = None) -> None:
        """``vertices`` (V, 3), metres; ``faces`` (F, 3); ``allowed`` (F,): triangles to be found, all by default."""
        self._index = np.arange(len(faces)) if allowed is None else np.flatnonzero(allowed)
        self._all = np.asarray(vertices, np.float64)[faces]
        self._corners = self._all[self._index]
        self._normals = unit(face_normals(np.asarray(vertices, np.float64), faces[self._index]))
        self._tree = cKDTree(self._corners.mean(1))

    def closest(self, points: Floats, normals: Floats) -> Anchors:
        """Find the places closest to ``points`` (N, 3) whose normals are within 60 degrees of ``normals`` (N, 3)."""
        points = np.asarray(points, np.float64)
        parts = [
            self._closest(points[i : i + _AT_ONCE], normals[i : i + _AT_ONCE])
            for i in range(0, max(len(points), 1), _AT_ONCE)
        ]
        return Anchors(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("face", "barycentric", "distance"))
        )

    def at(self, anchors: Anchors) -> NDArray[np.float64]:
        """Positions (N, 3) of these places, metres."""
        points: NDArray[np.float64] = np.einsum("nk,nkx->nx", anchors.barycentric, self._all[anchors.face])
        return points

    def _closest(self, points: Floats, normals: Floats) -> Anchors:
        _, near = self._tree.query(points, k=min(_CANDIDATES, len(self._index)))
        barycentric = closest_on_triangles(points[:, None], self._corners[near])
        distance = np.linalg.norm(
            np.einsum("nkc,nkcx->nkx", barycentric, self._corners[near]) - points[:, None], axis=-1
        )
        distance[np.einsum("nkx,nx->nk", self._normals[near], normals) < FACING] = np.inf
        best = distance.argmin(1)
        rows = np.arange(len(points))
        return Anchors(self._index[near[rows, best]].astype(np.int32), barycentric[rows, best], distance[rows, best])


def closest_on_triangles(points: Floats, corners: Floats) -> NDArray[np.float64]:
    """Barycentric weights (..., 3) of the points of triangles that are closest to given points.

    Each is the closest point of the triangle's plane if that lies inside, else the closest one of the three edges.

    Args:
        points: (..., 3).
        corners: (..., 3, 3) of the triangles.
    """
    points = np.broadcast_to(points, (*corners.shape[:-2], 3))
    start, edge = corners, np.roll(corners, -1, axis=-2) - corners
    along = (edge * (points[..., None, :] - start)).sum(-1) / np.maximum((edge * edge).sum(-1), 1e-18)
    along = np.clip(along, 0, 1)
    apart = ((start + along[..., None] * edge - points[..., None, :]) ** 2).sum(-1)
    nearest = apart.argmin(-1)
    share = np.take_along_axis(along, nearest[..., None], -1)[..., 0]
    on_edge = np.zeros(apart.shape)
    np.put_along_axis(on_edge, nearest[..., None], (1 - share)[..., None], -1)
    np.put_along_axis(on_edge, ((nearest + 1) % 3)[..., None], share[..., None], -1)
    a, b, c = edge[..., 0, :], -edge[..., 2, :], points - corners[..., 0, :]
    aa, ab, bb, ca, cb = ((p * q).sum(-1) for p, q in ((a, a), (a, b), (b, b), (c, a), (c, b)))
    area = np.maximum(aa * bb - ab * ab, 1e-18)
    v, w = (bb * ca - ab * cb) / area, (aa * cb - ab * ca) / area
    inside = np.stack([1 - v - w, v, w], -1)
    return np.where((inside >= 0).all(-1, keepdims=True), inside, on_edge)


def exposed(vertices: Floats, faces: Integers) -> NDArray[np.bool_]:
    """Whether (F,) each triangle is seen from outside: not the inside of a mouth, nor what lies behind an eyeball.

    ``vertices`` (V, 3), ``faces`` (F, 3). Rays go in `_SKY` directions from each triangle's centre.
    """
    scene = RayScene(vertices, faces)
    middles = vertices[faces].mean(1)
    normals = unit(face_normals(vertices, faces))
    seen = np.zeros(len(faces), bool)
    for direction in _even_directions(_SKY):
        facing = np.flatnonzero(~seen & (normals @ direction > 0.1))
        origins = middles[facing] + 1e-4 * normals[facing]
        hit, _, _ = scene.first_hits(origins, np.broadcast_to(direction, origins.shape))
        seen[facing[hit < 0]] = True
    return seen


def _even_directions(count: int) -> NDArray[np.float64]:
    """Unit vectors (N, 3), spread over the sphere along a spiral with the golden angle (Vogel 1979)."""
    azimuth = np.arange(count) * np.pi * (3 - np.sqrt(5))
    z = 1 - (2 * np.arange(count) + 1) / count
    return np.stack([np.sqrt(1 - z * z) * np.cos(azimuth), np.sqrt(1 - z * z) * np.sin(azimuth), z], -1)
