"""Renders things without people, which perception must not mistake for persons.

Solids are smooth unions of round cones, ellipsoids and boxes, rendered by sphere tracing (Hart, "Sphere tracing: a
geometric method for the antialiased ray tracing of implicit surfaces", 1996). Every picture depends on its number
alone. They are harder than most photos of things: smooth, upright, with limbs, and some with eyes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar.evaluation.rendering import Light, random_background, random_light, sensed
from uvatar.geometry import rotations
from uvatar.photos.colour import linear_from_srgb

SIDE = 320  # pixels
STEPS, NEAR = 48, 2e-3
MELT = 0.05  # radius of the smooth union; the things are about 2 units high
Point = tuple[float, float, float]


@dataclass(frozen=True)
class SolidPart:
    """A round cone from ``a`` to ``b`` with radii ``ra`` and ``rb``, y up, scaled about ``a`` along the axes.

    Attributes:
        colour: linear RGB.
        box: half sizes of a box about ``a`` instead of the cone, or None.
        sharp: whether it is joined to its neighbours without smoothing.
    """

    a: Point
    b: Point
    ra: float
    rb: float
    colour: NDArray[np.float64]
    scale: Point = (1.0, 1.0, 1.0)
    box: Point | None = None
    sharp: bool = False

    def distance(self, points: Floats) -> Floats:
        """(N,) distances of points (N, 3): exact for round cones of one radius, else a lower bound."""
        a = np.array(self.a)
        if self.box is not None:
            outside = np.abs(points - a) - self.box
            box_distance: Floats = (
                np.linalg.norm(np.maximum(outside, 0), axis=1) + np.minimum(outside.max(1), 0) - self.ra
            )
            return box_distance
        scale = np.array(self.scale)
        local, axis = (points - a) / scale, (np.array(self.b) - a) / scale
        along = np.clip(local @ axis / max(float(axis @ axis), 1e-9), 0, 1)
        radius = self.ra + along * (self.rb - self.ra)
        distance: Floats = (np.linalg.norm(local - along[:, None] * axis, axis=1) - radius) * float(scale.min()) * 0.9
        return distance


Maker = Callable[[np.random.Generator], Sequence[SolidPart]]


def _colour(rng: np.random.Generator, brown: float = 0.5) -> NDArray[np.float64]:
    """Linear RGB: fur, wood or skin with probability ``brown``, else anything."""
    if rng.random() < brown:
        return rng.uniform(0.1, 0.9) * np.array([0.6, 0.33, 0.18]) * rng.uniform(0.8, 1.25, 3)
    return rng.uniform(0.02, 0.8, 3)


def _ball(at: Point, radius: float, colour: Floats, scale: Point = (1.0, 1.0, 1.0), sharp: bool = False) -> SolidPart:
    return SolidPart(at, at, radius, radius, colour, scale, sharp=sharp)


def _eyes(x: float, y: float, z: float, apart: float, size: float) -> list[SolidPart]:
    return [_ball((x + side * apart, y, z), size, np.full(3, 0.01), sharp=True) for side in (-1, 1)]


def quadruped(rng: np.random.Generator) -> Sequence[SolidPart]:
    """A random four-legged animal from the side, like a horse, dog, cow or giraffe."""
    fur, leg, neck, thick = _colour(rng, 0.8), rng.uniform(0.5, 1.1), rng.uniform(0.2, 1.0), rng.uniform(0.2, 0.4)
    top, long = leg + thick * 0.6, rng.uniform(0.5, 0.8)
    lean = rng.uniform(0.1, 0.5)
    head = (long + lean, top + neck, 0.0)
    parts = [
        SolidPart((-long, top, 0), (long, top, 0), thick, thick * 0.9, fur),
        SolidPart((long, top, 0), head, thick * 0.6, thick * 0.4, fur),
        SolidPart(
            head, (head[0] + rng.uniform(0.25, 0.5), head[1] - rng.uniform(0, 0.25), 0), thick * 0.5, thick * 0.3, fur
        ),
        SolidPart((-long - thick * 0.6, top, 0), (-long - 0.45, top - rng.uniform(-0.2, 0.6), 0), 0.08, 0.04, fur),
        _ball((head[0] + 0.1, head[1] + 0.08, 0.25 * thick + 0.05), 0.05, np.full(3, 0.01), sharp=True),
    ]
    for x in (-long * 0.85, long * 0.85):
        for z in (-1, 1):
            swing = rng.uniform(-0.2, 0.2)
            parts.append(
                SolidPart(
                    (x, top - 0.1, z * thick * 0.5), (x + swing, 0.0, z * thick * 0.5), thick * 0.4, thick * 0.22, fur
                )
            )
    if rng.random() < 0.4:
        band = _colour(rng, 0)
        parts += [
            _ball((x, top, 0), thick * 1.08, band, (0.15, 1, 1), sharp=True) for x in rng.uniform(-long, long * 0.7, 3)
        ]
    return parts


def bird(rng: np.random.Generator) -> Sequence[SolidPart]:
    """A bird on two legs."""
    feather, beak, leg, neck = _colour(rng), _colour(rng, 0), rng.uniform(0.2, 0.9), rng.uniform(0.2, 0.8)
    head = (0.5, leg + 0.5 + neck, 0.0)
    return [
        SolidPart((-0.4, leg + 0.3, 0), (0.3, leg + 0.4, 0), 0.25, 0.3, feather),
        SolidPart((0.35, leg + 0.5, 0), head, 0.18, 0.12, feather),
        _ball(head, 0.18, feather), SolidPart(head, (head[0] + 0.4, head[1] - 0.05, 0), 0.08, 0.02, beak, sharp=True),
        SolidPart((-0.4, leg + 0.3, 0), (-0.9, leg + 0.2, 0), 0.18, 0.08, feather),
        *(SolidPart((0, leg + 0.2, z), (0.05, 0, z), 0.05, 0.04, beak) for z in (-0.12, 0.12)),
        *_eyes(0.58, head[1] + 0.05, 0, 0.0, 0.06),
    ]  # fmt: skip


def sitting_animal(rng: np.random.Generator) -> Sequence[SolidPart]:
    """A toy bear, cat or rabbit that sits and faces the camera, with two arms, two legs and a face."""
    fur, light = _colour(rng, 0.8), rng.uniform(0.3, 0.8) * np.array([0.9, 0.8, 0.65])
    ear = rng.uniform(0.1, 0.5)
    return [
        _ball((0, 0.55, 0), 0.5, fur, (0.9, 1.1, 0.8)), _ball((0, 0.5, 0.2), 0.36, light, (0.9, 1.1, 0.7)),
        _ball((0, 1.35, 0), 0.4, fur),
        _ball((0, 1.25, 0.3), 0.18, light), _ball((0, 1.32, 0.47), 0.06, np.full(3, 0.02), sharp=True),
        *_eyes(0, 1.45, 0.34, 0.15, 0.05),
        *(SolidPart((s * 0.28, 1.6, 0), (s * 0.33, 1.65 + ear, 0), 0.13, 0.1, fur) for s in (-1, 1)),
        *(SolidPart((s * 0.4, 0.85, 0.1), (s * 0.62, rng.uniform(0.3, 1.2), 0.35), 0.15, 0.13, fur) for s in (-1, 1)),
        *(SolidPart((s * 0.3, 0.15, 0.2), (s * 0.5, 0.12, 0.7), 0.19, 0.16, fur) for s in (-1, 1)),
    ]  # fmt: skip


def dinosaur(rng: np.random.Generator) -> Sequence[SolidPart]:
    """A dinosaur or kangaroo on two legs."""
    skin, lean = _colour(rng, 0.3), rng.uniform(-0.1, 0.5)
    return [
        SolidPart((0, 0.8, 0), (lean, 1.3, 0), 0.36, 0.25, skin),
        SolidPart((lean, 1.3, 0), (lean + 0.25, 1.75, 0), 0.2, 0.15, skin),
        SolidPart((lean + 0.2, 1.8, 0), (lean + 0.65, 1.75, 0), 0.2, 0.12, skin),
        SolidPart((-0.1, 0.7, 0), (-1.1, 0.3, 0), 0.28, 0.04, skin),
        *(SolidPart((0, 0.75, z), (0.15, 0.4, z), 0.24, 0.14, skin) for z in (-0.2, 0.2)),
        *(SolidPart((0.12, 0.4, z), (0.05, 0, z), 0.13, 0.1, skin) for z in (-0.2, 0.2)),
        *(SolidPart((lean + 0.1, 1.25, z), (lean + 0.4, 1.05, z), 0.08, 0.05, skin) for z in (-0.2, 0.2)),
        _ball((lean + 0.35, 1.9, 0.14), 0.04, np.full(3, 0.01), sharp=True),
    ]  # fmt: skip


def turned(rng: np.random.Generator) -> Sequence[SolidPart]:
    """A turned object: a vase, bottle, lamp, skittle or pawn."""
    body, heights = _colour(rng), np.linspace(0, 2, rng.integers(4, 8))
    radii = rng.uniform(0.12, 0.55, len(heights))
    stack = [
        SolidPart((0, y0, 0), (0, y1, 0), r0, r1, body)
        for y0, y1, r0, r1 in zip(heights, heights[1:], radii, radii[1:], strict=False)
    ]
    return [*stack, _ball((0, 2, 0), float(radii[-1]) * rng.uniform(0.8, 1.6), _colour(rng))]


def pumpkin(rng: np.random.Generator) -> Sequence[SolidPart]:
    """A pumpkin, some with a carved face."""
    skin = np.array([0.75, 0.22, 0.02]) * rng.uniform(0.7, 1.2)
    ribs = [
        _ball((0.35 * np.cos(t), 0.7, 0.35 * np.sin(t)), 0.55, skin, (1, 1.05, 1)) for t in np.arange(8) * np.pi / 4
    ]
    stem = SolidPart((0, 1.2, 0), (0.1, 1.6, 0), 0.1, 0.07, np.array([0.1, 0.2, 0.03]))
    if rng.random() < 0.4:
        return [*ribs, stem]
    dark = np.full(3, 0.01)
    mouth = [
        _ball((x, 0.45 + 0.3 * x * x, 0.86 - 0.4 * x * x), 0.1, dark, sharp=True) for x in np.linspace(-0.45, 0.45, 7)
    ]
    return [*ribs, stem, *_eyes(0, 0.9, 0.8, 0.28, 0.13), *mouth]


def hat(rng: np.random.Generator) -> Sequence[SolidPart]:
    """A hat."""
    felt, high = _colour(rng), rng.uniform(0.3, 1.2)
    return [
        _ball((0, 0.3, 0), 1.0, felt, (1, rng.uniform(0.05, 0.2), 0.9)),
        SolidPart((0, 0.85, 0), (0, 0.85 + high, 0), 0.55, 0.45, felt),
        SolidPart((0, 0.42, 0), (0, 0.55, 0), 0.57, 0.57, _colour(rng, 0), (1, 0.15, 1), sharp=True),
    ]  # fmt: skip


def snowman(rng: np.random.Generator) -> Sequence[SolidPart]:
    """A snowman with a face and arms of sticks."""
    snow, wood = np.full(3, 0.8), np.array([0.1, 0.05, 0.02])
    return [
        _ball((0, 0.45, 0), 0.5, snow),
        _ball((0, 1.15, 0), 0.36, snow),
        _ball((0, 1.65, 0), 0.26, snow),
        *_eyes(0, 1.72, 0.23, 0.09, 0.04),
        SolidPart((0, 1.63, 0.25), (0, 1.6, 0.5), 0.06, 0.01, np.array([0.8, 0.25, 0.02]), sharp=True),
        *(
            SolidPart((s * 0.3, 1.2, 0), (s * 0.9, rng.uniform(1.0, 1.7), 0.1), 0.04, 0.02, wood, sharp=True)
            for s in (-1, 1)
        ),
        *(_ball((0, y, 0.34), 0.04, wood, sharp=True) for y in (1.0, 1.15, 1.3)),
    ]


def robot(rng: np.random.Generator) -> Sequence[SolidPart]:
    """A toy robot of boxes."""
    tin, other = _colour(rng, 0), _colour(rng, 0)

    def block(at: Point, half: Point, colour: Floats) -> SolidPart:
        return SolidPart(at, at, 0.03, 0.03, colour, box=half, sharp=True)

    return [
        block((0, 1.0, 0), (0.38, 0.42, 0.25), tin), block((0, 1.7, 0), (0.28, 0.2, 0.22), other),
        *_eyes(0, 1.75, 0.25, 0.13, 0.07),
        *(block((s * 0.55, 1.0, 0), (0.1, 0.4, 0.1), other) for s in (-1, 1)),
        block((0, 1.6, 0.25), (0.14, 0.03, 0.03), np.full(3, 0.01)),
        *(block((s * 0.2, 0.27, 0), (0.13, 0.27, 0.14), other) for s in (-1, 1)),
    ]  # fmt: skip


def chair(rng: np.random.Generator) -> Sequence[SolidPart]:
    """A chair, stool or table."""
    wood, seat, back = _colour(rng, 0.8), rng.uniform(0.5, 1.1), rng.uniform(0, 1.2)

    def beam(at: Point, half: Point) -> SolidPart:
        return SolidPart(at, at, 0.01, 0.01, wood, box=half, sharp=True)

    legs = [beam((x, seat / 2, z), (0.06, seat / 2, 0.06)) for x in (-0.5, 0.5) for z in (-0.45, 0.45)]
    rest = [beam((0, seat + back / 2, -0.5), (0.58, back / 2, 0.05))] if back > 0.3 else []
    return [*legs, beam((0, seat, 0), (0.6, 0.06, 0.55)), *rest]


def plant(rng: np.random.Generator) -> Sequence[SolidPart]:
    """A tree, cactus or mushroom."""
    green, bark = np.array([0.08, 0.3, 0.05]) * rng.uniform(0.5, 1.8), _colour(rng, 1)
    kind = rng.integers(3)
    if kind == 0:
        crowns = [
            _ball(tuple(rng.normal((0, 1.5, 0), (0.4, 0.3, 0.3))), rng.uniform(0.3, 0.5), green) for _ in range(7)
        ]
        return [SolidPart((0, 0, 0), (0, 1.3, 0), 0.14, 0.1, bark), *crowns]
    if kind == 1:
        arms = [(s, rng.uniform(0.7, 1.3)) for s in (-1, 1)]
        return [
            SolidPart((0, 0, 0), (0, 1.9, 0), 0.26, 0.22, green),
            *(SolidPart((0, y, 0), (s * 0.55, y + 0.05, 0), 0.15, 0.15, green) for s, y in arms),
            *(SolidPart((s * 0.55, y, 0), (s * 0.58, y + 0.6, 0), 0.15, 0.13, green) for s, y in arms),
            _ball((0, 0, 0), 0.4, bark, (1, 0.6, 1)),
        ]  # fmt: skip
    return [
        SolidPart((0, 0, 0), (0, 1.2, 0), 0.25, 0.18, np.full(3, 0.7)),
        _ball((0, 1.3, 0), 0.75, _colour(rng, 0), (1, 0.5, 1)),
    ]


def fruit(rng: np.random.Generator) -> Sequence[SolidPart]:
    """Fruit in a bowl."""
    pieces = [
        _ball(
            (rng.uniform(-0.7, 0.7), rng.uniform(0.5, 0.9), rng.uniform(-0.4, 0.5)),
            rng.uniform(0.2, 0.35),
            _colour(rng, 0),
            sharp=True,
        )
        for _ in range(7)
    ]
    return [*pieces, _ball((0, 0.2, 0), 1.0, _colour(rng), (1, 0.35, 0.8), sharp=True)]


def dummy(rng: np.random.Generator) -> Sequence[SolidPart]:
    """A tailor's dummy on its stand: no head, arms or legs."""
    cloth, wood = _colour(rng), _colour(rng, 1)
    waist = rng.uniform(0.2, 0.28)
    return [
        SolidPart((0, 1.6, 0), (0, 1.25, 0), 0.32, waist, cloth, (1, 1, 0.7)),
        SolidPart((0, 1.25, 0), (0, 0.95, 0), waist, 0.34, cloth, (1, 1, 0.75)),
        SolidPart((0, 1.75, 0), (0, 1.95, 0), 0.13, 0.1, cloth),
        SolidPart((0, 0.9, 0), (0, 0.1, 0), 0.05, 0.05, wood, sharp=True),
        _ball((0, 0.05, 0), 0.4, wood, (1, 0.15, 1), sharp=True),
    ]  # fmt: skip


