"""Where the texels of a shell, a mesh of rings around the body, lie in the photo."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.shell import Shell
from uvatar.geometry.mesh import unit

_ROWS = 64  # by which a shell is measured, at least


def shell_texels(shell: Shell, size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(size, size, 3) the texels' places in the camera frame, and (size, size) their cosines to the line of sight."""
    grid = shell.grid()
    first = shell.columns // 4
    grid = np.concatenate([grid[:, first:], grid[:, : first + 1]], 1).astype(np.float32)
    at, edge = grid_places(shell, size), cv2.BORDER_REPLICATE
    points = np.asarray(cv2.remap(grid, *at, cv2.INTER_LINEAR, borderMode=edge), np.float32)
    along, below = np.gradient(grid, axis=1), np.gradient(grid, axis=0)
    normal = unit(np.cross(below, along)).astype(np.float32)
    normal = np.asarray(cv2.remap(normal, *at, cv2.INTER_LINEAR, borderMode=edge), np.float32)
    cosine = -(unit(normal) * unit(points)).sum(-1)
    return points, cosine.astype(np.float32)


def grid_places(shell: Shell, size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(size, size) columns and rows of the shell's grid, beginning at the texture's seam, where the texels are."""
    # The inverse of the mesh's layout: a margin all round, rows from the top.
    place = ((np.arange(size, dtype=np.float32) + 0.5) / size - 0.005) / 0.99
    across, down = np.meshgrid(place * shell.columns, place * (shell.outer - 1))
    return across.astype(np.float32), down.astype(np.float32)


def extent_of(points: Floats) -> tuple[float, float]:
    """Metres round a shell and down it, the medians over its rows and columns; ``points`` (N, N, 3) of its texels."""
    some = slice(None, None, max(1, len(points) // _ROWS))
    across = np.linalg.norm(np.diff(points[some], axis=1), axis=-1).sum(1)
    down = np.linalg.norm(np.diff(points[:, some], axis=0), axis=-1).sum(0)
    return float(np.median(across)), float(np.median(down))


def footprint_of(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w) the width of a texel in pixels of the photo; ``pixels`` (h, w, 2)."""
    steps = [np.linalg.norm(np.gradient(pixels, axis=axis), axis=-1) for axis in range(2)]
    footprint: NDArray[np.float32] = np.sqrt(np.maximum(steps[0] * steps[1], 1e-4)).astype(np.float32)
    return footprint
