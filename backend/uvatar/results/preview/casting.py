"""Meshes cast into pictures: rays shot through the pixels, and what they hit painted.

Pictures are made in strips, so that a 24-megapixel photo needs no more memory than a small one.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.data.camera import Camera
from uvatar.geometry.raster import Fragments, RayScene

# Samples rendered at once: bounds memory at about 100 MB.
STRIP_SAMPLES = 1_000_000
# Share of the depth by which neighbouring pixels of one surface differ at most; more is an edge.  At 3 m it is 15 mm, a
# finger on a hip.
EDGE = 0.005

# What N fragments, all of them on the mesh, look like: linear light (N, 3).
Paint = Callable[[Fragments], Floats]


def cast(
    scene: RayScene, camera: Camera, supersample: int, paint: Paint, smooth: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Premultiplied linear colour (H, W, 3) and coverage (H, W) of the scene, painted by what the rays hit.

    Args:
        supersample: rays along each side of a pixel.
        smooth: whether the paint changes little from pixel to pixel on one surface; then only pixels at an edge get
            more than one ray.
    """
    colour = np.zeros((camera.height, camera.width, 3), np.float32)
    coverage = np.zeros((camera.height, camera.width), np.float32)
    left, top, right, bottom = scene.window(camera)
    if right <= left or bottom <= top:
        return colour, coverage
    along = 1 if smooth else supersample
    rows = max(1, STRIP_SAMPLES // ((right - left) * along**2))
    for start in range(top, bottom, rows):
        window = (left, start, right, min(start + rows, bottom))
        fragments = scene.render(camera.cropped(window, along))
        place = slice(start, window[3]), slice(left, right)
        colour[place], coverage[place] = (
            _shrunk(values, along) for values in (_painted(fragments, paint), fragments.mask.astype(np.float32))
        )
        if smooth and supersample > 1:
            _refine(colour[place], coverage[place], fragments, scene, camera.cropped(window, 1), supersample, paint)
    return colour, coverage


def _refine(
    colour: Floats,
    coverage: Floats,
    fragments: Fragments,
    scene: RayScene,
    camera: Camera,
    supersample: int,
    paint: Paint,
) -> None:
    """Replace a strip's pixels at edges by the mean of several rays.

    ``colour`` (H, W, 3), ``coverage`` (H, W) and ``fragments`` (H, W) have one ray for each pixel of ``camera``.
    """
    row, column = np.nonzero(_edges(fragments))
    many = max(1, STRIP_SAMPLES // supersample**2)
    for start in range(0, len(row), many):
        place = row[start : start + many], column[start : start + many]
        seen = scene.render_at(_samples(*place, supersample), camera)
        samples = supersample**2
        colour[place] = _painted(seen, paint).reshape(-1, samples, 3).mean(1)
        coverage[place] = seen.mask.reshape(-1, samples).mean(1)


def _edges(fragments: Fragments) -> NDArray[np.bool_]:
    """(H, W) which pixels, or some of those around them, the mesh covers in part or with several surfaces."""
    around = np.ones((3, 3), np.uint8)
    depth = np.minimum(fragments.depth, np.float32(1e6))
    farthest, nearest = cv2.dilate(depth, around), cv2.erode(depth, around)
    edges: NDArray[np.bool_] = farthest > (1 + EDGE) * nearest
    return edges


def _samples(row: NDArray[np.int64], column: NDArray[np.int64], supersample: int) -> NDArray[np.float64]:
    """(N supersample^2, 2) x and y of the samples of N pixels, pixel by pixel."""
    within = (np.arange(supersample) + 0.5) / supersample
    y, x = np.meshgrid(within, within, indexing="ij")
    samples: NDArray[np.float64] = np.stack([column[:, None] + x.ravel(), row[:, None] + y.ravel()], -1)
    return samples.reshape(-1, 2)


def _painted(fragments: Fragments, paint: Paint) -> NDArray[np.float32]:
    """Linear light (..., 3) of fragments (...), 0 where there is no mesh."""
    hit = fragments.mask
    colour = np.zeros((*hit.shape, 3), np.float32)
    if hit.any():
        colour[hit] = paint(Fragments(fragments.face[hit], fragments.barycentric[hit], fragments.depth[hit]))
    return colour


def _shrunk(values: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """(factor H, factor W) or (factor H, factor W, 3) values -> (H, W) or (H, W, 3), the mean of each square."""
    if factor == 1:
        return values
    size = values.shape[1] // factor, values.shape[0] // factor
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)
