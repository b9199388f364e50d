# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of a mesh, drawn without a graphics card, so that they can be made without a window as well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, Integers


@dataclass(frozen=True)
class Settings:
    """How pictures look; chosen by eye against Blender's own previews of poses.

    Attributes:
        size: pixels on a side.
        finer: pixels are drawn this many times finer, then averaged.
        clay: sRGB of the surface, 0 to 1, in full light.
        shade: the part of the light that comes from everywhere.
        light: direction to the light: to the right, up and to the viewer.
    """

    size: int = 256
    finer: int = 2
    clay: tuple[float, float, float] = (0.86, 0.80, 0.74)
    shade: float = 0.35
    light: tuple[float, float, float] = (0.45, 0.55, 0.70)


def view_axes(yaw: float, pitch: float) -> NDArray[np.float64]:
    """Return a view's axes (3, 3): to the right, up and to the viewer, for someone who faces -y.

    Args:
        yaw: degrees by which the viewer stands to the person's left of the front.
        pitch: degrees by which the viewer looks down.
    """
    turn, down = np.radians([yaw, pitch])
    viewer = np.array([np.sin(turn) * np.cos(down), -np.cos(turn) * np.cos(down), np.sin(down)])
    right = np.array([np.cos(turn), np.sin(turn), 0.0])
    return np.stack([right, np.cross(viewer, right), viewer])


def draw(
    vertices: Floats,
    triangles: Integers,
    axes: Floats,
    centre: Floats,
    half: float,
    settings: Settings | None = None,
) -> NDArray[np.float32]:
    """Draw a mesh like clay on a transparent ground.

    Args:
        vertices: (V, 3) metres.
        triangles: (T, 3) corners.
        axes: (3, 3) of the view, see `view_axes`.
        centre: (3,) the point in the middle of the picture.
        half: metres from there to the picture's sides.
        settings: of the picture.

    Returns:
        (size, size, 4) sRGB and alpha, 0 to 1, the lowest row first.
    """
    settings = settings or Settings()
    side = settings.size * settings.finer
    seen = (np.asarray(vertices, np.float64) - centre) @ axes.T
    seen[:, :2] = (seen[:, :2] / half + 1) * (side / 2)
    corners = seen[triangles]  # (T, 3, 3) pixels, pixels, metres to the viewer
    flat = (corners[:, :, :2].max(1) >= 0).all(1) & (corners[:, :, :2].min(1) < side).all(1)
    corners, chosen = corners[flat], np.asarray(triangles)[flat]
    bright = _brightness(np.asarray(vertices, np.float64), triangles, axes, settings)[chosen]
    nearest = np.full(side * side, -np.inf)
    shown = np.zeros(side * side)
    longest = np.linalg.norm(corners[:, :, :2] - np.roll(corners[:, :, :2], 1, 1), axis=-1).max(1)
    counts = np.ceil(longest).clip(1, 64).astype(int)  # so that samples are less than a pixel apart
    for count in np.unique(counts):
        some = counts == count
        weights = _samples(count)
        points = np.einsum("sk,tkx->tsx", weights, corners[some]).reshape(-1, 3)
        values = np.einsum("sk,tk->ts", weights, bright[some]).ravel()
        x, y = np.floor(points[:, 0]).astype(int), np.floor(points[:, 1]).astype(int)
        inside = (x >= 0) & (y >= 0) & (x < side) & (y < side)
        _keep_nearest(nearest, shown, (y * side + x)[inside], points[inside, 2], values[inside])
    picture = np.zeros((side * side, 4))
    covered = np.isfinite(nearest)
    picture[covered, :3] = shown[covered, None] * np.array(settings.clay)
    picture[covered, 3] = 1.0
    return _smaller(picture.reshape(side, side, 4), settings.finer)


def _brightness(
    vertices: NDArray[np.float64], triangles: Integers, axes: Floats, settings: Settings
) -> NDArray[np.float64]:
    """Return the brightness (V,) of the vertices, 0 to 1."""
    corners = vertices[triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, np.asarray(triangles)[:, corner], faces)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True).clip(1e-12)
    light = np.array(settings.light) / np.linalg.norm(settings.light)
    lit: NDArray[np.float64] = settings.shade + (1 - settings.shade) * (normals @ axes.T @ light).clip(0, 1)
    return lit


def _samples(count: int) -> NDArray[np.float64]:
    """Return barycentric weights (S, 3) of points that are 1 / ``count`` of a triangle's side apart."""
    first, second = np.mgrid[: count + 1, : count + 1].reshape(2, -1)
    inside = first + second <= count
    first, second = first[inside] / count, second[inside] / count
    return np.stack([first, second, 1 - first - second], -1)


def _keep_nearest(
    nearest: NDArray[np.float64], shown: NDArray[np.float64], pixels: Integers, depths: Floats, values: Floats
) -> None:
    """Put those samples into a picture that are nearer to the viewer than what is there."""
    order = np.argsort(depths, kind="stable")  # of the samples of a pixel, the last one written is the nearest
    pixels, depths, values = pixels[order], depths[order], values[order]
    better = depths > nearest[pixels]
    nearest[pixels[better]], shown[pixels[better]] = depths[better], values[better]


def _smaller(picture: NDArray[np.float64], finer: int) -> NDArray[np.float32]:
    """Average pixels, colours by their alpha."""
    size = len(picture) // finer
    blocks = picture.reshape(size, finer, size, finer, 4).mean((1, 3))
    blocks[..., :3] /= blocks[..., 3:].clip(1e-6)
    averaged: NDArray[np.float32] = blocks.astype(np.float32)
    return averaged
