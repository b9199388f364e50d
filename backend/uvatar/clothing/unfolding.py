"""Keeping displaced meshes free of triangles that face inwards and of folded quads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.body.data import BodyData
from uvatar.data.arrays import Floats, Integers
from uvatar.geometry.mesh import face_normals, unit

UNFOLD_ROUNDS = 60
PATIENCE = 30  # rounds after which smoothing alone is not expected to help any more
FLIP_LIMIT = 0.1  # least cosine between a triangle's normals without and with clothes
FOLD_LIMIT = 0.1  # least cosine between the normals of a quad's halves


def unfolded(
    offsets: Floats, rest: Floats, posed: Floats, skinning: Floats, data: BodyData, averaging: sparse.csr_matrix
) -> Floats:
    """Displacements that turn no triangle over and fold no quad, in either pose: smoothed, and shortened, where they
    did.

    ``offsets``, ``rest``, ``posed`` (V, 3); ``skinning`` (V, 3, 3) takes a rest-pose displacement into the pose;
    ``averaging`` (V, V) replaces a vertex's value by the mean of its neighbours'.
    """
    offsets = offsets.copy()
    # Without quads every triangle is its own pair.
    pairs = data.faces.reshape(-1, 2, 3) if data.quads is not None else np.stack([data.faces, data.faces], 1)
    suspects = np.arange(len(pairs))
    for attempt in range(UNFOLD_ROUNDS):
        faces = pairs[suspects]
        spoilt = _spoilt(rest, rest + offsets, faces) | _spoilt(
            posed, posed + np.einsum("vij,vj->vi", skinning, offsets), faces
        )
        if not spoilt.any():
            break
        around = np.zeros(len(rest))
        around[faces[spoilt]] = 1
        for _ in range(2 + min(attempt // 4, 4)):
            around = np.maximum(around, averaging @ around > 0)
        inside = np.flatnonzero(around)
        local = averaging[inside]
        # Shortening flattens long hair and collars that smoothing alone would have kept.
        length = 1 - 0.01 * max(attempt - PATIENCE, 0)
        for _ in range(4):
            offsets[inside] = length * (local @ offsets)
        near = np.maximum(around, averaging @ around > 0)
        suspects = np.flatnonzero(near[pairs].any((1, 2)))
    return offsets


def _spoilt(before: Floats, after: Floats, pairs: Integers) -> NDArray[np.bool_]:
    """Which pairs of triangles (P, 2, 3), the halves of a quad, clothes have flipped over or folded on each other."""
    old, new = unit(face_normals(before, pairs)), unit(face_normals(after, pairs))
    flipped = ((old * new).sum(-1) < FLIP_LIMIT).any(1)
    flat_before, flat_after = (old[:, 0] * old[:, 1]).sum(-1), (new[:, 0] * new[:, 1]).sum(-1)
    spoilt: NDArray[np.bool_] = flipped | ((flat_after < FOLD_LIMIT) & (flat_before > FOLD_LIMIT))
    return spoilt
