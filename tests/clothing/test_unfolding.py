"""Unfolding, against the same written down plainly: all quads, all vertices, in every round."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial.transform import Rotation

from uvatar.body import BodyModel, load_open_body
from uvatar.body.data import BodyData
from uvatar.clothing.unfolding import BareBody, QuadMesh, UnfoldingSettings, unfolded
from uvatar.geometry.mesh import face_normals, unit

ROUNDS, PATIENCE = 60, 30
LEAST_COSINE = 0.1


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def unfolded_plainly(
    offsets: NDArray[Any],
    rest: NDArray[Any],
    posed: NDArray[Any],
    skinning: NDArray[Any],
    data: BodyData,
    averaging: sparse.csr_matrix,
) -> NDArray[Any]:
    offsets = offsets.copy()
    pairs = data.faces.reshape(-1, 2, 3) if data.quads is not None else np.stack([data.faces, data.faces], 1)
    suspects = np.arange(len(pairs))
    for attempt in range(ROUNDS):
        faces = pairs[suspects]
        spoilt = spoilt_pairs(rest, rest + offsets, faces) | spoilt_pairs(
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
        length = 1 - 0.01 * max(attempt - PATIENCE, 0)
        for _ in range(4):
            offsets[inside] = length * (local @ offsets)
        near = np.maximum(around, averaging @ around > 0)
        suspects = np.flatnonzero(near[pairs].any((1, 2)))
    return offsets


def spoilt_pairs(before: NDArray[Any], after: NDArray[Any], pairs: NDArray[Any]) -> NDArray[np.bool_]:
    old, new = unit(face_normals(before, pairs)), unit(face_normals(after, pairs))
    flipped = ((old * new).sum(-1) < LEAST_COSINE).any(1)
    flat_before, flat_after = (old[:, 0] * old[:, 1]).sum(-1), (new[:, 0] * new[:, 1]).sum(-1)
    return np.asarray(flipped | ((flat_after < LEAST_COSINE) & (flat_before > LEAST_COSINE)))


def crumpled(data: BodyData, seed: int) -> NDArray[np.float64]:
    """Displacements (V, 3) of some centimetres that change within a few quads, on a tenth of the body."""
    rng = np.random.default_rng(seed)
    offsets = rng.normal(0, 0.02, data.v_template.shape)
    centres = data.v_template[rng.choice(len(offsets), 8, replace=False)]
    distance = np.linalg.norm(data.v_template[:, None] - centres, axis=-1).min(1)
    return np.asarray(offsets * (distance < 0.06)[:, None], np.float64)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("quads", [True, False], ids=["quads", "triangles"])
def test_only_what_moved_is_looked_at_with_the_same_result_to_the_bit(body: BodyModel, seed: int, quads: bool) -> None:
    data = body.data
    if not quads:
        data = BodyData(**{**vars(data), "quads": None})
    rng = np.random.default_rng(seed)
    rest = data.v_template
    rotations = Rotation.from_rotvec(np.outer(rest[:, 1], rng.normal(0, 0.5, 3))).as_matrix().astype(np.float32)
    posed = np.einsum("vij,vj->vi", rotations, rest)
    mesh = QuadMesh.of(data)
    offsets = crumpled(data, seed)
    kept = offsets.copy()

    found = unfolded(offsets, BareBody.of(rest, posed, rotations, mesh), mesh)

    assert np.array_equal(found, unfolded_plainly(offsets, rest, posed, rotations, data, mesh.averaging))
    assert not np.array_equal(found, offsets)
    assert np.array_equal(offsets, kept)


def test_what_is_not_folded_stays_as_it_is(body: BodyModel) -> None:
    data, mesh = body.data, QuadMesh.of(body.data)
    skinning = np.broadcast_to(np.eye(3), (len(data.v_template), 3, 3))
    offsets = np.full(data.v_template.shape, 0.01)
    assert np.array_equal(
        unfolded(offsets, BareBody.of(data.v_template, data.v_template, skinning, mesh), mesh), offsets
    )


def test_rounds_can_be_few(body: BodyModel) -> None:
    data, mesh = body.data, QuadMesh.of(body.data)
    skinning = np.broadcast_to(np.eye(3), (len(data.v_template), 3, 3))
    offsets = crumpled(data, 3)
    bare = BareBody.of(data.v_template, data.v_template, skinning, mesh)
    assert np.array_equal(unfolded(offsets, bare, mesh, UnfoldingSettings(rounds=0)), offsets)
