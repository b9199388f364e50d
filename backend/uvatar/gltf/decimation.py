"""Fewer triangles for the same surface: levels of detail.

Vertices are removed, never moved: each is drawn onto a neighbour, so that the others keep their texture coordinates,
weights and movements. The order follows the quadrics of Garland and Heckbert, Simplifying Surfaces with Color and
Texture using Quadric Error Metrics, 1998, of position and texture coordinate together. In every round all vertices go
that are cheaper than their neighbours, which NumPy does at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from uvatar.data.arrays import Floats
from uvatar.geometry.mesh import face_normals, unit
from uvatar.gltf.surface import Surface, with_triangles
from uvatar.protocol.expressions import EXPRESSIONS
from uvatar.protocol.rig import LEFT_EYE, RIG_NAMES, RIGHT_EYE

_UPPER = np.triu_indices(6)  # a quadratic form in x (5) and 1 has so many coefficients
_TIMES = np.where(_UPPER[0] == _UPPER[1], 1.0, 2.0)  # what lies off the diagonal counts twice
MOVING = 0.01  # metres by which an expression moves what counts fully as moving


@dataclass(frozen=True)
class Settings:
    """What is kept for longer.

    Attributes:
        texture: how far a shift of the texture counts, relative to as large a shift of the surface.
        skinning: how far a shift of what a vertex follows counts, its joints mixed by their weights, relative to as
            large a shift of the surface: joints keep the loops that they bend in.
        moving: how many times as much a surface counts that expressions move by `MOVING` or more, or that is an eye's.
        border: how many times as much borders count, against shrinking.
        roundness: share of the square of an edge's length that its collapse costs where nothing else tells edges apart,
            so that triangles do not become slivers.
        turn: cosine of the largest angle by which a triangle may turn.
        share: of the vertices that could go, the cheapest that go in a round: fewer follow the order better and take
            longer.
        passes: how often a round looks for further vertices apart from those that it has.
    """

    texture: float = 0.5
    skinning: float = 0.15
    moving: float = 60.0
    border: float = 10.0
    roundness: float = 1e-3
    turn: float = 0.3
    share: float = 0.6
    passes: int = 3


def decimated(
    surface: Surface, heads: Floats, targets: Sequence[int], settings: Settings | None = None
) -> list[Surface]:
    """Coarser and coarser surfaces of some of the same vertices.

    Args:
        surface: whose movements of `EXPRESSIONS` say what must stay fine.
        heads: (J, 3) metres, the joints at rest.
        targets: numbers of triangles, falling.
        settings: None for the usual ones.

    Returns:
        A surface for each target, with no more triangles; with more only where nothing more can be removed without a
        crack or a fold.
    """
    mesh = _Mesh(surface, heads, settings or Settings())
    levels = []
    for target in targets:
        while len(mesh.corners) > target and mesh.shrink(target):
            pass
        levels.append(with_triangles(surface, mesh.corners))
    return levels


class _Edges(NamedTuple):
    """The edges between vertices, and those between wedges, of which each of the former has one or more.

    Attributes:
        tails, heads: (E,) the vertices of an edge, the lower first.
        triangles: (E,) how many each has: one at a border, else two.
        pair: (S,) the edge of vertices to which an edge of wedges belongs.
        one, other: (S,) its wedges, of the tail and of the head.
        neighbours: (V, V) 1 where two vertices have an edge.
    """

    tails: NDArray[np.int64]
    heads: NDArray[np.int64]
    triangles: NDArray[np.int64]
    pair: NDArray[np.int64]
    one: NDArray[np.int64]
    other: NDArray[np.int64]
    neighbours: csr_array

    def matched(self, mine: NDArray[np.int64]) -> NDArray[np.int64]:
        """(E,) how many wedges of one end have one at the other, -1 where one has several, as at the end of a seam."""
        count = np.bincount(self.pair)
        (several,) = np.nonzero(count[self.pair] > 1)
        order = several[np.lexsort((mine[several], self.pair[several]))]
        same = (np.diff(self.pair[order]) == 0) & (np.diff(mine[order]) == 0)
        count[self.pair[order[1:][same]]] = -1
        return count


class _Collapses(NamedTuple):
    """Vertices that may be drawn onto others.

    Attributes:
        goes, onto: (N,) vertices.
        cost: (N,).
        triangles: (N,) how many vanish.
    """

    goes: NDArray[np.int64]
    onto: NDArray[np.int64]
    cost: NDArray[np.float64]
    triangles: NDArray[np.int64]

    def rows(self, chosen: NDArray[np.integer[Any] | np.bool_]) -> _Collapses:
        """Some of them."""
        return _Collapses(self.goes[chosen], self.onto[chosen], self.cost[chosen], self.triangles[chosen])


class _Mesh:
    """A mesh whose corners are the surface's vertices, here called wedges: at seams several of them are one vertex."""

    def __init__(self, surface: Surface, heads: Floats, settings: Settings) -> None:
        self.settings = settings
        self.corners = surface.triangles.astype(np.int64)
        _, first, self.vertex = np.unique(surface.sources, return_index=True, return_inverse=True)
        positions = surface.positions.astype(float)
        self.positions = positions[first]
        uv = np.zeros((len(positions), 2)) if surface.uv is None else surface.uv.astype(float)
        scale = settings.texture * _texture_size(positions, uv, self.corners)
        self.points = np.concatenate([positions, scale * uv], 1)
        ends = np.concatenate([self.points, np.ones((len(positions), 1))], 1)
        self.products = ends[:, _UPPER[0]] * ends[:, _UPPER[1]]
        self.followed = np.einsum("vk,vka->va", surface.weights[first], heads[surface.joints[first]])
        motion = np.zeros(len(positions))
        for name, movement in surface.movements.items():
            if name in EXPRESSIONS:
                lengths = np.linalg.norm(movement.deltas, axis=1)
                motion[movement.vertices] = np.maximum(motion[movement.vertices], lengths)
        importance = 1 + settings.moving * np.maximum(np.clip(motion / MOVING, 0, 1), _of_eyes(surface, len(heads)))
        self.quadrics = self._quadrics(importance[self.corners].mean(1))
        thirds = np.repeat(_areas(positions, self.corners) / 3, 3)
        self.area = np.bincount(self.vertex[self.corners].reshape(-1), thirds, len(self.positions))
        self.blocked: NDArray[np.int64] = np.zeros(0, np.int64)  # collapses that would fold the surface

    def _quadrics(self, importance: Floats) -> NDArray[np.float64]:
        """(W, 21) of each wedge: a row times that of `products` is a squared distance, times areas and importance."""
        p, q, r = (self.points[self.corners[:, k]] for k in range(3))
        first = unit(q - p)
        second = r - p
        second = unit(second - (second * first).sum(1, keepdims=True) * first)
        plane = _squared_length(p) - _square(first, p) - _square(second, p)
        plane *= (_areas(self.points[:, :3], self.corners) * importance / 3)[:, None]
        quadrics = _summed(self.corners, plane, len(self.points))
        # A wall along each border and seam, perpendicular to the surface.
        tail, head, third = self._border_corners()
        along = unit(self.points[head, :3] - self.points[tail, :3])
        normal = unit(np.cross(along, self.points[third, :3] - self.points[tail, :3]))
        across = np.zeros((len(tail), 5))
        across[:, :3] = np.cross(along, normal)
        length = ((self.points[head, :3] - self.points[tail, :3]) ** 2).sum(1)
        wall = _square(across, self.points[tail]) * (self.settings.border * length / 3)[:, None]
        quadrics += _summed(np.stack([tail, head], 1), wall, len(self.points))
        return quadrics

    def _border_corners(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Wedges at both ends of the edges that a single triangle has, as at seams, and the triangle's third."""
        tails, heads = _ends(self.corners)
        thirds = self.corners[:, [2, 0, 1]].reshape(-1)
        _, inverse, counts = np.unique(_keys(tails, heads, len(self.points)), return_inverse=True, return_counts=True)
        alone = counts[inverse] == 1
        return tails[alone], heads[alone], thirds[alone]

    def shrink(self, target: int) -> bool:
        """Remove vertices, at most so many that ``target`` triangles are left. Returns whether there were any."""
        edges = self._edges()
        found = self._cheapest(edges)
        if not len(found.goes):
            return False
        cheap = np.flatnonzero(found.cost <= np.quantile(found.cost, self.settings.share))
        found = found.rows(cheap[np.argsort(found.cost[cheap], kind="stable")])
        found = found.rows(self._apart(found.goes, edges.neighbours))
        found = self._harmless(found, edges.neighbours)
        enough = np.searchsorted(np.cumsum(found.triangles), len(self.corners) - target) + 1
        if len(found.goes):
            self._move(found.goes[:enough], found.onto[:enough])
        return True

    def _edges(self) -> _Edges:
        """The edges as they are now."""
        tails, heads = _ends(self.corners)
        keys, counts = np.unique(_keys(tails, heads, len(self.points)), return_counts=True)
        one, other = np.divmod(keys, len(self.points))
        turned = self.vertex[one] > self.vertex[other]
        one, other = np.where(turned, other, one), np.where(turned, one, other)
        size = len(self.positions)
        pairs, pair = np.unique(self.vertex[one] * size + self.vertex[other], return_inverse=True)
        tails, heads = np.divmod(pairs, size)
        both = (np.concatenate([heads, tails]), np.concatenate([tails, heads]))  # rows come out sorted
        neighbours = csr_array((np.ones(2 * len(pairs)), both), shape=(size, size))
        return _Edges(tails, heads, np.bincount(pair, counts).astype(np.int64), pair, one, other, neighbours)

    def _cheapest(self, edges: _Edges) -> _Collapses:
        """For each vertex that can go the one that it is best drawn onto."""
        size, triangles = len(self.positions), edges.triangles
        used = np.zeros(len(self.points), bool)
        used[self.corners] = True
        own = np.bincount(self.vertex[used], minlength=size)
        border = np.zeros(size, bool)
        border[edges.tails[triangles == 1]] = border[edges.heads[triangles == 1]] = True
        changed = self.followed[edges.tails] - self.followed[edges.heads]
        apart = self.positions[edges.tails] - self.positions[edges.heads]
        apart_cost = self.settings.skinning**2 * np.einsum("ej,ej->e", changed, changed)
        apart_cost += self.settings.roundness * np.einsum("ej,ej->e", apart, apart)
        ways = []
        for goes, onto, mine, theirs in (
            (edges.tails, edges.heads, edges.one, edges.other),
            (edges.heads, edges.tails, edges.other, edges.one),
        ):
            # The wedges of a vertex go together: along a seam each to the wedge on its own side.
            possible = edges.matched(mine) == own[goes]
            possible &= (~border[goes] | (triangles == 1)) & ~_found(goes * size + onto, self.blocked)
            distances = np.einsum("ek,ek->e", self.quadrics[mine], self.products[theirs])
            cost = np.asarray(np.bincount(edges.pair, distances), np.float64) + self.area[goes] * apart_cost
            ways.append(_Collapses(goes, onto, cost, triangles).rows(possible))
        all_of_them = _Collapses(*(np.concatenate(columns) for columns in zip(*ways, strict=True)))
        lowest = np.full(size, np.inf)
        np.minimum.at(lowest, all_of_them.goes, all_of_them.cost)
        best = np.full(size, -1)
        (cheapest,) = np.nonzero(all_of_them.cost == lowest[all_of_them.goes])
        best[all_of_them.goes[cheapest]] = cheapest  # where several cost the same, one of them
        return all_of_them.rows(best[best >= 0])

    def _apart(self, goes: NDArray[np.int64], neighbours: csr_array) -> NDArray[np.bool_]:
        """A choice of vertices, the earlier rather than the later ones, of which no two share an edge."""
        size, heads = len(self.positions), neighbours.indices
        tails = np.repeat(np.arange(size), np.diff(neighbours.indptr))
        (linked,) = np.nonzero(np.diff(neighbours.indptr))
        rank, lowest = np.full(size, np.inf), np.full(size, np.inf)
        rank[goes] = np.arange(len(goes))
        chosen = np.zeros(len(goes), bool)
        for _ in range(self.settings.passes):
            lowest[linked] = np.minimum.reduceat(rank[heads], neighbours.indptr[linked])
            new = rank[goes] < lowest[goes]
            chosen |= new
            taken = np.zeros(size, bool)
            taken[goes[new]] = True
            rank[taken] = rank[heads[taken[tails]]] = np.inf
        return chosen

    def _harmless(self, found: _Collapses, neighbours: csr_array) -> _Collapses:
        """Collapses that leave a surface; those that never will are blocked."""
        mine = neighbours[found.goes]
        common = mine.multiply(neighbours[found.onto])
        # Neighbours of both ends besides those of their triangles: the surface would touch itself.
        pinching = np.asarray(common.sum(1)).reshape(-1) > found.triangles
        repeating = self._repeating(
            found.onto, (mine - common).tocoo(), pinching
        )  # one of them may go in a later round
        self._block(found.rows(pinching))
        found = found.rows(~pinching & ~repeating)
        folding = self._folding(found.goes, found.onto)
        self._block(found.rows(folding))
        return found.rows(~folding)

    def _block(self, found: _Collapses) -> None:
        self.blocked = np.union1d(self.blocked, found.goes * len(self.positions) + found.onto)

    def _repeating(self, onto: NDArray[np.int64], own: coo_array, out: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which collapses would make an edge that an earlier one makes as well.

        Args:
            onto: (N,) vertices that others are drawn onto.
            own: (N, V) neighbours that only those others have.
            out: (N,) collapses that are out of the question.
        """
        new = (own.data > 0) & (own.col != onto[own.row]) & ~out[own.row]
        row, other = own.row[new], own.col[new]
        keys = _keys(onto[row], other, len(self.positions))
        repeated = np.ones(len(keys), bool)
        repeated[np.unique(keys, return_index=True)[1]] = False
        repeating = np.zeros(len(onto), bool)
        repeating[row[repeated]] = True
        return repeating

    def _folding(self, goes: NDArray[np.int64], onto: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether a triangle would turn too far, or vanish."""
        size = len(self.positions)
        target = np.full(size, -1)
        target[goes] = onto
        corners = self.vertex[self.corners]
        rows = np.flatnonzero((target[corners] >= 0).any(1))
        before = corners[rows]
        after = np.where(target[before] >= 0, target[before], before)
        old, new = (unit(face_normals(self.positions, faces)) for faces in (before, after))
        bad = _whole(after) & ((old * new).sum(1) < self.settings.turn)
        spoiled = np.zeros(size, bool)
        spoiled[before[bad][target[before[bad]] >= 0]] = True
        return spoiled[goes]

    def _move(self, goes: NDArray[np.int64], onto: NDArray[np.int64]) -> None:
        target = np.full(len(self.positions), -1)
        target[goes] = onto
        tails, heads = _ends(self.corners)
        tails, heads = np.concatenate([tails, heads]), np.concatenate([heads, tails])
        drawn = target[self.vertex[tails]] == self.vertex[heads]
        wedge = np.arange(len(self.points))
        wedge[tails[drawn]] = heads[drawn]
        gone = np.flatnonzero(wedge != np.arange(len(wedge)))
        larger, row = np.unique(wedge[gone], return_inverse=True)
        self.quadrics[larger] += _summed(row[:, None], self.quadrics[gone], len(larger))
        np.add.at(self.area, onto, self.area[goes])
        corners = wedge[self.corners]
        self.corners = corners[_whole(self.vertex[corners])]


def _of_eyes(surface: Surface, joints: int) -> NDArray[np.float64]:
    """(N,) how far each vertex follows an eye; lids must go on fitting the eyeballs."""
    if joints != len(RIG_NAMES):
        return np.zeros(len(surface.positions))
    shares: NDArray[np.float64] = (surface.weights * np.isin(surface.joints, (LEFT_EYE, RIGHT_EYE))).sum(1, dtype=float)
    return shares


def _squared_length(points: Floats) -> NDArray[np.float64]:
    """(N, 21) of the forms (x - point)^2; points (N, 5)."""
    forms = np.zeros((len(points), len(_TIMES)))
    forms[:, (_UPPER[0] == _UPPER[1]) & (_UPPER[1] < 5)] = 1
    forms[:, (_UPPER[0] < 5) & (_UPPER[1] == 5)] = -2 * points
    forms[:, -1] = np.einsum("ni,ni->n", points, points)
    return forms


def _square(directions: Floats, points: Floats) -> NDArray[np.float64]:
    """(N, 21) of the forms (direction (x - point))^2; directions and points (N, 5)."""
    linear = np.concatenate([directions, -np.einsum("ni,ni->n", directions, points)[:, None]], 1)
    forms: NDArray[np.float64] = linear[:, _UPPER[0]] * linear[:, _UPPER[1]] * _TIMES
    return forms


def _summed(rows: NDArray[np.int64], values: Floats, count: int) -> NDArray[np.float64]:
    """(count, C) sums of values (N, C) by the rows (N, K) that each goes to."""
    places = (np.ones(rows.size), (rows.reshape(-1), np.repeat(np.arange(len(rows)), rows.shape[1])))
    sums: NDArray[np.float64] = csr_array(places, shape=(count, len(rows))) @ values
    return sums


def _found(values: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which values are among the known ones, which are sorted."""
    if not len(known):
        return np.zeros(len(values), bool)
    found: NDArray[np.bool_] = known[np.minimum(np.searchsorted(known, values), len(known) - 1)] == values
    return found


def _texture_size(positions: Floats, uv: Floats, corners: NDArray[np.int64]) -> float:
    """Metres of the surface for a unit of the texture, on average; corners (F, 3) of positions (N, 3) and uv (N, 2)."""
    a, b = uv[corners[:, 1]] - uv[corners[:, 0]], uv[corners[:, 2]] - uv[corners[:, 0]]
    texture = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / 2
    return float(np.sqrt(_areas(positions, corners).sum() / texture)) if texture > 0 else 0.0


def _areas(positions: Floats, corners: NDArray[np.int64]) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = np.linalg.norm(face_normals(positions, corners), axis=1) / 2
    return areas


def _ends(corners: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(3 F,) tails and heads of the edges of triangles (F, 3)."""
    return corners.reshape(-1), corners[:, [1, 2, 0]].reshape(-1)


def _keys(one: NDArray[np.int64], other: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """A number for each pair of numbers below ``size``, the same both ways."""
    keys: NDArray[np.int64] = np.minimum(one, other) * size + np.maximum(one, other)
    return keys


def _whole(corners: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(F,) which triangles (F, 3) have three different corners."""
    whole: NDArray[np.bool_] = (corners != np.roll(corners, -1, 1)).all(1)
    return whole