SOLIDS: tuple[Maker, ...] = (
    quadruped, sitting_animal, bird, dinosaur, turned, pumpkin, hat, snowman, robot, chair, plant, fruit, dummy,
)  # fmt: skip


def render_solid(parts: Sequence[SolidPart], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Render parts that stand on y = 0, rotated slightly at random: (SIDE, SIDE, 3).

    The background is plain or out of focus.
    """
    white = np.full((SIDE, SIDE, 3), rng.integers(215, 256), np.uint8)
    background = white if rng.random() < 0.5 else random_background(SIDE, SIDE, rng)
    yaw, pitch, reach = rng.normal(0, 0.45), rng.uniform(0.0, 0.35), rng.uniform(2.5, 3.6)
    turn = rotations.about_y(yaw)
    tip = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    to_world = turn @ tip.T
    grid = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    x, y = np.meshgrid(grid, -grid)
    rays = np.stack([x, y, np.full_like(x, -2.0)], -1).reshape(-1, 3)
    rays = rays / np.linalg.norm(rays, axis=1, keepdims=True) @ to_world.T
    eye = to_world @ np.array([0, 0, 2 * reach]) + [0, 0.95, 0]
    depth, seen = _trace(parts, eye, rays)
    points = eye + depth[:, None] * rays
    light = random_light(rng)
    picture = linear_from_srgb(background).reshape(-1, 3).copy()
    picture[seen] = _shade(parts, points[seen], light, to_world, rng)
    return sensed(picture.reshape(SIDE, SIDE, 3), 0.7, 2, rng)


def _field(parts: Sequence[SolidPart], points: Floats) -> Floats:
    """(N,) lower bounds of the distances of points (N, 3) from the smooth union of the parts."""
    soft = [part.distance(points) for part in parts if not part.sharp]
    hard = [part.distance(points) for part in parts if part.sharp]
    distance = np.full(len(points), np.inf)
    if soft:
        nearest = np.min(soft, 0)
        distance = nearest - MELT * np.log(np.exp((nearest - np.array(soft)) / MELT).sum(0))
    return np.minimum(distance, np.min(hard, 0)) if hard else distance


def _trace(parts: Sequence[SolidPart], eye: Floats, rays: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """The distance along each ray (N, 3) from ``eye``, and whether it hits the parts."""
    depth, far = np.zeros(len(rays)), float(np.linalg.norm(eye)) + 4.0
    alive, seen = np.arange(len(rays)), np.zeros(len(rays), bool)
    for _ in range(STEPS):
        step = _field(parts, eye + depth[alive, None] * rays[alive])
        depth[alive] += step
        seen[alive[step < NEAR]] = True
        alive = alive[(step >= NEAR) & (depth[alive] < far)]
        if not len(alive):
            break
    return depth, seen


def _shade(
    parts: Sequence[SolidPart], points: Floats, light: Light, to_world: Floats, rng: np.random.Generator
) -> Floats:
    """Linear RGB of surface points (N, 3): the nearest parts' colours, mottled, lit by one light and the sky."""
    distances = np.array([part.distance(points) for part in parts])
    shares = np.exp(-np.maximum(distances - distances.min(0), 0) / 0.015)
    albedo = (shares / shares.sum(0)).T @ np.array([part.colour for part in parts])
    waves = rng.normal(0, 9, (3, 4))
    albedo = albedo * (1 + rng.uniform(0, 0.25) * np.sin(points @ waves + rng.uniform(0, 6, 4)).mean(1))[:, None]
    steps = np.eye(3) * 1e-3
    normals = np.stack([_field(parts, points + step) - _field(parts, points - step) for step in steps], -1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    towards = to_world @ (light.direction * [1, -1, -1])
    return light.on(albedo, normals @ towards, normals[:, 1])
