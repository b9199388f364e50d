"""Draws flat pictures without people: pages, landscapes, textures, faces, houses, flowers, charts."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 400  # pixels
Canvas = NDArray[np.uint8]
Drawing = Callable[[np.random.Generator], Canvas]
WORDS = (
    "the",
    "of",
    "a",
    "picture",
    "nobody",
    "here",
    "only",
    "words",
    "on",
    "paper",
    "and",
    "more",
    "figures",
    "rose",
    "until",
    "page",
)


def _ink(rng: np.random.Generator) -> list[int]:
    return [int(value) for value in rng.integers(0, 256, 3)]


def _noise(rng: np.random.Generator, scale: float) -> NDArray[np.float32]:
    """(SIDE, SIDE) smooth noise, -1..1, hills about ``scale`` pixels wide, with finer ones on them."""
    total = np.zeros((SIDE, SIDE), np.float32)
    for octave in range(4):
        cells = max(2, int(SIDE / scale * 2**octave))
        total += cv2.resize(
            rng.normal(0, 0.5**octave, (cells, cells)).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
        )
    return np.asarray(total / max(float(np.abs(total).max()), 1e-6), np.float32)


def page(rng: np.random.Generator) -> Canvas:
    """A page of text."""
    canvas = np.full((SIDE, SIDE, 3), rng.integers(225, 256), np.uint8)
    size = rng.uniform(0.35, 0.9)
    for y in range(30, SIDE - 10, int(34 * size + 6)):
        line = " ".join(rng.choice(WORDS, 14))
        cv2.putText(canvas, line, (20, y), cv2.FONT_HERSHEY_SIMPLEX, size, (30, 30, 30), 1, cv2.LINE_AA)
    return canvas


def landscape(rng: np.random.Generator) -> Canvas:
    """Sky, hills and water or grass."""
    rows = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None, None]
    low, high = rng.uniform(120, 255, 3), rng.uniform(60, 220, 3)
    canvas = low * rows + high * (1 - rows) + 25 * _noise(rng, 150)[..., None]
    for level in np.sort(rng.uniform(0.35, 0.85, 4)):
        edge = (level + 0.12 * _noise(rng, rng.uniform(60, 200))[0]) * SIDE
        below = np.arange(SIDE)[:, None] > edge[None]
        canvas = np.where(below[..., None], rng.uniform(10, 150, 3) + 22 * _noise(rng, 8)[..., None], canvas)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def texture(rng: np.random.Generator) -> Canvas:
    """A close-up of stone, wood, water or cloth."""
    first, second = rng.uniform(0, 255, 3), rng.uniform(0, 255, 3)
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    warp = _noise(rng, rng.uniform(20, 150))
    waves = np.sin((x * rng.normal(0, 0.2) + y * rng.normal(0, 0.2)) + rng.uniform(0, 12) * warp)
    share = np.clip(0.5 + 0.5 * (waves if rng.random() < 0.6 else warp) + rng.normal(0, 0.1, x.shape), 0, 1)[..., None]
    return np.asarray(first * share + second * (1 - share), np.uint8)


def smiley(rng: np.random.Generator) -> Canvas:
    """A drawn face of a smiley, cat or moon."""
    canvas = np.full((SIDE, SIDE, 3), rng.integers(200, 256), np.uint8)
    centre, radius, skin = (SIDE // 2, SIDE // 2), int(rng.integers(90, 160)), _ink(rng)
    if rng.random() < 0.5:
        for side in (-1, 1):
            ear = np.array([[side * 0.95, -0.3], [side * 0.85, -1.25], [side * 0.25, -0.9]]) * radius + centre
            cv2.fillPoly(canvas, [ear.astype(np.int32)], skin, cv2.LINE_AA)
    cv2.circle(canvas, centre, radius, skin, -1, cv2.LINE_AA)
    for side in (-1, 1):
        eye = (centre[0] + side * int(0.4 * radius), centre[1] - int(0.25 * radius))
        cv2.circle(canvas, eye, radius // 5, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(canvas, eye, radius // 9, (0, 0, 0), -1, cv2.LINE_AA)
    cv2.ellipse(canvas, centre, (int(0.55 * radius), int(0.5 * radius)), 0, 20, 160, (20, 20, 20), 6, cv2.LINE_AA)
    return canvas


def house(rng: np.random.Generator) -> Canvas:
    """Houses in a street."""
    canvas = landscape(rng)
    for x in range(-20, SIDE, int(rng.integers(90, 170))):
        width, top = int(rng.integers(70, 120)), int(rng.integers(90, 240))
        cv2.rectangle(canvas, (x, top), (x + width, SIDE - 40), _ink(rng), -1)
        roof = np.array([[x - 8, top], [x + width // 2, top - 60], [x + width + 8, top]], np.int32)
        cv2.fillPoly(canvas, [roof], _ink(rng), cv2.LINE_AA)
        glass = _ink(rng)
        for row in range(top + 15, SIDE - 80, 45):
            for column in range(x + 12, x + width - 20, 32):
                cv2.rectangle(canvas, (column, row), (column + 18, row + 26), glass, -1)
    return canvas


def flower(rng: np.random.Generator) -> Canvas:
    """Flowers on stalks."""
    canvas = landscape(rng) if rng.random() < 0.5 else np.full((SIDE, SIDE, 3), 245, np.uint8)
    for _ in range(rng.integers(1, 5)):
        x, y, radius = int(rng.integers(80, 320)), int(rng.integers(80, 220)), int(rng.integers(25, 60))
        cv2.line(canvas, (x, y), (x + int(rng.normal(0, 20)), SIDE), (40, 110, 40), 8, cv2.LINE_AA)
        petal = _ink(rng)
        for angle in np.arange(0, 360, 360 / rng.integers(5, 9)):
            at = (x + int(radius * np.cos(np.radians(angle))), y + int(radius * np.sin(np.radians(angle))))
            cv2.ellipse(canvas, at, (radius, radius // 2), float(angle), 0, 360, petal, -1, cv2.LINE_AA)
        cv2.circle(canvas, (x, y), radius // 2, (230, 200, 40), -1, cv2.LINE_AA)
    return canvas


def chart(rng: np.random.Generator) -> Canvas:
    """A bar chart or a clock."""
    canvas = np.full((SIDE, SIDE, 3), 250, np.uint8)
    if rng.random() < 0.5:
        for x in range(50, 360, 40):
            cv2.rectangle(canvas, (x, 360 - int(rng.integers(30, 300))), (x + 26, 360), _ink(rng), -1)
        cv2.line(canvas, (40, 360), (370, 360), (0, 0, 0), 2)
        return canvas
    cv2.circle(canvas, (200, 200), 150, _ink(rng), -1, cv2.LINE_AA)
    cv2.circle(canvas, (200, 200), 135, (255, 255, 255), -1, cv2.LINE_AA)
    for angle, length in zip(rng.uniform(0, 6.28, 2), (80, 120), strict=True):
        cv2.line(
            canvas,
            (200, 200),
            (200 + int(length * np.cos(angle)), 200 + int(length * np.sin(angle))),
            (0, 0, 0),
            8,
            cv2.LINE_AA,
        )
    return canvas


def shapes(rng: np.random.Generator) -> Canvas:
    """Coloured shapes at random."""
    canvas = np.full((SIDE, SIDE, 3), _ink(rng), np.uint8)
    for _ in range(rng.integers(5, 30)):
        x, y, a, b = (int(value) for value in rng.integers((0, 0, 10, 10), (SIDE, SIDE, 120, 120)))
        if rng.random() < 0.5:
            cv2.ellipse(canvas, (x, y), (a, b), float(rng.uniform(0, 180)), 0, 360, _ink(rng), -1, cv2.LINE_AA)
        else:
            cv2.rectangle(canvas, (x, y), (x + a, y + b), _ink(rng), -1)
    return canvas


DRAWINGS: tuple[Drawing, ...] = (page, landscape, texture, smiley, house, flower, chart, shapes)
