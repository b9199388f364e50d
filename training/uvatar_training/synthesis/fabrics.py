"""Procedural fabrics: colours, weaves, patterns, prints and wear, drawn from a seed and evaluated at surface points."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.photos.colour import linear_from_srgb
from uvatar.photos.sampling import bilinear
from uvatar_training.synthesis.anatomy import SurfacePoints
from uvatar_training.synthesis.noise import fractal3, noise3

# Points -> linear RGB (K, 3).
Fabric = Callable[[SurfacePoints], NDArray[np.float32]]
# Inputs of a pattern -> linear RGB (K, 3).
Pattern = Callable[["Weave"], Floats]


def random_colour(rng: np.random.Generator, dull: float = 0.5) -> NDArray[np.float32]:
    """Linear RGB (3,) of cloth: with probability ``dull`` black, white, grey, navy or an earth tone, else vivid."""
    if rng.random() < dull:
        hue, saturation = rng.choice([0.6, 0.62, 0.08, 0.1, 0.0, 0.33]), rng.uniform(0, 0.4)
    else:
        hue, saturation = rng.random(), rng.uniform(0.3, 0.9)
    value = rng.choice([rng.uniform(0.08, 0.3), rng.uniform(0.3, 0.75), rng.uniform(0.75, 0.95)])
    return linear_from_srgb(np.round(np.array(colorsys.hsv_to_rgb(hue, saturation, value)) * 255).astype(np.uint8))


@dataclass(frozen=True)
class Print:
    """A picture on the front or back of a garment.

    Attributes:
        picture: (N, N, 4) linear RGB and opacity.
        centre: (2,) x and y on the rest body, metres.
        half: (2,) half of width and height, metres.
        front: whether it is on the chest instead of the back.
    """

    picture: NDArray[np.float32]
    centre: tuple[float, float]
    half: tuple[float, float]
    front: bool

    def onto(self, points: SurfacePoints, colour: NDArray[np.float32]) -> NDArray[np.float32]:
        """The cloth's colours (K, 3), linear RGB, with the print on them."""
        facing = points.normal[:, 2] > 0.1 if self.front else points.normal[:, 2] < -0.1
        place = (points.rest[:, :2] - np.array(self.centre, np.float32)) / np.array(self.half, np.float32)
        here = np.flatnonzero(facing & (np.abs(place) < 1).all(1) & (points.arm < 0.5) & (points.leg < 0.5))
        side = self.picture.shape[0]
        # A print is read from the outside: the person's left is on the right of the chest, and on the left of the back.
        u = place[here, 0] if self.front else -place[here, 0]
        found = bilinear(self.picture, np.stack([(u + 1) / 2, (1 - place[here, 1]) / 2], 1) * side)
        out = colour.copy()
        out[here] = colour[here] * (1 - found[:, 3:]) + found[:, :3] * found[:, 3:]
        return out


def random_print(rng: np.random.Generator, chest: float) -> Print:
    """A word, a number, a shape or a blotchy picture of random size, on the chest or on the back.

    Args:
        rng: source of all randomness.
        chest: height (y) of a print on the chest, metres.
    """
    picture = np.zeros((128, 128, 4), np.float32)
    ink = np.ones((128, 128, 3), np.float32) * random_colour(rng, dull=0.3)
    cover = np.zeros((128, 128), np.uint8)
    kind = rng.choice(["word", "number", "shape", "picture"])
    if kind == "word":
        for line in range(rng.integers(1, 4)):
            text = "".join(chr(rng.integers(65, 91)) for _ in range(rng.integers(3, 9)))
            scale = rng.uniform(0.7, 1.6)
            cv2.putText(
                cover,
                text,
                (4, 40 + 34 * line),
                int(rng.integers(0, 8)),
                scale,
                (255,),
                int(rng.integers(1, 5)),
                cv2.LINE_AA,
            )
    elif kind == "number":
        cv2.putText(cover, str(rng.integers(0, 100)), (4, 108), cv2.FONT_HERSHEY_SIMPLEX, 3.6, (255,), 14, cv2.LINE_AA)
    elif kind == "shape":
        for _ in range(rng.integers(1, 4)):
            corners = (rng.uniform(10, 118, (int(rng.integers(3, 7)), 2))).astype(np.int32)
            if rng.random() < 0.5:
                cv2.circle(cover, tuple(int(c) for c in corners[0]), int(rng.integers(12, 50)), (255,), -1, cv2.LINE_AA)
            else:
                cv2.fillConvexPoly(cover, np.asarray(cv2.convexHull(corners)), (255,), cv2.LINE_AA)
    else:
        blotches = cv2.resize(rng.random((7, 7, 3)).astype(np.float32), (128, 128), interpolation=cv2.INTER_CUBIC)
        ink = np.clip(np.asarray(blotches, np.float32), 0.01, 0.9) ** 2
        cover[8:120, 8:120] = 255
    picture[..., :3], picture[..., 3] = ink, cover.astype(np.float32) / 255
    half = rng.uniform(0.05, 0.14)
    return Print(
        picture,
        (float(rng.normal(0, 0.015)), chest - rng.uniform(0.0, 0.1)),
        (half, half * rng.uniform(0.7, 1.2)),
        rng.random() < 0.75,
    )


