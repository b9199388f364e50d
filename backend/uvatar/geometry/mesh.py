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
    # Coordinate by coordinate, which takes half the time that whole corners do.
    first, second, third = np.moveaxis(faces, -1, 0)
    coordinates = np.moveaxis(vertices, -1, 0)
    ax, ay, az = (values[second] - values[first] for values in coordinates)
    bx, by, bz = (values[third] - values[first] for values in coordinates)
    normals = np.empty((*first.shape, 3), ax.dtype)
    normals[..., 0], normals[..., 1], normals[..., 2] = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    return normals


def vertex_normals(vertices: Floats, faces: Integers) -> NDArray[np.float32]:
    """Unit normals (V, 3), the triangles at each vertex weighted by their area."""
    normals = face_normals(vertices, faces)
    summed = [np.bincount(faces.ravel(), np.repeat(normals[:, axis], 3), len(vertices)) for axis in range(3)]
    return unit(np.stack(summed, -1)).astype(np.float32)
