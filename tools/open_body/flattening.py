"""Flattens a piece of surface into the plane with a wanted size for every triangle, and without folds.

The energy is the symmetric Dirichlet energy (Smith and Schaefer 2015), which is infinite where a triangle flips; it is
minimised by reweighted least squares (Rabinovich et al. 2017, Scalable Locally Injective Mappings). The outline is free
and holes are filled with light triangles, so that their rims cannot cross.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
# The nearest allowed places (B, 2) to these places (B, 2).
Bounds = Callable[[Array], Array]


@dataclass(frozen=True)
class FlatteningSettings:
    """Numbers of the minimisation.

    Attributes:
        rounds: most steps.
        enough: relative gain of a step below which it has converged.
        hole: weight of the triangles that fill a hole, relative to others.
        outside: pull of a point of the outline into the bounds at first, relative to the stiffness of the whole piece.
        harder: factor by which that grows in every step, so that the bounds are met in the end,
        hardest: but not beyond this.
        backtrack: share by which a step is shortened until the energy falls.
        reach: share of the way to the first flipped triangle that a step may go.
    """

    rounds: int = 150
    enough: float = 1e-6
    hole: float = 0.02
    outside: float = 1.0
    harder: float = 1.3
    hardest: float = 1e6
    backtrack: float = 0.6
    reach: float = 0.8


DEFAULT_SETTINGS = FlatteningSettings()


def flattened(
    places: Array,
    triangles: Indices,
    wanted: Array,
    stiffness: Array,
    bounds: Bounds,
    settings: FlatteningSettings = DEFAULT_SETTINGS,
) -> Array:
    """Places (P, 2) in which every triangle has the shape and size that it should have, as far as that fits.

    Args:
        places: (P, 2) to start from; triangles are counter-clockwise there.
        triangles: (F, 3) indices of ``places``.
        wanted: (F, 2, 2) for every triangle the inner products of the two edges at its first corner.
        stiffness: (F,) weights of the triangles' distortions, beside their areas.
        bounds: where the outline may lie.
        settings: numbers of the minimisation.

    Raises ValueError if a triangle has no area or is clockwise at the start.
    """
    loops = sorted(outlines(triangles), key=lambda loop: -np.ptp(places[loop], axis=0).max())
    holes = [_filled(places, loop[::-1]) for loop in loops[1:]]
    faces = np.concatenate([triangles, *holes])
    growth = np.sqrt(np.linalg.det(wanted)) / np.linalg.det(edges_of(places, triangles))
    fillings = [edges_of(places, hole) * np.sqrt(growth[np.isin(triangles, hole).any(1)].mean()) for hole in holes]
    rest = np.concatenate([np.linalg.cholesky(wanted).transpose(0, 2, 1), *fillings])
    area = np.linalg.det(rest) / 2
    if min(area.min(), growth.min()) <= 0:
        raise ValueError("A triangle of the layout has no area or is clockwise.")
    area[: len(triangles)] *= stiffness
    area[len(triangles) :] *= settings.hole
    energy = _Energy(faces, area, np.linalg.inv(rest), _along(loops[0], len(places)), bounds, settings)
    return energy.minimised(places)


def outlines(triangles: Indices) -> list[Indices]:
    """The closed loops of indices that bound a piece of surface, each in the order of its triangles' edges."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    both = set(map(tuple, edges.tolist()))
    follower = {a: b for a, b in both if (b, a) not in both}
    loops = []
    while follower:
        loop = [next(iter(follower))]
        while (after := follower.pop(loop[-1])) != loop[0]:
            loop.append(after)
        loops.append(np.array(loop))
    return loops


def _along(loop: Indices, count: int) -> sparse.csr_matrix:
    """(B, P): points on the edges of an outline as means of its P points."""
    shares = np.concatenate([np.tile([1 - share, share], (len(loop), 1)) for share in (0.0, 0.25, 0.5, 0.75)])
    ends = np.tile(np.column_stack([loop, np.roll(loop, -1)]), (4, 1))
    rows = np.repeat(np.arange(len(ends)), 2)
    return sparse.csr_matrix((shares.ravel(), (rows, ends.ravel())), (len(ends), count))


def _filled(places: Array, loop: Indices) -> Indices:
    """Triangles (K - 2, 3) of a polygon whose K corners are given counter-clockwise, by clipping the roundest ears."""
    corners, triangles = loop.tolist(), []
    while len(corners) > 3:
        ears = [(corners[k - 1], corners[k], corners[(k + 1) % len(corners)]) for k in range(len(corners))]
        best = max(range(len(ears)), key=lambda k: _roundness(places, ears[k], corners))
        triangles.append(ears[best])
        del corners[best]
    return np.array([*triangles, corners])


def _roundness(places: Array, ear: tuple[int, int, int], corners: list[int]) -> float:
    """The triangle's area over its squared perimeter; negative if it is clockwise or has another corner inside."""
    a, b, c = places[list(ear)]
    area = np.linalg.det(np.stack([b - a, c - a]))
    others = places[[corner for corner in corners if corner not in ear]]
    sides = [np.linalg.det(np.stack([np.broadcast_to(q - p, others.shape), others - p], -1)) > 0
             for p, q in ((a, b), (b, c), (c, a))]  # fmt: skip
    if area <= 0 or np.logical_and.reduce(sides).any():
        return -1.0
    return float(area / (np.linalg.norm(b - a) + np.linalg.norm(c - b) + np.linalg.norm(a - c)) ** 2)