def plain(colour: NDArray[np.float32]) -> Fabric:
    """Leather, wool or rubber of a single colour (3,), linear RGB."""
    return lambda points: np.broadcast_to(colour, (len(points), 3)).astype(np.float32)


def random_fabric(rng: np.random.Generator, patterns: Mapping[str, float], pattern: str | None = None) -> Fabric:
    """A fabric of one to three colours in a pattern, with weave and creases.

    Args:
        rng: source of all randomness.
        patterns: names of `PATTERNS` -> how often each is worn.
        pattern: use this pattern instead of a random one.
    """
    weights = np.array(list(patterns.values()))
    kind = pattern or str(rng.choice(list(patterns), p=weights / weights.sum()))
    seed = int(rng.integers(2**31))
    first, second, third = (random_colour(rng) for _ in range(3))
    if kind == "denim":
        first = linear_from_srgb(
            np.array(np.clip(np.array([52, 74, 112]) * rng.uniform(0.4, 1.8) + rng.normal(0, 8, 3), 8, 230), np.uint8)
        )
        second = first * np.float32(2.2)
    pitch = float(np.exp(rng.uniform(np.log(0.012), np.log(0.08))))
    crease = rng.uniform(0.05, 0.16)

    def fabric(points: SurfacePoints) -> NDArray[np.float32]:
        own = np.random.default_rng(seed)
        u, v = points.around / np.float32(pitch), points.along / np.float32(pitch)
        colour = PATTERNS[kind](Weave(points, u, v, first, second, third, own))
        # Folds run across limbs and trunk. Their shading is painted into the fabric, as in textures taken from photos.
        folds = fractal3(points.rest * np.array([1.0, 2.2, 1.0], np.float32), 0.11, own) * crease
        weave = noise3(points.rest, 0.004, own) * 0.03
        cloth: NDArray[np.float32] = np.clip(colour * (1 + folds + weave)[:, None], 0.002, 0.95).astype(np.float32)
        return cloth

    return fabric


@dataclass(frozen=True)
class Weave:
    """Inputs of a pattern.

    Attributes:
        points: K surface points.
        u, v: (K,) positions round and along the limb, in repeats of the pattern.
        first, second, third: (3,) linear RGB colours.
        rng: source of further randomness.
    """

    points: SurfacePoints
    u: Floats
    v: Floats
    first: Floats
    second: Floats
    third: Floats
    rng: np.random.Generator

    @property
    def plain(self) -> NDArray[np.float32]:
        """The first colour at all points, (K, 3)."""
        return np.broadcast_to(self.first, (len(self.points), 3)).astype(np.float32)

    def mixed(self, amount: Floats) -> NDArray[np.float32]:
        """The first colour blended with the second by ``amount`` (K,) 0..1, (K, 3)."""
        return _between(self.first, self.second, amount)


def _between(a: Floats, b: Floats, amount: Floats) -> NDArray[np.float32]:
    return (a + amount[:, None] * (b - a)).astype(np.float32)


def _wave(phase: Floats, duty: float = 0.0) -> Floats:
    return _step(np.sin(2 * np.pi * phase) - duty, 0.15)


