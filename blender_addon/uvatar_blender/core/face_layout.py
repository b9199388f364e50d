# SPDX-License-Identifier: GPL-3.0-or-later
"""The controls of the face board, where they are, and the expression keys that they move.

A control moves up to four keys, one for each direction in which it is pulled. So keys that exclude each other, such as
those that raise and lower a brow, share a control, and each of the 52 keys has exactly one. The keys of the gaze have
none: they follow the eyes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

TRAVEL = 0.1  # units of the board by which a control is pulled for the full weight of a key
_SIGNS = {"+x": (0, 1), "-x": (0, -1), "+y": (1, 1), "-y": (1, -1)}
# Name and place (x to the person's left, y up; the head is about 2 units high) of controls in the middle, and keys.
_MIDDLE: tuple[tuple[str, tuple[float, float], dict[str, str]], ...] = (
    ("brow_inner", (0.0, 0.60), {"+y": "browInnerUp"}),
    ("upper_lip", (0.0, -0.27), {"+y": "mouthShrugUpper", "-y": "mouthRollUpper"}),
    ("mouth", (0.0, -0.50), {"+x": "mouthLeft", "-x": "mouthRight", "+y": "mouthPucker", "-y": "mouthFunnel"}),
    ("lower_lip", (0.0, -0.73), {"+y": "mouthShrugLower", "-y": "mouthRollLower"}),
    ("jaw", (0.0, -1.00), {"+x": "jawLeft", "-x": "jawRight", "+y": "jawForward", "-y": "jawOpen"}),
    ("puff", (1.10, -0.30), {"+y": "cheekPuff"}),
    ("tongue", (1.10, -0.62), {"-y": "tongueOut"}),
    ("close", (1.10, -0.94), {"+y": "mouthClose"}),
)
# Those that the left side has, and the right side as in a mirror; the keys' names without their side.
_SIDED: tuple[tuple[str, tuple[float, float], dict[str, str]], ...] = (
    ("brow", (0.40, 0.60), {"+y": "browOuterUp", "-y": "browDown"}),
    ("lid", (0.34, 0.28), {"+y": "eyeWide", "-y": "eyeBlink"}),
    ("squint", (0.58, 0.12), {"+y": "eyeSquint"}),
    ("cheek", (0.52, -0.14), {"+y": "cheekSquint"}),
    ("nose", (0.17, -0.06), {"+y": "noseSneer"}),
    ("upper_lip", (0.23, -0.31), {"+y": "mouthUpperUp"}),
    ("corner", (0.46, -0.50), {"+x": "mouthStretch", "-x": "mouthDimple", "+y": "mouthSmile", "-y": "mouthFrown"}),
    ("lower_lip", (0.23, -0.69), {"+y": "mouthPress", "-y": "mouthLowerDown"}),
)
LABELLED = ("puff", "tongue", "close")  # controls that are not on a part of the face
GAZE_KEYS = tuple(f"eyeLook{way}{side}" for side in ("Left", "Right") for way in ("Down", "In", "Out", "Up"))


@dataclass(frozen=True)
class Control:
    """A control of the face board.

    Attributes:
        name: of its bone.
        place: (x, y) on the board.
        keys: by direction ("+x", "-x", "+y", "-y"), the expression key that it moves.
    """

    name: str
    place: tuple[float, float]
    keys: Mapping[str, str]

    def axis(self, number: int) -> tuple[str | None, str | None]:
        """Return the keys that x (0) or y (1) moves: when it is positive, and when it is negative."""
        letter = "xy"[number]
        return self.keys.get(f"+{letter}"), self.keys.get(f"-{letter}")


def _controls() -> Iterator[Control]:
    for name, place, keys in _MIDDLE:
        yield Control(f"face_{name}", place, keys)
    mirrored = {"+x": "-x", "-x": "+x"}
    for name, (x, y), keys in _SIDED:
        yield Control(f"face_{name}.L", (x, y), {way: f"{key}Left" for way, key in keys.items()})
        yield Control(f"face_{name}.R", (-x, y), {mirrored.get(way, way): f"{key}Right" for way, key in keys.items()})


CONTROLS: tuple[Control, ...] = tuple(_controls())


def pulled(control: Control, weights: Mapping[str, float]) -> tuple[float, float]:
    """Return how far a control is pulled for these weights of the keys, in shares of `TRAVEL` along x and y."""
    x, y = (sum(sign * weights.get(control.keys.get(way, ""), 0.0) for way, (axis, sign) in _SIGNS.items() if axis == n)
            for n in (0, 1))  # fmt: skip
    return x, y


def contributions(control: Control, pull: tuple[float, float]) -> dict[str, float]:
    """Return the weights of its keys that a control gives when it is pulled this far."""
    return {key: max(_SIGNS[way][1] * pull[_SIGNS[way][0]], 0.0) for way, key in control.keys.items()}


def sign_of(way: str) -> tuple[int, int]:
    """Return the axis, 0 for x and 1 for y, and the sign of a direction."""
    return _SIGNS[way]
