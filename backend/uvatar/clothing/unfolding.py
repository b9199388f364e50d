"""Keeping displaced meshes free of triangles that face inwards and of folded quads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.body.data import BodyData
from uvatar.data.arrays import Floats, Integers
from uvatar.geometry.adjacency import adjacency, averaging, triangle_edges
from uvatar.geometry.mesh import face_normals, unit


@dataclass(frozen=True)
class UnfoldingSettings:
    """Tuned numbers of unfolding. Where nothing is said of how a number was chosen, that is not recorded.

    Attributes:
        rounds: after which what is still folded stays so.
        patience: rounds after which smoothing alone is not expected to help any more. Displacements are shortened only
            then, as shortening flattens long hair and collars that smoothing alone would have kept.
        shortening: share of the displacements that each round after that takes away, more with every round.
        smoothings: of the displacements in one round.
        rings: of neighbours around a spoilt quad that are smoothed with it.
        more_rings_after: rounds after which there is one ring more, until there are ``more_rings`` of these.
        flip_limit: least cosine between a triangle's normals without and with clothes.
        fold_limit: least cosine between the normals of a quad's halves.
    """

    rounds: int = 60
    patience: int = 30
    shortening: float = 0.01
    smoothings: int = 4
    rings: int = 2
    more_rings_after: int = 4
    more_rings: int = 4
    flip_limit: float = 0.1
    fold_limit: float = 0.1


DEFAULT_SETTINGS = UnfoldingSettings()


@dataclass(frozen=True)
class QuadMesh:
    """A body's triangles in pairs, and what is beside what.

    Attributes:
        pairs: (P, 2, 3) corners of the halves of each quad; without quads every triangle is its own pair.
        averaging: (V, V) csr, replaces a vertex's value by the mean of its neighbours'.
        neighbours: (V, N) vertices beside each vertex, some of them repeated to fill the row.
        pairs_at: (V, M) pairs that have a corner at each vertex, some of them repeated to fill the row.
    """

    pairs: Integers
    averaging: sparse.csr_matrix
    neighbours: Integers
    pairs_at: Integers

    @classmethod
    def of(cls, data: BodyData) -> QuadMesh:
        """The mesh of a body."""
        pairs = data.faces.reshape(-1, 2, 3) if data.quads is not None else np.stack([data.faces, data.faces], 1)
        count = len(data.v_template)
        beside = adjacency(triangle_edges(data.faces), count)
        owner = np.repeat(np.arange(len(pairs)), 6)
        touching = sparse.csr_matrix((np.ones(pairs.size), (pairs.ravel(), owner)), (count, len(pairs)))
        return cls(pairs, averaging(beside), _rows(beside), _rows(touching))

    def ring(self, vertices: Integers) -> Integers:
        """The vertices (K,) and all beside them, in order."""
        return _marked(len(self.neighbours), vertices, self.neighbours[vertices])


@dataclass(frozen=True)
class BareBody:
    """A body without clothes, at rest and as the photo shows it, against which folds are judged.

    Attributes:
        rest, posed: (V, 3) vertices, metres.
        skinning: (V, 3, 3) takes a rest-pose displacement into the pose.
        normals: (2, P, 2, 3) of the halves of each pair, at rest and posed.
        flatness: (2, P) cosine between the normals of a pair's halves.
        judged: (P,) bool, False for pairs that may fold.
    """

    rest: Floats
    posed: Floats
    skinning: Floats
    normals: Floats
    flatness: Floats
    judged: NDArray[np.bool_]

    @classmethod
    def of(
        cls, rest: Floats, posed: Floats, skinning: Floats, mesh: QuadMesh, free: Sequence[Integers] = ()
    ) -> BareBody:
        """The body with these vertices and this skinning. Pairs at the vertices ``free``, arrays (K,), may fold."""
        judged = np.ones(len(mesh.pairs), bool)
        for vertices in free:
            judged[mesh.pairs_at[vertices]] = False
        normals = [unit(face_normals(vertices, mesh.pairs)) for vertices in (rest, posed)]
        return cls(rest, posed, skinning, np.stack(normals), np.stack([_flatness(one) for one in normals]), judged)

    def dressed(self, offsets: Floats, at: Integers | slice) -> Floats:
        """(2, K, 3) the vertices ``at`` (K,) with their ``offsets`` (K, 3) from the rest pose, at rest and posed."""
        return np.stack([self.rest[at] + offsets, self.posed[at] + np.einsum("vij,vj->vi", self.skinning[at], offsets)])


@dataclass(frozen=True)
class _Patch:
    """What is smoothed because of the pairs ``spoilt``.

    Attributes:
        rings: of neighbours around these pairs.
        vertices: (K,) that are smoothed.
        averaging: (K, V) csr, the rows of the mesh's for them.
        suspects: pairs that this can change.
    """

    spoilt: Integers
    rings: int
    vertices: Integers
    averaging: sparse.csr_matrix
    suspects: Integers

    @classmethod
    def around(cls, spoilt: Integers, rings: int, mesh: QuadMesh) -> _Patch:
        vertices = np.unique(mesh.pairs[spoilt])
        for _ in range(rings):
            vertices = mesh.ring(vertices)
        suspects = _marked(len(mesh.pairs), mesh.pairs_at[mesh.ring(vertices)])
        return cls(spoilt, rings, vertices, mesh.averaging[vertices], suspects)

    def is_around(self, spoilt: Integers, rings: int) -> bool:
        return rings == self.rings and np.array_equal(spoilt, self.spoilt)


def unfolded(
    offsets: Floats, body: BareBody, mesh: QuadMesh, settings: UnfoldingSettings = DEFAULT_SETTINGS
) -> NDArray[np.float64]:
    """Displacements that turn no triangle over and fold no quad, in either pose: smoothed, and shortened, where they
    did.

    ``offsets`` (V, 3) from the rest pose, metres. Few quads are spoilt, most of them for many rounds, so each round
    looks only at those around which something has moved.
    """
    offsets = np.array(offsets, float)
    dressed = body.dressed(offsets, slice(None))
    suspects: Integers = np.arange(len(mesh.pairs))
    patch: _Patch | None = None
    for attempt in range(settings.rounds):
        spoilt = _spoilt(dressed, suspects, body, mesh, settings)
        if not len(spoilt):
            break
        rings = settings.rings + min(attempt // settings.more_rings_after, settings.more_rings)
        if patch is None or not patch.is_around(spoilt, rings):
            patch = _Patch.around(spoilt, rings, mesh)
        length = 1 - settings.shortening * max(attempt - settings.patience, 0)
        for _ in range(settings.smoothings):
            offsets[patch.vertices] = length * (patch.averaging @ offsets)
        dressed[:, patch.vertices] = body.dressed(offsets[patch.vertices], patch.vertices)
        suspects = patch.suspects
    return offsets


def _spoilt(
    dressed: Floats, suspects: Integers, body: BareBody, mesh: QuadMesh, settings: UnfoldingSettings
) -> Integers:
    """Which of the pairs ``suspects`` clothes have flipped over or folded on each other, at rest or posed."""
    pairs = mesh.pairs[suspects]
    normals = unit(face_normals(dressed.reshape(-1, 3), np.stack([pairs, pairs + dressed.shape[1]])))
    flipped = ((body.normals[:, suspects] * normals).sum(-1) < settings.flip_limit).any(-1)
    folded = (_flatness(normals) < settings.fold_limit) & (body.flatness[:, suspects] > settings.fold_limit)
    spoilt: Integers = suspects[(flipped | folded).any(0) & body.judged[suspects]]
    return spoilt


def _flatness(normals: Floats) -> Floats:
    """(..., 2, 3) unit normals of the halves of pairs -> (...,) their cosine."""
    cosine: Floats = (normals[..., 0, :] * normals[..., 1, :]).sum(-1)
    return cosine


def _rows(graph: sparse.csr_matrix) -> Integers:
    """(N, M) csr without empty rows -> (N, K) columns of each row's entries, the last repeated to fill the row."""
    graph = graph.tocsr()
    start, end = graph.indptr[:-1, None], graph.indptr[1:, None]
    rows: Integers = graph.indices[np.minimum(start + np.arange(np.diff(graph.indptr).max()), end - 1)]
    return rows


def _marked(count: int, *indices: Integers) -> Integers:
    """The numbers below ``count`` that are among the indices, each once, in order."""
    found = np.zeros(count, bool)
    for some in indices:
        found[some] = True
    return np.flatnonzero(found)
