# SPDX-License-Identifier: GPL-3.0-or-later
"""Line drawings of the face board and its controls, in the board's units: x to the person's left, y up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .face_layout import CONTROLS, TRAVEL, Control

KNOB = 0.055  # radius of a control's symbol
_STEPS = 40  # of a whole ellipse
# (centre x, y, radius x, y, first angle, last angle) in degrees, counter-clockwise from +x.
_FACE = (
    (0.0, -0.05, 0.80, 1.15, 0, 360),  # outline of the head
    (0.0, -0.50, 0.46, 0.14, 0, 360),  # lips
    (0.0, -0.50, 0.46, 0.02, 0, 360),
    (0.0, -0.03, 0.14, 0.10, 200, 340),  # nose
)
_SIDES = ((0.34, 0.28, 0.19, 0.10, 0, 360), (0.36, 0.46, 0.28, 0.14, 35, 145))  # eye and brow of the left side


@dataclass
class Drawing:
    """Lines of a symbol.

    Attributes:
        points: (x, y) of each.
        lines: pairs of numbers of points.
    """

    points: list[tuple[float, float]] = field(default_factory=list)
    lines: list[tuple[int, int]] = field(default_factory=list)

    def add(self, points: list[tuple[float, float]], closed: bool = False) -> None:
        """Add a line through points, back to the first one if it is closed."""
        first = len(self.points)
        self.points += points
        self.lines += [(first + number, first + number + 1) for number in range(len(points) - 1)]
        if closed:
            self.lines.append((len(self.points) - 1, first))

    def add_arc(self, x: float, y: float, across: float, up: float, first: float, last: float) -> None:
        """Add a part of an ellipse, between two angles in degrees."""
        whole = last - first >= 360
        count = max(3, round(_STEPS * (last - first) / 360))
        angles = [math.radians(first + (last - first) * step / count) for step in range(count + (not whole))]
        self.add([(x + across * math.cos(angle), y + up * math.sin(angle)) for angle in angles], whole)


def board() -> Drawing:
    """Return the board: a face, and how far each control can be pulled."""
    drawing = Drawing()
    for arc in _FACE:
        drawing.add_arc(*arc)
    for x, y, across, up, first, last in _SIDES:
        for side in (1, -1):
            drawing.add_arc(side * x, y, across, up, first, last)
    for control in CONTROLS:
        low, high = limits(control, 0), limits(control, 1)
        x, y = control.place
        corners = [(x + low[0], y + high[0]), (x + low[1], y + high[0]), (x + low[1], y + high[1]),
                   (x + low[0], y + high[1])]  # fmt: skip
        drawing.add(corners if low != (0.0, 0.0) else corners[::2], closed=low != (0.0, 0.0))
    return drawing


def knob(flat: bool) -> Drawing:
    """Return the symbol of a control: a circle, or a diamond for one that moves along a line."""
    drawing = Drawing()
    if flat:
        drawing.add([(KNOB, 0.0), (0.0, KNOB), (-KNOB, 0.0), (0.0, -KNOB)], closed=True)
    else:
        drawing.add_arc(0.0, 0.0, KNOB, KNOB, 0, 360)
    return drawing


def target(eyes: float) -> Drawing:
    """Return the symbol of what the eyes look at: a rounded bar around the two targets, ``eyes`` apart."""
    drawing, radius = Drawing(), 0.25
    half = [math.radians(-90 + 180 * step / 12) for step in range(13)]
    right = [(eyes / 2 + radius * math.cos(angle), radius * math.sin(angle)) for angle in half]
    drawing.add([*right, *((-x, -y) for x, y in right)], closed=True)
    return drawing


def limits(control: Control, axis: int) -> tuple[float, float]:
    """Return how far a control can be pulled along x (0) or y (1): to the negative and to the positive end."""
    positive, negative = control.axis(axis)
    return (-TRAVEL if negative else 0.0), (TRAVEL if positive else 0.0)
