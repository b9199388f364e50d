"""Smooth fields on a body's surface, carried by a coarse, even set of its vertices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from uvatar.body.data import BODY, BodyData
from uvatar.data.arrays import Floats
from uvatar.geometry.adjacency import adjacency, averaging, triangle_edges
from uvatar.geometry.mesh import unit, vertex_normals

AROUND = 30.0  # how much more a field resists change around a limb than along it
FINE_PARTS = (
    "head",
    "left_wrist",
    "right_wrist",
    "left_hand",
    "right_hand",
    "left_ankle",
    "right_ankle",
    "left_foot",
    "right_foot",
)


@dataclass(frozen=True)
class Nodes:
    """A coarse set of points on the body that carry a smooth field.

    Attributes:
        spread: (V, K) csr, rows sum to 1: the field at the vertices from its values at the nodes.
        averaging: (K, K) csr, replaces a node's value by the mean of its neighbours'.
        bending: (K, K) bilaplacian, and stretching: (K, K) Laplacian, both of the graph of neighbouring nodes.
        spacing: typical distance between neighbours, metres.
    """

    spread: sparse.csr_matrix
    averaging: sparse.csr_matrix
    bending: sparse.csr_matrix
    stretching: sparse.csr_matrix
    spacing: float

    def at_nodes(self, values: Floats) -> Floats:
        """Values (V, C) at the vertices -> (K, C), the mean over each node's surroundings."""
        share = np.asarray(self.spread.sum(0)).ravel()
        means: Floats = (self.spread.T @ values) / np.maximum(share, 1e-9)[:, None]
        return means


def nodes_on(data: BodyData, bones: Floats, count: int) -> Nodes:
    """``count`` evenly spaced vertices, each the farthest from those before, and their smooth partition of unity.

    ``bones`` (V, 3): the unit direction of each vertex's bone in the rest pose; fields are stiffer around it than along
        it.
    """
    normals = vertex_normals(data.v_template, data.faces)
    skin = np.flatnonzero(data.part == BODY)
    # Distance in place and facing: two thighs are far apart though close in space. But fingers, toes and ears move
    # whole.
    facing = 0.03 * (1 - data.weights[:, [data.joint_names.index(name) for name in FINE_PARTS]].sum(1, keepdims=True))
    place = np.concatenate([data.v_template, facing * normals], 1)
    candidates = place[skin]
    chosen = [0]
    nearest = np.full(len(candidates), np.inf)
    for _ in range(min(count, len(skin)) - 1):
        nearest = np.minimum(nearest, ((candidates - candidates[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(nearest.argmax()))
    seeds = skin[chosen]
    spacing = float(np.sqrt(nearest.max()))
    distance, index = cKDTree(place[seeds]).query(place, k=6)
    weight = np.exp(-0.5 * (distance / (0.7 * spacing)) ** 2) + 1e-9
    weight /= weight.sum(1, keepdims=True)
    vertex = np.repeat(np.arange(len(place)), index.shape[1])
    spread = sparse.csr_matrix((weight.ravel(), (vertex, index.ravel())), (len(place), len(seeds)))
    owner = index[:, 0]
    edges = owner[triangle_edges(data.faces)]
    graph = adjacency(edges[edges[:, 0] != edges[:, 1]], len(seeds))
    means = averaging(graph)
    deviation = sparse.identity(len(seeds)) - means
    pairs = graph.tocoo()
    towards = unit(data.v_template[seeds[pairs.row]] - data.v_template[seeds[pairs.col]])
    along = np.abs((towards * bones[seeds[pairs.row]]).sum(1))
    around = sparse.csr_matrix((1 + AROUND * (1 - along**2), (pairs.row, pairs.col)), graph.shape)
    around = (around + around.T) / 2
    degree = np.asarray(around.sum(1)).ravel()
    stretching = (sparse.diags(degree) - around) / max(degree.mean() / (1 + AROUND / 2), 1)
    return Nodes(spread, means, (deviation.T @ deviation).tocsr(), stretching.tocsr(), spacing)
