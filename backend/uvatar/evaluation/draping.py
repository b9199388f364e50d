"""Skirts and coats that hang on posed bodies, by a simulation of cloth.

Cloth is a grid of points, rows round the body from waist or chest to the hem, held by its first row. Its edges keep
their lengths, it falls, and the body pushes it out (Müller et al. 2007, "Position based dynamics"). Nothing of it
knows how avatars' skirts are made, so these can be measured against it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import ConvexHull, cKDTree

from uvatar.data.arrays import Floats
from uvatar.geometry.mesh import unit

STEPS, STEP = 120, 1 / 80  # of the simulation, and seconds of each
DAMPING = 0.88  # of the speed, per step: it is to come to rest
GRAVITY = 9.81
PASSES = 3  # over all edges, in each step
EVEN, BENDING = 0.5, 0.12  # share of a wrong length that a pass corrects at either end: of edges, and over two of them
STRETCH = 1.02  # by which cloth lengthens at most
LEAST = 0.05  # metres from the pelvis' vertical to the cloth
SLAB = 0.02  # metres of height around a ring whose points of the body shape it
NEAR = 0.12  # metres from a point of cloth at which the body may push it


@dataclass(frozen=True)
class Cut:
    """How cloth is cut; lengths in metres.

    Attributes:
        top: height of its first row above the pelvis.
        length: from there to the hem.
        ease: between body and cloth at the first row.
        flare: by how much the girth grows per metre of length.
        opening: width of the gap in front, 0 where the cloth is closed.
        waves: amplitude of what the cloth is rumpled by at first; folds grow from it.
        rows, columns: of points.
    """

    top: float
    length: float
    ease: float
    flare: float
    opening: float = 0.0
    waves: float = 0.002
    rows: int = 36
    columns: int = 96


@dataclass(frozen=True)
class Cloth:
    """Cloth at rest on a body: vertices (N, 3) in the body's frame, and triangles (F, 3), seen from both sides."""

    vertices: Floats
    faces: NDArray[np.int32]


@dataclass(frozen=True)
class _Grid:
    """The points' wanted distances: across (R, C) to the next column, and down (R - 1,)."""

    across: Floats
    down: Floats
    closed: bool


def drape(cut: Cut, body: Floats, normals: Floats, pelvis: Floats, front: Floats, rng: np.random.Generator) -> Cloth:
    """Let cloth fall on a body.

    Args:
        cut: the cloth.
        body, normals: (V, 3) points that push it away, arms left out, and their normals; y up, metres.
        pelvis: (3,) joint.
        front: (3,) where the person faces.
        rng: of its folds.
    """
    height = pelvis[1] + cut.top - np.linspace(0, cut.length, cut.rows)
    turn = np.arctan2(front[2], front[0]) + np.pi + np.arange(cut.columns) * (2 * np.pi / cut.columns)
    reach = np.stack([_reach(body, level, pelvis, turn) for level in height])
    # Nowhere narrower than above: hips hold a skirt out.
    start = np.maximum.accumulate(gaussian_filter1d(reach, 1.5, axis=0, mode="nearest"), axis=0) + cut.ease
    arcs = _arcs(start)
    girth = np.maximum(arcs.sum(1), arcs[0].sum() + cut.flare * (height[0] - height))
    rumpled = gaussian_filter1d(rng.normal(0, 1, cut.columns), 2, mode="wrap") * np.linspace(0, 1, cut.rows)[:, None]
    start[1:] = (np.maximum(start, girth[:, None] / (2 * np.pi)) + 3 * cut.waves * rumpled)[1:]
    points = np.stack(
        [
            pelvis[0] + start * np.cos(turn),
            np.broadcast_to(height[:, None], start.shape),
            pelvis[2] + start * np.sin(turn),
        ],
        -1,
    )
    grid = _Grid(arcs * (girth / arcs.sum(1))[:, None], -np.diff(height), cut.opening == 0)
    if cut.opening > 0:
        points, grid = _opened(points, grid, cut, unit(front * [1, 0, 1]))
    beside = (body[:, 1] > height[-1] - NEAR) & (body[:, 1] < height[0] + NEAR)
    points = _settled(points, grid, body[beside], normals[beside], cut.ease * 0.7)
    return Cloth(points.reshape(-1, 3), _faces(points.shape[0], points.shape[1], grid.closed))


def _reach(body: Floats, level: float, pelvis: Floats, turn: Floats) -> Floats:
    """(C,) distance from the vertical through the pelvis to the convex hull of the body at a height."""
    near = body[np.abs(body[:, 1] - level) < SLAB][:, [0, 2]] - pelvis[[0, 2]]
    near = np.concatenate([near, LEAST * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])])
    hull = ConvexHull(near).equations
    facing = np.stack([np.cos(turn), np.sin(turn)], 1) @ hull[:, :2].T
    reach: Floats = np.where(facing > 1e-9, -hull[:, 2] / np.maximum(facing, 1e-9), np.inf).min(1)
    return reach


