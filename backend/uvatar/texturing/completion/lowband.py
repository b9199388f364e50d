"""One colour per vertex: the smooth part of the texture, which lives on the mesh and so knows no UV seams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from uvatar.data.arrays import Floats, Integers
from uvatar.texturing.layout.atlas import Atlas
from uvatar.texturing.layout.surface import Surface

# A vertex that nothing pulls at, and whose neighbours nothing pulls at, ends up with a grey of this linear light. The
# pull only keeps the system solvable: it is far below any other.
_DEFAULT_PULL, _DEFAULT_LIGHT = 1e-5, 0.2

# Colours (V, 3) and how hard each vertex is pulled to its own (V,), relative to the pull of all its neighbours
# together.
Anchor = tuple[Floats, Floats]


def vertex_colours(
    colours: NDArray[np.float32],
    weights: NDArray[np.float32],
    texels: NDArray[np.int32],
    atlas: Atlas,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Average the texels around each vertex.

    Args:
        colours: (M, 3) of some texels.
        weights: (M,) of each, 0..1.
        texels: (M,) which of the atlas's texels they are.
        atlas: of the body.

    Returns the mean colour (V, 3), and the share (V,) 0..1 of the texels around each vertex that is known.
    """
    corners = np.take(atlas.surface.faces, np.take(atlas.table.face, texels), axis=0)
    barycentric = np.take(atlas.table.barycentric, texels, axis=0)
    shape = len(atlas.surface.template), len(texels)
    starts = np.arange(0, 3 * len(texels) + 1, 3, dtype=np.int32)
    # a column for each texel, with a row for each vertex: all four sums in one pass
    spread = sparse.csc_matrix((barycentric.ravel(), corners.ravel(), starts), shape)
    weighted = np.empty((len(texels), 4))
    weighted[:, 0] = weights
    for channel in range(3):
        np.multiply(colours[:, channel], weights, out=weighted[:, 1 + channel])
    sums = spread @ weighted
    total = sums[:, 0]
    mean = sums[:, 1:] / np.maximum(total, 1e-9)[:, None]
    return mean.astype(np.float32), np.minimum(total / np.maximum(atlas.table.mass, 1e-9), 1).astype(np.float32)


def diffuse(surface: Surface, anchors: Sequence[Anchor], graph: sparse.csr_matrix | None = None) -> NDArray[np.float32]:
    """Spread colours smoothly over the mesh: a screened Laplace equation.

    Args:
        surface: whose mesh it is.
        anchors: colours that the vertices are drawn to. The result minimises the squared differences along the mesh's
            edges plus each anchor's pull times the squared differences from it.
        graph: (V, V) how much the difference along each edge counts, 0..1; None for all the same.

    Returns colours (V, 3), float32. Raises RuntimeError if the system is singular.
    """
    graph = surface.graph if graph is None else graph
    degree = np.asarray(surface.graph.sum(1)).ravel()
    pull = np.full(len(degree), _DEFAULT_PULL)
    right = np.full((len(degree), 3), _DEFAULT_PULL * _DEFAULT_LIGHT)
    for colour, strength in anchors:
        pull += strength
        right += strength[:, None] * colour
    system = sparse.diags(np.asarray(graph.sum(1)).ravel() + degree * pull) - graph
    return solved(system, degree[:, None] * right)


def solved(system: sparse.spmatrix, right: Floats) -> NDArray[np.float32]:
    """The solution (V, C) of a symmetric, positive definite system (V, V). Raises RuntimeError if it is singular."""
    factors = splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}, diag_pivot_thresh=0.0)
    solution: NDArray[np.float32] = factors.solve(right).astype(np.float32)
    return solution


def colours_at(
    colour: NDArray[np.float32],
    vertex_labels: Integers,
    label: NDArray[np.uint8],
    surface: Surface,
    face: Integers,
    barycentric: Floats,
) -> NDArray[np.float32]:
    """Vertex colours (V, 3) at points of triangles ``face`` (M,) and of material ``label`` (M,), from the corners of
    that material alone.
    """
    corners = surface.faces[face]
    same = vertex_labels[corners] == label[:, None]
    weight = np.where(same.any(1, keepdims=True), (barycentric + 1e-3) * same, barycentric)
    weight = weight / weight.sum(1, keepdims=True)
    starts = np.arange(0, corners.size + 1, 3, dtype=np.int32)
    spread = sparse.csr_matrix((weight.ravel(), corners.ravel(), starts), (len(face), len(colour)))
    colours: NDArray[np.float32] = (spread @ colour).astype(np.float32)
    return colours
