"""Which vertices of a mesh are neighbours, and the matrices that follow from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.data.arrays import Integers


def triangle_edges(faces: Integers) -> Integers:
    """Triangles (F, 3) -> (3 F, 2) their edges; an edge between two triangles comes twice."""
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def adjacency(edges: Integers, count: int) -> sparse.csr_matrix:
    """(E, 2) pairs of different nodes -> (N, N) float64, 1 where two nodes are neighbours, either way.

    A pair may come several times. ``count`` is N.
    """
    ones = np.ones(len(edges))
    graph = sparse.csr_matrix((ones, (edges[:, 0], edges[:, 1])), (count, count))
    graph = graph + graph.T
    graph.data[:] = 1
    return graph


def averaging(graph: sparse.csr_matrix) -> sparse.csr_matrix:
    """(N, N) adjacency -> the matrix that replaces each node's value by the mean of its neighbours'."""
    return sparse.diags(1 / _degrees(graph)) @ graph


def laplacian(graph: sparse.csr_matrix) -> sparse.csr_matrix:
    """(N, N) adjacency -> D - A, the matrix whose quadratic form is the sum of squared differences along the edges."""
    return (sparse.diags(_degrees(graph)) - graph).tocsr()


def bilaplacian(graph: sparse.csr_matrix) -> sparse.csr_matrix:
    """(N, N) adjacency -> the matrix whose quadratic form is the sum of the squares of how far each node's value is
    from the mean of its neighbours'.
    """
    deviation = sparse.diags(1 / _degrees(graph)) @ laplacian(graph)
    return (deviation.T @ deviation).tocsr()


def _degrees(graph: sparse.csr_matrix) -> NDArray[np.float64]:
    """(N,) how many neighbours each node has, 1 where it has none."""
    return np.maximum(np.asarray(graph.sum(1)).ravel(), 1)
