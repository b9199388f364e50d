"""Colour conversions. Colours are sRGB in files and linear inside, because mixing sRGB values darkens edges."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats

# Weights of R, G and B: for linear light (Rec. 709, rounded), and for coded values in `perceptual`.
LUMA = np.array([0.21, 0.72, 0.07], np.float32)
_CODED_LUMA = np.array([0.3, 0.6, 0.1], np.float32)
# Of luma and chroma in `colour_distance`.
DISTANCE_WEIGHTS = np.array([1.0, 2.5, 2.5], np.float32)
_STEPS = 1 << 14


def linear_from_srgb(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(...,) uint8 sRGB -> float32 linear light, 0..1 (IEC 61966-2-1)."""
    # OpenCV's look-up takes a third of the time that NumPy's does.
    return np.asarray(cv2.LUT(pixels.reshape(-1, 1), _DECODE), np.float32).reshape(pixels.shape)


def srgb_from_linear(values: NDArray[Any]) -> NDArray[np.uint8]:
    """(...,) linear light -> uint8 sRGB, clipped to 0..1."""
    return _ENCODE[(np.clip(values, 0, 1) * (_STEPS - 1) + 0.5).astype(np.uint16)]


def perceptual(values: Floats) -> NDArray[np.float32]:
    """(..., 3) linear light -> (..., 3) float32 gamma-coded luma and two chroma differences, about 0..1.

    The space is roughly perceptually uniform: good enough to decide whether two patches are the same garment.
    """
    coded = np.cbrt(np.clip(values, 0, None)).astype(np.float32)
    luma = coded @ _CODED_LUMA
    return np.stack([luma, coded[..., 0] - luma, coded[..., 2] - luma], -1)


def colour_distance(a: Floats, b: Floats) -> NDArray[np.float32]:
    """(...,) perceived difference of colours (..., 3) in linear light.

    Hue counts more than brightness, because lighting changes brightness more.
    """
    difference = (perceptual(a) - perceptual(b)) * DISTANCE_WEIGHTS
    distance: NDArray[np.float32] = np.sqrt(np.einsum("...c,...c->...", difference, difference))
    return distance


def weighted(colours: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colours (K, 3) times weights (K,)."""
    # Channel by channel, here and below: NumPy's loops over rows of three numbers take several times as long.
    product = np.empty_like(colours)
    for channel in range(colours.shape[-1]):
        np.multiply(colours[:, channel], weights, out=product[:, channel])
    return product


def blended(below: NDArray[np.float32], above: NDArray[np.float32], share: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colours (K, 3) from ``below`` where ``share`` (K,) is 0 to ``above`` where it is 1."""
    blend = weighted(above - below, share)
    blend += below
    return blend


def smoothstep(values: Floats, low: float, high: float) -> Floats:
    """0 up to ``low``, 1 from ``high`` on, smooth between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _decode_table() -> NDArray[np.float32]:
    coded = np.arange(256) / 255
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _encode_table() -> NDArray[np.uint8]:
    linear = np.arange(_STEPS) / (_STEPS - 1)
    coded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (coded * 255 + 0.5).astype(np.uint8)


_DECODE = _decode_table()
_ENCODE = _encode_table()
