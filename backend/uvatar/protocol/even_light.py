"""The light that a texture holds, as a small grey picture, and the texture without it.

A texture shows the person as photographed, with the photo's light and shade. The grey picture says how bright that
light is at each texel: photographed = even * light, in linear light. Both can so be made of each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MIDDLE, _STEPS = 128, 100.0  # grey value of light 1; grey values to the natural log's unit: 1 % of light a step
_ROWS_AT_ONCE = 256
_CODES = 1 << 14  # equal steps of linear light: finer than those of dark sRGB values
SIDE = 512  # pixels of the grey picture, at most: light is smooth


def encoded_light(log_light: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Grey values of the natural log of the light; what is outside of e^-1.28 to e^1.27 is clipped."""
    grey: NDArray[np.uint8] = np.clip(np.rint(_MIDDLE + _STEPS * log_light), 0, 255).astype(np.uint8)
    return grey


def decoded_light(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The light, 1 in the middle, of grey values."""
    light: NDArray[np.float32] = np.exp((grey.astype(np.float32) - _MIDDLE) / _STEPS)
    return light


def evenly_lit(photographed: NDArray[np.uint8], grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The texture without the photo's light.

    Args:
        photographed: (H, W, C) sRGB; a fourth channel, alpha, stays.
        grey: (h, w) the light, of the same picture at another size.

    A colour that would be brighter than white keeps its hue, and is as bright as it can be.
    """
    return _changed(photographed, grey, divide=True)


def as_photographed(even: NDArray[np.uint8], grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The texture with the photo's light again, up to rounding; arguments as `evenly_lit`'s."""
    return _changed(even, grey, divide=False)


def _changed(picture: NDArray[np.uint8], grey: NDArray[np.uint8], divide: bool) -> NDArray[np.uint8]:
    result = picture.copy()
    height, width = picture.shape[:2]
    columns = _places(width, grey.shape[1])
    to_linear, to_coded = _tables()
    for first in range(0, height, _ROWS_AT_ONCE):
        rows = slice(first, min(first + _ROWS_AT_ONCE, height))
        light = np.exp((_resampled(grey, _places(height, grey.shape[0]), columns, rows) - _MIDDLE) / _STEPS)
        linear = to_linear[picture[rows, :, :3]]
        factor = 1 / light if divide else light
        factor = np.minimum(factor, 1 / np.maximum(linear.max(-1), 1e-6))
        code = np.rint(linear * factor[..., None] * (len(to_coded) - 1)).astype(np.int32)
        result[rows, :, :3] = to_coded[np.minimum(code, len(to_coded) - 1)]
    return result


def _places(size: int, of: int) -> NDArray[np.float32]:
    """Where the centres of ``size`` pixels lie among ``of`` pixels."""
    return np.clip((np.arange(size, dtype=np.float32) + 0.5) * of / size - 0.5, 0, of - 1)


def _resampled(
    grey: NDArray[np.uint8], y: NDArray[np.float32], x: NDArray[np.float32], rows: slice
) -> NDArray[np.float32]:
    """Bilinear samples of ``grey`` in some rows."""
    y = y[rows]
    top, left = y.astype(np.int32), x.astype(np.int32)
    below, right = np.minimum(top + 1, grey.shape[0] - 1), np.minimum(left + 1, grey.shape[1] - 1)
    down, across = (y - top)[:, None], (x - left)[None]
    lines = grey[top].astype(np.float32) * (1 - down) + grey[below] * down
    sampled: NDArray[np.float32] = lines[:, left] * (1 - across) + lines[:, right] * across
    return sampled


def _tables() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Linear light of each sRGB value, and the sRGB value of linear light in equal steps."""
    coded = np.arange(256) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    light = np.arange(_CODES) / (_CODES - 1)
    back = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return linear.astype(np.float32), np.rint(back * 255).astype(np.uint8)
