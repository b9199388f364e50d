"""Blending in the gradient domain, texel by texel over the body: steps across UV seams are spread until invisible.

A screened Poisson equation (Perez et al. 2003, "Poisson image editing"; Bhat et al. 2008) on the graph of neighbouring
texels.  The graph is the body's, not the picture's: across a UV seam texels are neighbours too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvatar.data.arrays import Floats, Integers
from uvatar.texturing.layout.atlas import Atlas


@dataclass(frozen=True)
class SeamSettings:
    """Tuned numbers of the seams' blending. How they were chosen is not recorded.

    Attributes:
        reach: how far a step is spread, as a share of the texture's side: about fifteen centimetres of the body. Four
            times as far off it is gone.
        tolerance: of the solver: the residual's preconditioned norm at the end, as a share of that at the start.
        most_steps: of the solver.
    """

    reach: float = 0.07
    tolerance: float = 0.003
    most_steps: int = 400


DEFAULT_SETTINGS = SeamSettings()


def neighbours(atlas: Atlas) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Find the pairs (E, 2) of texels that touch, and whether (E,) they do so across a seam of the UV layout."""
    size = atlas.table.size
    place = np.full(size * size, -1, np.int32)
    place[atlas.table.pixel] = np.arange(len(atlas.table), dtype=np.int32)
    picture = place.reshape(size, size)
    beside = np.column_stack([picture[:, :-1].ravel(), picture[:, 1:].ravel()])
    below = np.column_stack([picture[:-1].ravel(), picture[1:].ravel()])
    within = np.concatenate([beside, below])
    within, across = within[(within >= 0).all(1)], _across_seams(atlas)
    return np.concatenate([within, across]), np.arange(len(within) + len(across)) >= len(within)


def _across_seams(atlas: Atlas) -> NDArray[np.int32]:
    """Pairs (K, 2) of texels on the two sides of the edges that the UV layout cuts, one per texel along them."""
    corners = np.stack([atlas.surface.faces, np.roll(atlas.surface.faces, -1, 1)], -1).reshape(-1, 2)
    places = np.stack([atlas.surface.face_uv, np.roll(atlas.surface.face_uv, -1, 1)], -1).reshape(-1, 2)
    backwards = corners[:, 0] > corners[:, 1]
    corners[backwards], places[backwards] = corners[backwards, ::-1], places[backwards, ::-1]
    order = np.lexsort(corners.T)
    corners, places = corners[order], places[order]
    # an edge of a closed surface has two triangles: they follow each other now
    twin = np.flatnonzero((corners[:-1] == corners[1:]).all(1) & (places[:-1] != places[1:]).any(1))
    sides = atlas.surface.uv[np.stack([places[twin], places[twin + 1]], 1)] * atlas.table.size  # (K, side, end, 2)
    length = np.linalg.norm(sides[:, :, 1] - sides[:, :, 0], axis=-1).max(1)
    count = np.maximum(np.ceil(length), 1).astype(np.int64)
    edge = np.repeat(np.arange(len(twin)), count)
    step = (np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + 0.5) / count[edge]
    points = sides[edge, :, 0] + (sides[edge, :, 1] - sides[edge, :, 0]) * step[:, None, None]
    column = np.clip(points[..., 0].astype(np.int64), 0, atlas.table.size - 1)
    row = np.clip((atlas.table.size - points[..., 1]).astype(np.int64), 0, atlas.table.size - 1)
    pairs: NDArray[np.int32] = np.unique(atlas.table.source[row * atlas.table.size + column], axis=0)
    return pairs


@dataclass(frozen=True)
class SeamSystem:
    """The equations of a body's seams at one size: all but the colours.

    Attributes:
        across: (K, 2) pairs of texels that touch across a seam.
        steps: (T, K) csr, takes the steps across the seams to the right side.
        system: (T, T) csr float32.
        settings: tuned numbers.
    """

    across: NDArray[np.int32]
    steps: sparse.csr_matrix
    system: sparse.csr_matrix
    settings: SeamSettings

    @classmethod
    def of(cls, atlas: Atlas, settings: SeamSettings = DEFAULT_SETTINGS) -> SeamSystem:
        """The system of an atlas's texels."""
        pairs, across = neighbours(atlas)
        incidence = _incidence(pairs[:, 0], pairs[:, 1], len(atlas.table))
        reach = max(settings.reach * atlas.table.size, 1.0)  # texels
        screen = sparse.identity(len(atlas.table), dtype=np.float32) / np.float32(reach**2)
        system = (incidence.T @ incidence + screen).tocsr().astype(np.float32)
        return cls(pairs[across], incidence[np.flatnonzero(across)].T.tocsr(), system, settings)


def without_seams(colours: NDArray[np.float32], seams: SeamSystem) -> NDArray[np.float32]:
    """Bring the two sides of every UV seam to the same colours, changing the texture as little as possible.

    Minimises the squared deviations of the differences between neighbours from 0 across seams and from their own
    elsewhere, and, weakly, of the colours from themselves.

    Args:
        colours: (T, 3) of a texture made in the UV plane.
        seams: of the body at the texture's size.

    Returns colours (T, 3).
    """
    a, b = seams.across.T
    right = seams.steps @ (colours[b] - colours[a])
    return colours + _conjugate_gradients(seams.system, right, seams.settings)


def _incidence(a: Integers, b: Integers, unknowns: int) -> sparse.csr_matrix:
    """Row e: +1 at a[e], -1 at b[e]."""
    edge = np.arange(len(a))
    ones = np.ones(len(a), np.float32)
    return sparse.csr_matrix(
        (np.concatenate([ones, -ones]), (np.tile(edge, 2), np.concatenate([a, b]))), (len(a), unknowns)
    )


def _conjugate_gradients(
    system: sparse.csr_matrix, right: NDArray[np.float32], settings: SeamSettings
) -> NDArray[np.float32]:
    """Solve for all columns of ``right`` (N, C) at once, as nearly as shows: conjugate gradients with the diagonal as
    preconditioner (Hestenes and Stiefel 1952).
    """
    # Column by column in memory, which takes a fifth of the time that the rows of so few numbers do.
    inverse = 1 / system.diagonal()
    residual = np.array(right.T, order="C")
    solution = np.zeros_like(residual)
    direction = inverse * residual
    energy = _dot(residual, direction)
    enough = settings.tolerance**2 * energy
    for _ in range(settings.most_steps):
        moved = np.stack([system @ column for column in direction])
        step = (energy / np.maximum(_dot(direction, moved), 1e-30)).astype(np.float32)
        solution += step * direction
        residual -= step * moved
        conditioned = inverse * residual
        before, energy = energy, _dot(residual, conditioned)
        if (energy <= enough).all():
            break
        direction *= (energy / np.maximum(before, 1e-30)).astype(np.float32)
        direction += conditioned
    return np.ascontiguousarray(solution.T)


def _dot(a: NDArray[np.float32], b: NDArray[np.float32]) -> Floats:
    """Sums (C, 1) along the rows of a * b (C, N)."""
    return np.array([[row @ other] for row, other in zip(a, b, strict=True)], np.float64)
