"""Changes a picture as cameras, light and files do, so that networks learn none of the renderer's own look."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def photographed(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A square picture (S, S, 3) in another light, through another lens and sensor, as another file."""
    light = _lit(picture.astype(np.float32) / 255, rng)
    sharp = _focused(light, rng)
    noisy = sharp + rng.normal(0, rng.choice([0.0, 0.01, 0.03]), sharp.shape)
    pixels = np.clip(noisy * 255, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = int(rng.integers(25, 90))
        data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return pixels


def _lit(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Gamma, exposure, white balance, contrast, light from one side, saturation, sometimes black and white."""
    side = len(x)
    if rng.random() < 0.8:
        x = np.clip(x, 1e-4, 1) ** np.float32(np.exp(rng.normal(0, 0.25)))
        x = x * np.exp(rng.normal(0, 0.2)) * np.exp(rng.normal(0, 0.07, 3))
        mean = x.mean()
        x = (x - mean) * np.exp(rng.normal(0, 0.2)) + mean
    if rng.random() < 0.25:
        angle = rng.uniform(0, 2 * np.pi)
        down, across = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
        x = x * (1 + rng.uniform(0, 0.6) * (np.cos(angle) * across + np.sin(angle) * down))[..., None]
    saturation = rng.choice([rng.uniform(0, 1), rng.uniform(1, 1.8)])
    grey = x.mean(-1, keepdims=True)
    if rng.random() < 0.7:
        x = grey + (x - grey) * saturation
    if rng.random() < 0.08:
        x = np.repeat(grey, 3, 2)
    return np.clip(x, 0, 1).astype(np.float32)


def _focused(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Fewer pixels, blur, or sharpened as phones do."""
    side = len(x)
    if rng.random() < 0.35:
        part = rng.uniform(0.25, 0.8)
        small = cv2.resize(x, None, fx=part, fy=part, interpolation=cv2.INTER_AREA)
        x = np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)
    if rng.random() < 0.3:
        x = np.asarray(cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.6)), np.float32)
    if rng.random() < 0.2:
        x = x + rng.uniform(0.3, 1) * (x - np.asarray(cv2.GaussianBlur(x, (0, 0), 1.2), np.float32))
    return x.astype(np.float32)
