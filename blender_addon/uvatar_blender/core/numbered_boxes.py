# SPDX-License-Identifier: GPL-3.0-or-later
"""A photo with numbered boxes around its people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Colours of the boxes, sRGB; told apart by people with any kind of colour vision (Okabe and Ito), and on any photo.
COLOURS = ((0.90, 0.62, 0.0), (0.34, 0.71, 0.91), (0.0, 0.62, 0.45), (0.94, 0.89, 0.26), (0.80, 0.47, 0.65))
# Digits of 3 x 5 points, a row of points for three bits.
_DIGITS = ("75557", "26227", "71747", "71717", "55711", "74717", "74757", "71111", "75757", "75717")


_LEFT_OUT = (0.45, 0.45, 0.45)


def with_boxes(
    pixels: NDArray[np.float32], boxes: Sequence[Sequence[float]], included: Sequence[bool] | None = None
) -> NDArray[np.float32]:
    """Draw boxes and their numbers, counted from 1, onto a picture.

    Args:
        pixels: (H, W, 4) sRGB, 0 to 1, the bottom row first, as Blender stores them.
        boxes: (x0, y0, x1, y1) of each person, 0 to 1 from the left and the top of the picture.
        included: whether each of them is meant; the others' boxes are thin and grey. None for all.

    Returns:
        (H, W, 4) a copy.
    """
    picture = pixels[::-1].copy()  # the top row first from here on
    height, width = picture.shape[:2]
    order = sorted(range(len(boxes)), key=lambda i: (included is None or included[i], -i))  # the last is above all
    for number, box in ((i + 1, boxes[i]) for i in order):
        out = included is not None and not included[number - 1]
        line = 1 if out else max(2, round(width / 160))
        left, right = (int(np.clip(round(x * width), 0, width - 1)) for x in (box[0], box[2]))
        top, bottom = (int(np.clip(round(y * height), 0, height - 1)) for y in (box[1], box[3]))
        colour = (*(_LEFT_OUT if out else COLOURS[(number - 1) % len(COLOURS)]), 1.0)
        picture[top : top + line, left : right + 1] = picture[
            max(bottom - line + 1, top) : bottom + 1, left : right + 1
        ] = colour
        picture[top : bottom + 1, left : left + line] = picture[
            top : bottom + 1, max(right - line + 1, left) : right + 1
        ] = colour
        _label(picture, str(number), left, top, colour)
    return np.ascontiguousarray(picture[::-1])


def _label(picture: NDArray[np.float32], text: str, left: int, top: int, colour: Sequence[float]) -> None:
    """Write digits in black on a patch of the colour, with the patch's corner at a place of the picture."""
    point = max(2, min(picture.shape[:2]) // 45)
    marks = np.zeros((7, 4 * len(text) + 1), bool)
    for place, digit in enumerate(text):
        for row, bits in enumerate(_DIGITS[int(digit)]):
            marks[row + 1, 4 * place + 1 : 4 * place + 4] = [int(bits) >> 2 & 1, int(bits) >> 1 & 1, int(bits) & 1]
    patch = np.where(np.kron(marks, np.ones((point, point), bool))[..., None], (0.0, 0.0, 0.0, 1.0), colour)
    left = max(0, min(left, picture.shape[1] - patch.shape[1]))
    top = max(0, min(top, picture.shape[0] - patch.shape[0]))
    target = picture[top : top + patch.shape[0], left : left + patch.shape[1]]
    target[:] = patch[: target.shape[0], : target.shape[1]]