def _arcs(radius: Floats) -> Floats:
    """(..., C) distances between neighbours on rings with these radii (..., C) at even angles."""
    turn = np.arange(radius.shape[-1]) * (2 * np.pi / radius.shape[-1])
    ring = np.stack([radius * np.cos(turn), radius * np.sin(turn)], -1)
    arcs: Floats = np.linalg.norm(np.roll(ring, -1, axis=-2) - ring, axis=-1)
    return arcs


def _opened(points: Floats, grid: _Grid, cut: Cut, front: Floats) -> tuple[Floats, _Grid]:
    """Without the columns before the body in the gap; the ends, drawn aside from there, are edges."""
    middle = cut.columns // 2  # columns begin behind
    width = np.abs((points[:, :, :] - points[:, middle : middle + 1]) @ np.cross([0.0, 1.0, 0.0], front))
    before = (points - points.mean(1, keepdims=True)) @ front > 0
    gone = (width[0] < cut.opening / 2) & before[0]
    first, last = np.flatnonzero(gone)[[0, -1]]
    kept = np.concatenate([np.arange(last + 1, cut.columns), np.arange(first)])
    return points[:, kept], _Grid(grid.across[:, kept], grid.down, closed=False)


def _settled(points: Floats, grid: _Grid, body: Floats, normals: Floats, thickness: float) -> Floats:
    """The points (R, C, 3) when they hang; the first row stays."""
    tree, held = cKDTree(body), points[0].copy()
    before = points.copy()
    for _ in range(STEPS):
        speed = DAMPING * (points - before)
        before = points.copy()
        points = points + speed
        points[..., 1] -= GRAVITY * STEP**2
        for _ in range(PASSES):
            _keep_lengths(points, grid)
            points[0] = held
        pulled = points.copy()
        _hang(points, grid)
        before += points - pulled  # what the waist holds back is no speed
        flat = points.reshape(-1, 3)
        distance, nearest = tree.query(flat, 3, distance_upper_bound=NEAR)
        known = np.isfinite(distance)
        share = np.where(known, 1 / (distance + 0.004) ** 2, 0)
        index = np.where(known, nearest, 0)
        away = unit((share[..., None] * normals[index]).sum(1))
        depth = (share * ((flat[:, None] - body[index]) * away[:, None]).sum(-1)).sum(1) / np.maximum(
            share.sum(1), 1e-9
        )
        push = np.where(known.any(1), np.clip(thickness - depth, 0, 0.03), 0)
        points = (flat + push[:, None] * away).reshape(points.shape)
        # Where the body has pushed it, cloth rubs.
        before += np.where(push > 0, 0.5, 0).reshape(points.shape[:2])[..., None] * (points - before)
        points[0] = held
    return points


def _keep_lengths(points: Floats, grid: _Grid) -> None:
    """Move the ends of all edges, in place, towards their wanted distances: one family of edges after the other."""
    across, rows, columns = grid.across, len(points), points.shape[1]
    for first in range(2):
        # An even number of columns is paired with the next one, and then the last with the first.
        left, right = points[:, first : columns - 1 : 2], points[:, first + 1 :: 2]
        _pull(left, right, across[:, first : columns - 1 : 2], EVEN)
    if grid.closed:
        _pull(points[:, -1:], points[:, :1], across[:, -1:], EVEN)
    for first in range(2):
        _pull(points[first : rows - 1 : 2], points[first + 1 :: 2], grid.down[first::2, None], EVEN)
    # Over two edges: cloth resists bending, most of all across its folds.
    for first in range(4):
        left, right = points[:, first : columns - 2 : 4], points[:, first + 2 :: 4]
        _pull(left, right, 2 * across[:, first : columns - 2 : 4], BENDING, only_short=True)


def _hang(points: Floats, grid: _Grid) -> None:
    """No row lies farther from the row above than the cloth is long: passes over single edges would take many rounds to
    tell the hem that the waist holds it.
    """
    for above, row, longest in zip(points[:-1], points[1:], grid.down, strict=True):
        between = row - above
        length = np.maximum(np.linalg.norm(between, axis=-1, keepdims=True), 1e-9)
        row[:] = above + between * np.minimum(1, STRETCH * longest / length)


def _pull(one: Floats, other: Floats, wanted: Floats, share: float, only_short: bool = False) -> None:
    """Bring pairs of points (..., 3) to a distance, in place; ``only_short``: only those that are nearer."""
    between = other - one
    length = np.maximum(np.sqrt(np.einsum("...c,...c", between, between)), 1e-9)
    excess = 1 - wanted / length
    if only_short:
        excess = np.minimum(excess, 0)
    step = (share * excess)[..., None] * between
    one += step
    other -= step


def _faces(rows: int, columns: int, closed: bool) -> NDArray[np.int32]:
    """(F, 3) triangles of the grid."""
    wide = columns if closed else columns - 1
    row, column = (one.ravel() for one in np.meshgrid(np.arange(rows - 1), np.arange(wide), indexing="ij"))
    after = (column + 1) % columns
    a, b, c, d = (
        row * columns + column,
        row * columns + after,
        (row + 1) * columns + after,
        (row + 1) * columns + column,
    )
    faces: NDArray[np.int32] = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)
    return faces
