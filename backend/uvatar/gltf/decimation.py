"""Fewer triangles for the same surface: levels of detail.

Vertices are removed, never moved: each is drawn onto a neighbour, so that the others keep their texture coordinates,
weights and movements. The order follows the quadrics of Garland and Heckbert, Simplifying Surfaces with Color and
Texture using Quadric Error Metrics, 1998, of position and texture coordinate together. In every round all vertices go
that are cheaper than their neighbours, which NumPy does at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from uvatar.data.arrays import Floats
from uvatar.geometry.adjacency import triangle_edges
from uvatar.geometry.mesh import face_normals, unit
from uvatar.gltf.surface import Surface, with_triangles
from uvatar.protocol.expressions import EXPRESSIONS
from uvatar.protocol.rig import LEFT_EYE, RIG_NAMES, RIGHT_EYE

_UPPER = np.triu_indices(6)
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
        self.area = np.zeros(len(self.positions))
        np.add.at(self.area, self.vertex[self.corners], _areas(positions, self.corners)[:, None] / 3)
        self.blocked: NDArray[np.int64] = np.zeros(0, np.int64)  # collapses that would fold the surface
        # The edges, each in both directions, as numbers tail x vertices + head in rising order, and how many triangles
        # each has; as they were when collapses were chosen.
        self.pairs: NDArray[np.int64] = np.zeros(0, np.int64)
        self.sides: NDArray[np.int64] = np.zeros(0, np.int64)

    def _quadrics(self, importance: Floats) -> NDArray[np.float64]:
        """(W, 21) of each wedge: (x, 1) Q (x, 1) is the squared distance of x, times areas and importance.

        Q is symmetric, and what lies off its diagonal counts twice: a row times that of `products` is the form.
        """
        p, q, r = (self.points[self.corners[:, k]] for k in range(3))
        first = unit(q - p)
        second = r - p
        second = unit(second - (second * first).sum(1, keepdims=True) * first)
        plane = np.eye(5) - first[:, :, None] * first[:, None] - second[:, :, None] * second[:, None]
        whole = _squared_distance(plane, p) * (_areas(self.points[:, :3], self.corners) * importance)[:, None, None]
        quadrics = _summed(self.corners.T.reshape(-1), np.tile(_packed(whole) / 3, (3, 1)), len(self.points))
        # A wall along each border and seam, perpendicular to the surface.
        tail, head, third = self._border_corners()
        along = unit(self.points[head, :3] - self.points[tail, :3])
        normal = unit(np.cross(along, self.points[third, :3] - self.points[tail, :3]))
        across = np.zeros((len(tail), 5))
        across[:, :3] = np.cross(along, normal)
        length = ((self.points[head, :3] - self.points[tail, :3]) ** 2).sum(1)
        wall = _squared_distance(across[:, :, None] * across[:, None], self.points[tail])
        wall *= (self.settings.border * length / 3)[:, None, None]
        quadrics += _summed(np.concatenate([tail, head]), np.tile(_packed(wall), (2, 1)), len(self.points))
        return quadrics

    def _border_corners(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Wedges at both ends of the edges that a single triangle has, as at seams, and the triangle's third."""
        tails = self.corners.reshape(-1)
        heads, thirds = np.roll(self.corners, -1, 1).reshape(-1), np.roll(self.corners, -2, 1).reshape(-1)
        keys = np.minimum(tails, heads) * len(self.points) + np.maximum(tails, heads)
        _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
        alone = counts[inverse] == 1
        return tails[alone], heads[alone], thirds[alone]

    def shrink(self, target: int) -> bool:
        """Remove vertices, at most so many that ``target`` triangles are left. Returns whether there were any."""
        goes, onto, cost = self._cheapest()
        if not len(goes):
            return False
        limit = np.quantile(cost, self.settings.share)
        order = np.argsort(cost, kind="stable")
        order = order[: max(1, np.searchsorted(cost[order], limit, "right"))]
        apart = order[self._apart(goes[order])][: max(1, (len(self.corners) - target + 1) // 2)]
        return self._collapse(goes[apart], onto[apart])

    def _apart(self, goes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """A choice of vertices, the earlier rather than the later ones, of which no two share a triangle."""
        corners = self.vertex[self.corners]
        rank = np.full(len(self.positions), np.inf)
        rank[goes] = np.arange(len(goes))
        chosen = np.zeros(len(goes), bool)
        for _ in range(self.settings.passes):
            lowest = np.full(len(self.positions), np.inf)
            np.minimum.at(lowest, corners, rank[corners].min(1)[:, None])  # in the vertex's ring, itself among it
            new = np.isfinite(rank[goes]) & (rank[goes] <= lowest[goes])
            chosen |= new
            taken = np.zeros(len(self.positions), bool)
            taken[goes[new]] = True
            rank[corners[taken[corners].any(1)]] = np.inf
        return chosen

    def _cheapest(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """For each vertex that can go the one that it is best drawn onto, and what that costs."""
        wedges, vertices = len(self.points), len(self.positions)
        one, other = self.corners.reshape(-1), np.roll(self.corners, -1, 1).reshape(-1)
        keys, counts = np.unique(np.minimum(one, other) * wedges + np.maximum(one, other), return_counts=True)
        one, other = np.divmod(keys, wedges)
        tails, heads, counts = np.concatenate([one, other]), np.concatenate([other, one]), np.tile(counts, 2)
        costs = np.einsum("ek,ek->e", self.quadrics[tails], self.products[heads])
        # The wedges of a vertex go together: along a seam each to the wedge on its own side.
        pairs, group = np.unique(self.vertex[tails] * vertices + self.vertex[heads], return_inverse=True)
        moved, sides = np.bincount(group), np.bincount(group, counts).astype(np.int64)
        self.pairs, self.sides = pairs, sides
        goes, onto = np.divmod(pairs, vertices)
        used = np.zeros(wedges, bool)
        used[self.corners] = True
        own = np.bincount(self.vertex[used], minlength=vertices)
        distinct = moved.copy()  # less only where a wedge could go to several, as at the end of a seam
        several = moved[group] > 1
        distinct[moved > 1] = 0
        distinct += np.bincount(np.unique(group[several] * wedges + tails[several]) // wedges, minlength=len(pairs))
        border = np.zeros(vertices, bool)
        border[goes[sides == 1]] = True
        possible = (moved == own[goes]) & (distinct == own[goes]) & (~border[goes] | (sides == 1))
        possible &= ~_found(pairs, self.blocked)
        goes, onto, cost = goes[possible], onto[possible], np.bincount(group, costs)[possible]
        changed = self.followed[goes] - self.followed[onto]
        apart = self.positions[goes] - self.positions[onto]
        cost += self.area[goes] * (
            self.settings.skinning**2 * np.einsum("ej,ej->e", changed, changed)
            + self.settings.roundness * np.einsum("ej,ej->e", apart, apart)
        )
        order = np.argsort(cost, kind="stable")[::-1]
        best = np.full(vertices, -1)
        best[goes[order]] = order  # the last that is written counts: the cheapest
        best = best[best >= 0]
        return goes[best], onto[best], cost[best]

    def _collapse(self, goes: NDArray[np.int64], onto: NDArray[np.int64]) -> bool:
        """Draw vertices onto others, but for those where the surface would fold, which are then left out for good."""
        goes, onto = self._kept(goes, onto, self._pinching(goes, onto))
        later = self._repeating(goes, onto)  # one of them may go in a later round
        goes, onto = goes[~later], onto[~later]
        goes, onto = self._kept(goes, onto, self._folding(goes, onto))
        if len(goes):
            target = np.full(len(self.positions), -1)
            target[goes] = onto
            self._move(target)
        return True

    def _kept(
        self, goes: NDArray[np.int64], onto: NDArray[np.int64], bad: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        self.blocked = np.union1d(self.blocked, goes[bad] * len(self.positions) + onto[bad])
        return goes[~bad], onto[~bad]

    def _pinching(self, goes: NDArray[np.int64], onto: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the ends have common neighbours besides those of their triangles, so that the surface would touch."""
        linked = self._linked()
        common = linked[goes].multiply(linked[onto]).sum(1)
        triangles = self.sides[np.searchsorted(self.pairs, goes * len(self.positions) + onto)]
        return np.asarray(common).reshape(-1) > triangles

    def _repeating(self, goes: NDArray[np.int64], onto: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which collapses would make an edge that an earlier one makes as well."""
        linked, size = self._linked(), len(self.positions)
        mine = linked[goes]
        new = (mine - mine.multiply(linked[onto])).tocoo()
        row, other = new.row[new.data > 0], new.col[new.data > 0]
        row, other = row[other != onto[row]], other[other != onto[row]]
        keys = np.minimum(onto[row], other) * size + np.maximum(onto[row], other)
        first = np.unique(keys, return_index=True)[1]
        repeated = np.ones(len(keys), bool)
        repeated[first] = False
        repeating = np.zeros(len(goes), bool)
        repeating[row[repeated]] = True
        return repeating

    def _linked(self) -> csr_array:
        """(V, V) 1 where two vertices have an edge."""
        size = len(self.positions)
        tails, heads = np.divmod(self.pairs, size)
        begins = np.searchsorted(tails, np.arange(size + 1))
        return csr_array((np.ones(len(heads)), heads, begins), shape=(size, size))

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

    def _move(self, target: NDArray[np.int64]) -> None:
        tails, heads = _both_ways(self.corners)
        drawn = target[self.vertex[tails]] == self.vertex[heads]
        wedge = np.arange(len(self.points))
        wedge[tails[drawn]] = heads[drawn]
        gone = np.flatnonzero(wedge != np.arange(len(wedge)))
        larger, row = np.unique(wedge[gone], return_inverse=True)
        self.quadrics[larger] += _summed(row, self.quadrics[gone], len(larger))
        vertices = np.flatnonzero(target >= 0)
        np.add.at(self.area, target[vertices], self.area[vertices])
        corners = wedge[self.corners]
        self.corners = corners[_whole(self.vertex[corners])]


def _of_eyes(surface: Surface, joints: int) -> NDArray[np.float64]:
    """(N,) how far each vertex follows an eye; lids must go on fitting the eyeballs."""
    if joints != len(RIG_NAMES):
        return np.zeros(len(surface.positions))
    shares: NDArray[np.float64] = (surface.weights * np.isin(surface.joints, (LEFT_EYE, RIGHT_EYE))).sum(1, dtype=float)
    return shares


def _squared_distance(plane: Floats, point: Floats) -> NDArray[np.float64]:
    """(N, 6, 6) of the forms (x - point) plane (x - point) in x and 1; planes (N, 5, 5), points (N, 5)."""
    form = np.zeros((len(plane), 6, 6))
    linear = -np.einsum("nij,nj->ni", plane, point)
    form[:, :5, :5], form[:, :5, 5], form[:, 5, :5] = plane, linear, linear
    form[:, 5, 5] = -np.einsum("ni,ni->n", linear, point)
    return form


def _packed(forms: Floats) -> NDArray[np.float64]:
    """(N, 21) of symmetric forms (N, 6, 6)."""
    packed: NDArray[np.float64] = forms[:, _UPPER[0], _UPPER[1]] * np.where(_UPPER[0] == _UPPER[1], 1.0, 2.0)
    return packed


def _summed(rows: NDArray[np.int64], values: Floats, count: int) -> NDArray[np.float64]:
    """(count, K) sums of values (N, K) by the rows that they go to."""
    places = (np.ones(len(rows)), (rows, np.arange(len(rows))))
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


def _both_ways(corners: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The ends of all edges of triangles (F, 3), each edge in both directions."""
    edges = triangle_edges(corners)
    return np.concatenate([edges[:, 0], edges[:, 1]]), np.concatenate([edges[:, 1], edges[:, 0]])


def _whole(corners: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(F,) which triangles (F, 3) have three different corners."""
    whole: NDArray[np.bool_] = (corners != np.roll(corners, -1, 1)).all(1)
    return whole
