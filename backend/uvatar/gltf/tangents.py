"""Tangents of a surface, which tell an engine how a normal map lies on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.geometry.mesh import unit
from uvatar.gltf.surface import Surface


def tangents(surface: Surface) -> NDArray[np.float32]:
    """Unit tangents (N, 4) along u, and the sign with which normal x tangent points up in the texture, as glTF has
    them.

    ``surface`` has texture coordinates. Each vertex has the mean of its triangles, as in MikkTSpace.
    """
    assert surface.uv is not None
    corners = surface.positions[surface.triangles].astype(np.float64)
    places = surface.uv[surface.triangles].astype(np.float64)
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    (du, dv), (eu, ev) = ((places[:, k] - places[:, 0]).T for k in (1, 2))
    winding = np.sign(du * ev - eu * dv)[:, None]
    along = winding * (ev[:, None] * one - dv[:, None] * other)
    down = winding * (du[:, None] * other - eu[:, None] * one)  # v grows downwards in glTF
    count, shape = len(surface.positions), (len(surface.positions), surface.triangles.size)
    each = np.arange(surface.triangles.size)
    spread = sparse.csr_matrix((np.ones(len(each)), (surface.triangles.ravel(), each)), shape)
    along, down = (spread @ np.repeat(unit(vectors), 3, axis=0) for vectors in (along, down))
    normals = surface.normals.astype(np.float64)
    along -= (along * normals).sum(1, keepdims=True) * normals
    lost = np.linalg.norm(along, axis=1) < 1e-9  # triangles without area in the texture
    along[lost] = np.cross(normals[lost], np.where(np.abs(normals[lost, :1]) < 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]]))
    result = np.empty((count, 4), np.float32)
    result[:, :3] = unit(along)
    result[:, 3] = np.where((np.cross(normals, along) * down).sum(1) > 0, -1, 1)
    return result
