# SPDX-License-Identifier: GPL-3.0-or-later
"""Strokes with which an artist paints pixels onto a person's mask, or off it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..protocol.given_people import MOST_STROKE_POINTS, MOST_STROKES, STROKE
from .arrays import Floats
from .person_mask import PersonMask

Place = tuple[float, float]
_AROUND = 0.5  # how far one can paint around the mask, share of the longer side of its window
_MOST_SIDE = 640  # pixels of the canvas that is shown; the backend paints the strokes at the photo's own resolution
_SPACING = 0.3  # least distance of a stroke's points, share of its radius


@dataclass
class Stroke:
    """A stroke of the brush.

    Attributes:
        adds: whether it adds to the mask; otherwise it takes away.
        radius: pixels of the photo.
        points: in their order, pixels of the photo.
    """

    adds: bool
    radius: float
    points: list[Place]


@dataclass
class MaskBrush:
    """A mask, and the strokes painted on it.

    Attributes:
        window: x0, y0, x1, y1 of the canvas, pixels of the photo.
        strokes: in their order.
        shown: (H, W) the mask with the strokes, 0 to 1, the top row first.
    """

    window: tuple[float, float, float, float]
    shown: NDArray[np.float32]
    strokes: list[Stroke] = field(default_factory=list)
    _found: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        self._found = self.shown.copy()

    @classmethod
    def of(cls, mask: PersonMask, width: float, height: float) -> MaskBrush:
        """Make a canvas of a mask in a photo of this size."""
        x0, y0, x1, y1 = mask.window
        margin = _AROUND * max(x1 - x0, y1 - y0)
        left, top = max(x0 - margin, 0.0), max(y0 - margin, 0.0)
        right, bottom = min(x1 + margin, width), min(y1 + margin, height)
        scale = min(mask.pixels.shape[0] / (y1 - y0), _MOST_SIDE / max(right - left, bottom - top))
        rows, columns = (max(1, round(side * scale)) for side in (bottom - top, right - left))
        y = top + (np.arange(rows) + 0.5) / rows * (bottom - top)
        x = left + (np.arange(columns) + 0.5) / columns * (right - left)
        row = np.floor((y - y0) / (y1 - y0) * mask.pixels.shape[0]).astype(int)
        column = np.floor((x - x0) / (x1 - x0) * mask.pixels.shape[1]).astype(int)
        inside = ((row >= 0) & (row < mask.pixels.shape[0]))[:, None] & (
            (column >= 0) & (column < mask.pixels.shape[1])
        )
        row, column = (
            np.clip(index, 0, side - 1) for index, side in zip((row, column), mask.pixels.shape, strict=True)
        )
        shown = (mask.pixels[np.ix_(row, column)] & inside).astype(np.float32)
        return cls((left, top, right, bottom), shown)

    @property
    def full(self) -> bool:
        """Whether no further stroke would be accepted by the backend."""
        points = sum(len(stroke.points) for stroke in self.strokes)
        return len(self.strokes) >= MOST_STROKES or points >= MOST_STROKE_POINTS

    def begin(self, adds: bool, radius: float, place: Place) -> None:
        """Begin a stroke."""
        self.strokes.append(Stroke(adds, radius, [place]))
        self._paint(self.strokes[-1], [place])

    def extend(self, place: Place) -> None:
        """Draw the last stroke on to a place; places that are too near to the last one make no difference."""
        stroke = self.strokes[-1]
        last = stroke.points[-1]
        if np.hypot(place[0] - last[0], place[1] - last[1]) >= _SPACING * stroke.radius and not self.full:
            stroke.points.append(place)
            self._paint(stroke, [last, place])

    def undo(self) -> None:
        """Take back the last stroke, if there is one."""
        self.put(self.strokes[:-1])

    def put(self, strokes: Sequence[Stroke]) -> None:
        """Replace all strokes."""
        self.strokes, self.shown = list(strokes), self._found.copy()
        for stroke in self.strokes:
            self._paint(stroke, stroke.points)

    def _paint(self, stroke: Stroke, points: Sequence[Place]) -> None:
        """Paint a line, which may be a single point, onto what is shown."""
        left, top, right, bottom = self.window
        rows, columns = self.shown.shape
        scale = np.array([columns / (right - left), rows / (bottom - top)])
        places = (np.array(points) - (left, top)) * scale
        radius = stroke.radius * float(scale.mean())
        for start, end in zip(places, [*places[1:], places[-1]], strict=True):
            low = np.clip(np.floor(np.minimum(start, end) - radius - 1), 0, (columns, rows)).astype(int)
            high = np.clip(np.ceil(np.maximum(start, end) + radius + 1), 0, (columns, rows)).astype(int)
            part = self.shown[low[1] : high[1], low[0] : high[0]]
            if part.size:
                y, x = np.mgrid[low[1] : high[1], low[0] : high[0]] + 0.5
                cover = np.clip(radius + 0.5 - _distances(np.stack([x, y], -1), start, end), 0, 1)
                part[:] = np.maximum(part, cover) if stroke.adds else np.minimum(part, 1 - cover)


def _distances(places: Floats, start: Floats, end: Floats) -> Floats:
    """Return the distances (H, W) of places (H, W, 2) from a line between two points."""
    along = end - start
    share = np.clip((places - start) @ along / max(float(along @ along), 1e-9), 0, 1)
    distances: Floats = np.linalg.norm(places - start - share[..., None] * along, axis=-1)
    return distances


def rows_of(strokes: Sequence[Stroke], box: Sequence[float]) -> list[list[float]]:
    """Return strokes as the protocol has them (`protocol.given_people.STROKE`); ``box``: the person's."""
    return [
        [
            *map(float, box),
            int(stroke.adds),
            stroke.radius,
            *(round(side, 1) for place in stroke.points for side in place),
        ]
        for stroke in strokes
    ]


def strokes_of(rows: Sequence[Sequence[float]]) -> list[Stroke]:
    """Return the strokes of rows that `rows_of` has made."""
    return [
        Stroke(
            bool(row[STROKE - 2]), float(row[STROKE - 1]), list(zip(row[STROKE::2], row[STROKE + 1 :: 2], strict=True))
        )
        for row in rows
    ]
