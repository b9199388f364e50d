"""Paints the small textures of teeth, tongue and lashes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def _noise(shape: tuple[int, int], cell: float, seed: int) -> Array:
    field = np.random.default_rng(seed).normal(size=shape)
    smooth = cv2.GaussianBlur(field, (0, 0), cell)
    noise: Array = smooth / smooth.std()
    return noise


def _blend(colours: list[tuple[float, tuple[int, int, int]]], at: Array) -> Array:
    places = [place for place, _ in colours]
    return np.stack([np.interp(at, places, [colour[c] for _, colour in colours]) for c in range(3)], -1)


def teeth_picture(size: int = 128) -> NDArray[np.uint8]:
    """(N, N, 3): enamel in the left half, gum in the right; v up, from the roots to the edges."""
    v = np.broadcast_to(1 - (np.arange(size)[:, None] + 0.5) / size, (size, size))
    u = np.broadcast_to((np.arange(size)[None] + 0.5) / size, (size, size))
    enamel = _blend(
        [(0.0, (196, 172, 140)), (0.18, (222, 206, 178)), (0.6, (236, 226, 206)), (1.0, (226, 222, 212))], v
    )
    enamel += 2.5 * _noise((size, size), 5, 1)[..., None] - 16 * np.clip(u * 2 - 0.2, 0, 1)[..., None]
    gum = _blend([(0.0, (122, 48, 48)), (0.5, (164, 78, 76)), (1.0, (196, 116, 110))], v)
    gum += 5 * _noise((size, size), 2.5, 2)[..., None] - 40 * np.clip(u * 2 - 1.2, 0, 1)[..., None]
    return np.clip(np.where(u[..., None] < 0.5, enamel, gum), 0, 255).astype(np.uint8)


def tongue_picture(size: int = 64) -> NDArray[np.uint8]:
    """(N, N, 3): u across, v from the root to the tip."""
    v = np.broadcast_to(1 - (np.arange(size)[:, None] + 0.5) / size, (size, size))
    u = np.broadcast_to((np.arange(size)[None] + 0.5) / size, (size, size))
    flesh = _blend([(0.0, (104, 44, 46)), (0.5, (158, 82, 80)), (1.0, (186, 106, 102))], v)
    furrow = np.exp(-(((u - 0.5) / 0.035) ** 2)) * np.clip(1.2 - v, 0, 1)
    flesh += 6 * _noise((size, size), 1.0, 3)[..., None] - 24 * furrow[..., None]
    return np.clip(flesh, 0, 255).astype(np.uint8)


def lash_picture(width: int = 256, height: int = 128) -> NDArray[np.uint8]:
    """(H, W, 4) dark brown strokes with alpha: upper lashes in the upper half, thin short ones in the lower.

    In each half u runs along the lid and v from the lid's edge (below) to the tips (above).
    """
    scale, half = 4, height // 2
    alpha = np.zeros((height * scale, width * scale), np.float32)
    rng = np.random.default_rng(4)
    for top, strokes, reach, thick in ((0, 74, (0.62, 0.97), 1.0), (half, 46, (0.3, 0.55), 0.6)):
        for k in range(strokes):
            root = (k + rng.uniform(0.1, 0.9)) / strokes
            length = rng.uniform(*reach) * (0.65 + 0.35 * np.sin(np.pi * np.clip(root, 0.06, 0.94)))
            sway = rng.normal(0, 0.012) + 0.03 * (root - 0.5)
            along = np.linspace(0, 1, 24)
            x = (root + sway * along**2) * width * scale
            y = (top + half * (1 - 0.02 - length * along)) * scale
            strength = rng.uniform(0.75, 1.0) * (1.0 if thick == 1.0 else 0.7)
            for a, b in zip(range(23), range(1, 24), strict=True):
                wide = max(1, round(scale * 1.5 * thick * (1 - along[a]) ** 0.7 + 0.6))
                start, end = (int(x[a]), int(y[a])), (int(x[b]), int(y[b]))
                cv2.line(alpha, start, end, (float(strength * (1 - 0.5 * along[a])),), wide, cv2.LINE_AA)
    small = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)
    colour = np.broadcast_to(np.array([34, 24, 20], np.float32), (height, width, 3))
    return np.dstack([colour, 255 * np.clip(small, 0, 1)]).round().astype(np.uint8)