def edges_of(places: Array, triangles: Indices) -> Array:
    """(F, 2, 2) the two edges at a triangle's first corner, as columns."""
    first, second, third = (places[triangles[:, k]] for k in range(3))
    return np.stack([second - first, third - first], -1)


@dataclass(frozen=True)
class _Energy:
    """What is minimised.

    Attributes:
        triangles: (F, 3).
        area: (F,) weights.
        inverse: (F, 2, 2) of the wanted edges as columns.
        outline: (B, P) makes the points that are kept in bounds.
        bounds: see `flattened`.
        settings: numbers of the minimisation.
    """

    triangles: Indices
    area: Array
    inverse: Array
    outline: sparse.csr_matrix
    bounds: Bounds
    settings: FlatteningSettings

    def minimised(self, places: Array) -> Array:
        gradients = self._gradients(len(places))
        pull, hardest = self.settings.outside * self.area.sum(), self.settings.hardest * self.area.sum()
        for _ in range(self.settings.rounds):
            target = self._reweighted(places, gradients, pull)
            before, step = self._value(places, pull), target - places
            length = min(1.0, self.settings.reach * self._until_flipped(places, step))
            while (after := self._value(places + length * step, pull)) > before and length > 1e-9:
                length *= self.settings.backtrack
            places = places + length * step
            if before - after < self.settings.enough * before and pull == hardest:
                break
            pull = min(self.settings.harder * pull, hardest)
        return places

    def _value(self, places: Array, pull: float) -> float:
        jacobian = edges_of(places, self.triangles) @ self.inverse
        determinant = np.linalg.det(jacobian)
        if determinant.min() <= 0:
            return np.inf
        distortion = (jacobian**2).sum((1, 2)) * (1 + determinant**-2)
        points = self.outline @ places
        outside = points - self.bounds(points)
        return float(self.area @ distortion + pull * (outside**2).sum())

    def _gradients(self, count: int) -> list[sparse.csr_matrix]:
        """Two matrices (F, P): a triangle's Jacobian's first and second column of coordinates (P,)."""
        rows = np.repeat(np.arange(len(self.triangles)), 3)
        columns = []
        for k in range(2):
            own = self.inverse[:, :, k]
            values = np.column_stack([-own.sum(1), own])
            columns.append(sparse.csr_matrix((values.ravel(), (rows, self.triangles.ravel())), (len(own), count)))
        return columns

    def _reweighted(self, places: Array, gradients: list[sparse.csr_matrix], pull: float) -> Array:
        """The minimum of the quadratic energy whose gradient is the energy's here."""
        jacobian = edges_of(places, self.triangles) @ self.inverse
        left, stretch, right = np.linalg.svd(jacobian)
        rotation = left @ right
        near = np.abs(stretch - 1) < 1e-4
        slope = np.where(near, 4.0, (stretch - stretch**-3.0) / np.where(near, 1.0, stretch - 1))
        metric = left @ (slope[:, :, None] * left.transpose(0, 2, 1))
        wanted = metric @ rotation
        blocks = [[sum(g.T @ sparse.diags(self.area * metric[:, a, b]) @ g for g in gradients) for b in range(2)]
                  for a in range(2)]  # fmt: skip
        sides = [sum(g.T @ (self.area * wanted[:, a, k]) for k, g in enumerate(gradients)) for a in range(2)]
        points = self.outline @ places
        allowed = self.bounds(points)
        held = self.outline[np.abs(points - allowed).max(1) > 0]
        allowed = allowed[np.abs(points - allowed).max(1) > 0]
        still = sparse.eye(len(places)) * (1e-4 * self.area.sum() / len(places))  # the energy does not fix the place
        weight = pull * held.T @ held + still
        wanted_place = pull * held.T @ allowed + still @ places
        system = sparse.bmat([[blocks[0][0] + weight, blocks[0][1]], [blocks[1][0], blocks[1][1] + weight]]).tocsc()
        right_side = np.concatenate([side + wanted_place[:, a] for a, side in enumerate(sides)])
        return np.asarray(spsolve(system, right_side)).reshape(2, -1).T

    def _until_flipped(self, places: Array, step: Array) -> float:
        """The length at which the first triangle has no area: the smallest positive root of a quadratic."""
        edges, change = edges_of(places, self.triangles), edges_of(step, self.triangles)
        square, constant = np.linalg.det(change), np.linalg.det(edges)
        linear = np.linalg.det(edges + change) - square - constant
        roots = np.sqrt(np.maximum(linear**2 - 4 * square * constant, 0))
        real = linear**2 >= 4 * square * constant
        with np.errstate(divide="ignore", invalid="ignore"):
            # the form without cancellation: 2 c / (-b +- root)
            both = np.stack([2 * constant / (-linear + roots), 2 * constant / (-linear - roots)])
        positive = both[:, real]
        positive = positive[np.isfinite(positive) & (positive > 0)]
        return float(positive.min()) if len(positive) else np.inf