def _plaid(w: Weave) -> Floats:
    broad = 0.5 * _wave(w.u / 2) + 0.5 * _wave(w.v / 2)
    return _between(w.mixed(broad), w.third, 0.6 * np.maximum(_wave(w.u + 0.2, 0.93), _wave(w.v + 0.2, 0.93)))


def _dots(w: Weave) -> Floats:
    spread = np.hypot(np.mod(w.u, 1) - 0.5, np.mod(w.v + 0.5 * np.floor(w.u), 1) - 0.5)
    return w.mixed(_step(w.rng.uniform(0.15, 0.32) - spread, 0.05))


def _camouflage(w: Weave) -> Floats:
    out = w.mixed(_step(fractal3(w.points.rest, 0.08, w.rng) - 0.2, 0.1))
    return _between(out, w.third, _step(fractal3(w.points.rest, 0.06, w.rng) - 0.6, 0.1))


def _blossoms(w: Weave) -> Floats:
    out = w.mixed(_step(noise3(w.points.rest, 0.02, w.rng) - 0.9, 0.15))
    return _between(out, w.third, _step(noise3(w.points.rest, 0.015, w.rng) - 1.2, 0.15))


def _denim(w: Weave) -> Floats:
    worn = np.clip(w.points.normal[:, 2], 0, 1) * _step(fractal3(w.points.rest, 0.15, w.rng), 1.0)
    return _between(w.plain, w.second, 0.35 * worn) * (1 + 0.12 * noise3(w.points.rest, 0.003, w.rng)[:, None])


def _knit(w: Weave) -> Floats:
    around, along = (np.sin(2 * np.pi * place / 0.008) for place in (w.points.around, w.points.along))
    knitted: Floats = w.plain * (1 + 0.25 * around * along)[:, None]
    return knitted


def _fade(w: Weave) -> Floats:
    height = w.points.along
    return w.mixed(np.clip((height - height.min()) / max(float(np.ptp(height)), 1e-6), 0, 1))


def _blocks(w: Weave) -> Floats:
    halves = w.mixed(_step(w.points.along - w.rng.uniform(-0.05, 0.12), 0.004))
    return _between(halves, w.third, _step(w.points.arm - 0.5, 0.2))


def _argyle(w: Weave) -> Floats:
    diamond = np.abs(np.mod(w.u, 2) - 1) + np.abs(np.mod(w.v / 1.5, 2) - 1)
    return _between(w.mixed(_step(diamond - 1, 0.05)), w.third, _wave(w.u + w.v / 1.5, 0.95))


def _marble(w: Weave) -> Floats:
    veins = 40 * w.points.rest[:, 1] + 4 * fractal3(w.points.rest, 0.12, w.rng)
    return w.mixed(0.5 + 0.5 * np.sin(veins))


# Patterns without shading.
PATTERNS: dict[str, Pattern] = {
    "plain": lambda w: w.plain,
    "heather": lambda w: w.mixed(0.25 * _step(noise3(w.points.rest, 0.006, w.rng), 1.0)),
    "across": lambda w: w.mixed(_wave(w.v, w.rng.uniform(-0.5, 0.8))),
    "down": lambda w: w.mixed(_wave(w.u, w.rng.uniform(-0.3, 0.9))),
    "checks": lambda w: w.mixed(0.5 * _wave(w.u) + 0.5 * _wave(w.v)),
    "plaid": _plaid,
    "dots": _dots,
    "camouflage": _camouflage,
    "blossoms": _blossoms,
    "denim": _denim,
    "knit": _knit,
    "fade": _fade,
    "blocks": _blocks,
    "herringbone": lambda w: w.mixed(_wave((w.v + 0.5 * np.abs(np.mod(w.u, 2) - 1)) * 2)),
    "argyle": _argyle,
    "marble": lambda w: w.mixed(
        0.5 + 0.5 * np.sin(40 * w.points.rest[:, 1] + 4 * fractal3(w.points.rest, 0.12, w.rng))
    ),
    "waves": lambda w: w.mixed(_wave(w.v + 0.4 * np.sin(2 * np.pi * w.u / 3))),
}


def _step(values: Floats, width: float) -> NDArray[np.float32]:
    """0 below -width, 1 above width, linear between."""
    return np.clip(values / (2 * width) + 0.5, 0, 1).astype(np.float32)
