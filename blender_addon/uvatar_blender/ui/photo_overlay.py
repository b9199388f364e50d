# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drawn over the photo while it is corrected: joints, the person's mask, the brush, and buttons."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import blf
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from ..core.arrays import Floats

Point = tuple[float, float]
Colour = tuple[float, float, float, float]

_CORNERS = 16  # of the discs that joints are drawn as
LINE, JOINT, MOVED = (1.0, 1.0, 1.0, 0.7), (0.34, 0.71, 0.91, 1.0), (0.90, 0.62, 0.0, 1.0)
_OUTSIDE, _EDGE = (0.0, 0.0, 0.0, 0.6), (0.34, 0.71, 0.91, 1.0)  # of the mask
_BUTTON, _PRESSED, _OVER = (0.29, 0.29, 0.29, 1.0), (0.28, 0.45, 0.70, 1.0), (0.38, 0.38, 0.38, 1.0)
_LETTERS, _PADDING, _HEIGHT, _GAP = 12.0, 9.0, 24.0, 3.0  # sizes of buttons, pixels at a resolution scale of 1


@dataclass(frozen=True)
class Button:
    """A button that is drawn over the view.

    Attributes:
        action: what it does.
        text: on it, in the user's language.
        pressed: whether it shows what is chosen now.
        active: whether it can be clicked.
        gap: whether it stands apart from the one before.
    """

    action: str
    text: str
    pressed: bool = False
    active: bool = True
    gap: bool = False


@dataclass(frozen=True)
class PlacedButton:
    """A button and its rectangle in the region, pixels."""

    button: Button
    left: float
    bottom: float
    width: float
    height: float

    def holds(self, x: float, y: float) -> bool:
        """Whether a place is on it."""
        return self.left <= x < self.left + self.width and self.bottom <= y < self.bottom + self.height


def place_buttons(
    buttons: Sequence[Button], left: float, bottom: float, right: float, scale: float
) -> list[PlacedButton]:
    """Place buttons beside each other, in as many rows from the bottom up as the width to ``right`` requires."""
    blf.size(0, _LETTERS * scale)
    placed: list[PlacedButton] = []
    x, y = left, bottom
    for button in buttons:
        width = blf.dimensions(0, button.text)[0] + 2 * _PADDING * scale
        x += 3 * _GAP * scale if button.gap else 0.0
        if x + width > right and x > left:
            x, y = left, y + (_HEIGHT + _GAP) * scale
        placed.append(PlacedButton(button, x, y, width, _HEIGHT * scale))
        x += width + _GAP * scale
    return placed


def draw_buttons(placed: Sequence[PlacedButton], mouse: Point, scale: float) -> None:
    """Draw buttons; the one under the mouse is lighter."""
    for one in placed:
        over = one.button.active and one.holds(*mouse)
        draw_box(one, _PRESSED if one.button.pressed else _OVER if over else _BUTTON)
        write(one.button.text, one.left + _PADDING * scale, one.bottom + 8 * scale, _LETTERS * scale,
              (1.0, 1.0, 1.0, 1.0 if one.button.active else 0.4))  # fmt: skip


def draw_box(box: PlacedButton, colour: Colour) -> None:
    """Draw a filled rectangle."""
    left, bottom, right, top = box.left, box.bottom, box.left + box.width, box.bottom + box.height
    draw_shape(
        "TRIS", [(left, bottom), (right, bottom), (right, top), (left, bottom), (right, top), (left, top)], colour
    )


def write(text: str, x: float, y: float, size: float, colour: Colour = (1.0, 1.0, 1.0, 1.0)) -> None:
    """Write a line of text."""
    blf.size(0, size)
    blf.color(0, *colour)
    blf.position(0, x, y, 0)
    blf.draw(0, text)


def discs(places: Sequence[Point], radius: float) -> list[Point]:
    """Return the corners of triangles; drawing points depends on the graphics card."""
    edge = circle((0.0, 0.0), radius, _CORNERS)
    return [
        (x + dx, y + dy)
        for x, y in places
        for first, second in itertools.pairwise(edge)
        for dx, dy in ((0.0, 0.0), first, second)
    ]


def circle(middle: Point, radius: float, corners: int = 48) -> list[Point]:
    """Return the corners of a circle, the first one again at the end."""
    turns = [2 * math.pi * step / corners for step in range(corners + 1)]
    return [(middle[0] + radius * math.cos(turn), middle[1] + radius * math.sin(turn)) for turn in turns]


def draw_shape(kind: str, points: Sequence[Point], colour: Colour) -> None:
    """Draw lines or triangles."""
    if not points:
        return
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    batch = batch_for_shader(shader, kind, {"pos": [(x, y, 0.0) for x, y in points]})
    shader.bind()
    shader.uniform_float("color", colour)
    batch.draw(shader)


def mask_texture(shown: Floats) -> gpu.types.GPUTexture:
    """Return a picture of a mask (H, W), the top row first: what is outside is dark, its edge a line."""
    inside = shown > 0.5
    edge = np.zeros_like(inside)
    edge[:, 1:] |= inside[:, 1:] != inside[:, :-1]
    edge[1:] |= inside[1:] != inside[:-1]
    colours = np.where(inside[..., None], np.float32(0.0), np.array(_OUTSIDE, np.float32))
    colours[edge] = _EDGE
    pixels = np.ascontiguousarray(colours[::-1], np.float32)
    rows, columns = shown.shape
    return gpu.types.GPUTexture(
        (columns, rows), format="RGBA16F", data=gpu.types.Buffer("FLOAT", pixels.size, pixels.ravel())
    )


def draw_texture(texture: gpu.types.GPUTexture, left: float, bottom: float, right: float, top: float) -> None:
    """Draw a picture over a rectangle of the region."""
    shader = gpu.shader.from_builtin("IMAGE")
    corners = [(left, bottom), (right, bottom), (right, top), (left, top)]
    batch = batch_for_shader(
        shader,
        "TRIS",
        {"pos": [(*corner, 0.0) for corner in corners], "texCoord": [(0, 0), (1, 0), (1, 1), (0, 1)]},
        indices=[(0, 1, 2), (0, 2, 3)],
    )
    shader.bind()
    shader.uniform_sampler("image", texture)
    batch.draw(shader)
