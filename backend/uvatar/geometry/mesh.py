"""Normals of triangle meshes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats, Integers


def unit(vectors: Floats) -> Floats:
    """(..., C) vectors scaled to length 1; zeros stay zeros."""
    unit_vectors: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return unit_vectors


def face_normals(vertices: Floats, faces: Integers) -> Floats:
    """Normals (..., 3) of triangles (..., 3), counter-clockwise from outside, as long as twice their area."""
    corners = vertices[faces]
    a, b = corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :]
    (ax, ay, az), (bx, by, bz) = np.moveaxis(a, -1, 0), np.moveaxis(b, -1, 0)
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)


def vertex_normals(vertices: Floats, faces: Integers) -> NDArray[np.float32]:
    """Unit normals (V, 3), the triangles at each vertex weighted by their area."""
    normals = face_normals(vertices, faces)
    summed = [np.bincount(faces.ravel(), np.repeat(normals[:, axis], 3), len(vertices)) for axis in range(3)]
    return unit(np.stack(summed, -1)).astype(np.float32)
