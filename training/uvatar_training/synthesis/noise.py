"""Smooth random fields on surfaces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from uvatar.data.arrays import Floats

_LATTICE = 24


def noise3(points: Floats, scale: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise (K,) of mean 0 and deviation about 1, varying over ``scale`` metres, at points (K, 3) in metres."""
    lattice = rng.normal(0, 1.6, (_LATTICE,) * 3).astype(np.float32)
    where = (np.asarray(points, np.float32) / np.float32(scale) + rng.uniform(0, _LATTICE, 3).astype(np.float32)).T
    values: NDArray[np.float32] = map_coordinates(lattice, where, order=1, mode="grid-wrap", output=np.float32)
    return values


def fractal3(points: Floats, scale: float, rng: np.random.Generator, octaves: int = 3) -> NDArray[np.float32]:
    """The sum (K,) of `noise3` at several scales, each half as wide and half as strong as the previous one."""
    return sum(
        (noise3(points, scale / 2**k, rng) / np.float32(2**k) for k in range(octaves)),
        np.zeros(len(points), np.float32),
    )
