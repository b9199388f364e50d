"""The numbers of materials at a body's vertices, and the pieces that they form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from uvatar.texturing.layout.surface import Surface

UNSEEN = -1
SKIN, HAIR = 0, 1  # the first two materials of everybody; garments follow


def pieces(labels: NDArray[np.int32], surface: Surface) -> tuple[int, NDArray[np.int32]]:
    """Number of connected pieces of one label each, and the piece (V,) of every vertex, -1 where unseen."""
    edges = surface.graph.tocoo()
    same = (labels[edges.row] == labels[edges.col]) & (labels[edges.row] != UNSEEN)
    graph = sparse.csr_matrix((np.ones(same.sum()), (edges.row[same], edges.col[same])), edges.shape)
    count, piece = connected_components(graph, directed=False)
    return count, np.where(labels != UNSEEN, piece, -1).astype(np.int32)
