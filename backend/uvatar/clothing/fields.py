"""Smooth fields on a body's surface, carried by a coarse, even set of its vertices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from uvatar.body.data import BODY, BodyData
from uvatar.data.arrays import Floats
from uvatar.data.joints import ANKLE_JOINTS, FOOT_JOINTS, HAND_JOINTS, WRIST_JOINTS, Joint
from uvatar.geometry.adjacency import adjacency, averaging, triangle_edges
from uvatar.geometry.mesh import unit, vertex_normals

# Fingers, toes and ears: what hangs on these joints moves whole.
FINE_PARTS = [Joint.HEAD, *WRIST_JOINTS, *HAND_JOINTS, *ANKLE_JOINTS, *FOOT_JOINTS]


@dataclass(frozen=True)
class FieldSettings:
    """Tuned numbers of the fields. How they were chosen is not recorded.

    Attributes:
        around: how much more a field resists change around a limb than along it.
        facing: metres, length of the normal that counts beside a vertex's place when nodes are spread and distances are
            measured: two thighs are far apart though close in space. On fine parts it falls to 0.
        carriers: nodes that each vertex takes its value from.
        width: standard deviation of a node's weight, in ``spacing``.
    """

    around: float = 30.0
    facing: float = 0.03
    carriers: int = 6
    width: float = 0.7


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


def nodes_on(data: BodyData, bones: Floats, count: int, settings: FieldSettings) -> Nodes:
    """``count`` evenly spaced vertices, each the farthest from those before, and their smooth partition of unity.

    ``bones`` (V, 3): the unit direction of each vertex's bone in the rest pose; fields are stiffer around it than along
    it.
    """
    normals = vertex_normals(data.v_template, data.faces)
    skin = np.flatnonzero(data.part == BODY)
    # Distance in place and facing.
    facing = settings.facing * (1 - data.weights[:, FINE_PARTS].sum(1, keepdims=True))
    place = np.concatenate([data.v_template, facing * normals], 1)
    chosen, spacing = _farthest(place[skin], min(count, len(skin)))
    seeds = skin[chosen]
    distance, index = cKDTree(place[seeds]).query(place, k=settings.carriers)
    weight = np.exp(-0.5 * (distance / (settings.width * spacing)) ** 2) + 1e-9
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
    around = sparse.csr_matrix((1 + settings.around * (1 - along**2), (pairs.row, pairs.col)), graph.shape)
    around = (around + around.T) / 2
    degree = np.asarray(around.sum(1)).ravel()
    stretching = (sparse.diags(degree) - around) / max(degree.mean() / (1 + settings.around / 2), 1)
    return Nodes(spread, means, (deviation.T @ deviation).tocsr(), stretching.tocsr(), spacing)


def _farthest(points: Floats, count: int) -> tuple[list[int], float]:
    """``count`` of the points (N, C), each the farthest from those before, and how far the last is from them."""
    coordinates = np.ascontiguousarray(points.T)
    chosen, nearest = [0], np.full(len(points), np.inf)
    for _ in range(count - 1):
        difference = coordinates - coordinates[:, chosen[-1], None]
        difference *= difference
        np.minimum(nearest, difference.sum(0), out=nearest)
        chosen.append(int(nearest.argmax()))
    return chosen, float(np.sqrt(nearest.max()))
