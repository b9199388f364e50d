"""Finds the inside of the open body's mouth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components, dijkstra

from uvatar.body.data import BODY, BodyData
from uvatar.body.mouth import Seam
from uvatar.geometry.raster import RayScene

_DIRECTIONS = 160  # in which it is tried to leave the mouth
_SEAM_Y, _SEAM_WIDTH, _SEAM_REACH = 0.3107, 0.0242, 0.004  # of the lips of the template, metres
_LIFT = 2e-4  # metres above the surface from which rays start


def mouth_cavity(data: BodyData) -> NDArray[np.int32]:
    """(P,) the vertices inside the closed mouth: of the faces around it from which no straight line leads outside."""
    template, faces = data.v_template, data.faces
    edges = template[faces[:, 1:]] - template[faces[:, :1]]
    normals = np.cross(edges[:, 0], edges[:, 1])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    middles = template[faces].mean(1)
    low, high = np.array([-0.06, 0.25, 0.06]), np.array([0.06, 0.362, 0.25])
    near = np.flatnonzero(((middles > low) & (middles < high)).all(1) & (data.part[faces[:, 0]] == BODY))
    scene = RayScene(template, faces)
    open_faces = np.zeros(len(near), bool)
    directions = np.random.default_rng(0).normal(size=(_DIRECTIONS, 3))
    for direction in directions / np.linalg.norm(directions, axis=1, keepdims=True):
        outward = np.where((normals[near] @ direction)[:, None] > 0, direction, -direction)
        start = middles[near] + _LIFT * normals[near]
        hit, _, _ = scene.first_hits(start.astype(np.float32), outward.astype(np.float32))
        open_faces |= hit < 0
    closed = faces[near[~open_faces]]
    touching = sparse.coo_matrix((np.ones(closed.size), (np.repeat(np.arange(len(closed)), 3), closed.ravel())))
    _, label = connected_components((touching.tocsr() @ touching.T.tocsr()), directed=False)
    inside: NDArray[np.int32] = np.unique(closed[label == np.bincount(label).argmax()]).astype(np.int32)
    return inside


def inner_lips(data: BodyData, flesh: NDArray[np.int32]) -> NDArray[np.int32]:
    """(L,) those of the mouth's inner vertices that are in front of the teeth."""
    x, y, z = data.v_template[flesh].T
    front: NDArray[np.int32] = flesh[(z > 0.180) & (y > 0.294) & (y < 0.324) & (np.abs(x) < 0.033)]
    return front


def depth_behind_lips(data: BodyData, flesh: NDArray[np.int32]) -> NDArray[np.float32]:
    """(P,) how far each of the mouth's inner vertices lies behind its rim, along the edges of the mesh, metres."""
    edges = np.unique(
        np.sort(np.concatenate([data.faces[:, [0, 1]], data.faces[:, [1, 2]], data.faces[:, [2, 0]]]), 1), axis=0
    )
    inside = np.zeros(len(data.v_template), bool)
    inside[flesh] = True
    rim = np.unique(edges[inside[edges[:, 0]] != inside[edges[:, 1]]])
    rim = rim[inside[rim]]
    own = edges[inside[edges].all(1)]
    lengths = np.linalg.norm(data.v_template[own[:, 0]] - data.v_template[own[:, 1]], axis=1)
    graph = sparse.coo_matrix((lengths, own.T), (len(inside), len(inside))).tocsr()
    depth = dijkstra(graph, directed=False, indices=rim, min_only=True)[flesh]
    return np.where(np.isfinite(depth), depth, depth[np.isfinite(depth)].max()).astype(np.float32)


def lip_seam(data: BodyData) -> Seam:
    """The vertices of both lips around the seam; those of the lower lip move far with the open jaw."""
    assert data.face is not None
    vertices, deltas = data.face.key("jawOpen")
    dropped = np.zeros(len(data.v_template))
    dropped[vertices] = -deltas[:, 1]
    x, y, z = data.v_template.T
    around = (np.abs(x) < _SEAM_WIDTH) & (np.abs(y - _SEAM_Y) < 2 * _SEAM_REACH)
    near = np.flatnonzero(around & (z > 0.196) & (z < 0.218))

    # Towards the corners the jaw moves both lips nearly alike, and the seam is level.
    lower = np.where(np.abs(x[near]) > 0.0195, y[near] < 0.3105, dropped[near] > 0.015)
    away = np.abs(y[near] - _SEAM_Y)
    share = np.clip(1.2 - away / _SEAM_REACH, 0, 1) * np.clip((_SEAM_WIDTH - np.abs(x[near])) / 0.003, 0, 1)
    kept = share > 0
    return Seam(near[kept].astype(np.int32), lower[kept], share[kept].astype(np.float32))
