"""What shells, meshes made of rings around the body, have in common: their layout, weights and rest pose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.shell import Shell


def ring_layout(
    rows: int, outer: int, columns: int
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]:
    """Quads of the grid, closed around, and a rectangle of texture coordinates.

    The seam is behind, seen from the camera; the hem's inner side wears the outer side's texture.
    """
    row, column = (values.ravel() for values in np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij"))
    after = (column + 1) % columns
    quads = np.stack(
        [row * columns + column, (row + 1) * columns + column, (row + 1) * columns + after, row * columns + after], 1
    )
    wide = columns + 1
    # Directions run from the picture's right to behind; the middle of the texture is the front.
    begin = columns // 4
    place = (column - begin) % columns
    quad_uv = np.stack(
        [row * wide + place, (row + 1) * wide + place, (row + 1) * wide + place + 1, row * wide + place + 1], 1
    )
    down = np.concatenate([np.linspace(0, 1, outer), np.linspace(1, 0.9, rows - outer)])
    u, v = np.meshgrid(np.linspace(0, 1, wide), 1 - down)
    uv = np.stack([0.005 + 0.99 * u, 0.005 + 0.99 * v], -1).reshape(-1, 2)
    return quads.astype(np.int32), uv.astype(np.float32), quad_uv.astype(np.int32)


def strongest(weights: Floats, influences: int) -> NDArray[np.float32]:
    """Weights (N, J) of at most so many joints each; rows sum to 1."""
    least = np.sort(weights, 1)[:, -influences, None]
    kept = np.where(weights < least, 0, weights)
    normalized: NDArray[np.float32] = (kept / kept.sum(1, keepdims=True)).astype(np.float32)
    return normalized


def at_rest(shell: Shell, transforms: Floats) -> NDArray[np.float32]:
    """The shell's vertices (N, 3) in the rest pose of the body whose joints moved by ``transforms`` (24, 3, 4)."""
    mixed = np.einsum("nj,jab->nab", shell.weights.astype(np.float64), transforms)
    rest: NDArray[np.float32] = np.linalg.solve(mixed[:, :, :3], (shell.vertices - mixed[:, :, 3])[..., None])[..., 0]
    return rest.astype(np.float32)


def in_pose(shell: Shell, rest: NDArray[np.float32], transforms: Floats) -> NDArray[np.float32]:
    """The inverse of `at_rest`: the shell's vertices (N, 3), given those at rest."""
    mixed = np.einsum("nj,jab->nab", shell.weights.astype(np.float64), transforms)
    posed: NDArray[np.float32] = (np.einsum("nab,nb->na", mixed[:, :, :3], rest) + mixed[:, :, 3]).astype(np.float32)
    return posed
