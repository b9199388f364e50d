"""Procedural clothes: garments cut by lines on the rest body, sewn from fabrics, worn over one another.

A garment is a signed distance to its borders (positive inside, metres on the rest body), a fabric, and how far it
stands off the skin; seams, hems, plackets, pockets and prints are lines of the same distance. Painted at texels it is a
texture; asked at vertices it says how much wider than the body the dressed person is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvatar_training.synthesis.anatomy import Points
from uvatar_training.synthesis.fabrics import Fabric, Print, random_colour, random_fabric, random_print
from uvatar_training.synthesis.noise import fractal3

EDGE = 0.002  # metres over which a hem fades in a texture

# Points -> signed distance (K,), positive inside.
Cut = Callable[[Points], NDArray[np.float32]]
# Points, distance to the border, colours -> colours.
Trim = Callable[[Points, NDArray, NDArray], NDArray]


@dataclass(frozen=True)
class Garment:
    """Something worn.

    Attributes:
        name: for people who read reports.
        cut: where it is.
        fabric: what it is made of.
        trims: seams, hems, buttons, prints, in this order.
        thickness: metres that it stands off the skin; slack: further metres where it hangs loose.
    """

    name: str
    cut: Cut
    fabric: Fabric
    trims: tuple[Trim, ...] = ()
    thickness: float = 0.004
    slack: float = 0.0
    seed: int = 0

    def cover(self, points: Points) -> NDArray[np.float32]:
        """(K,) 0..1."""
        return np.clip(self.cut(points) / (2 * EDGE) + 0.5, 0, 1).astype(np.float32)

    def colour(self, points: Points) -> NDArray[np.float32]:
        """(K, 3) linear RGB, meaningless where it does not cover."""
        border = self.cut(points)
        colour = self.fabric(points)
        for trim in self.trims:
            colour = trim(points, border, colour)
        return np.clip(colour, 0.002, 0.95).astype(np.float32)

    def offset(self, points: Points) -> NDArray[np.float32]:
        """(K,) metres off the skin."""
        hang = np.clip(
            1 + 0.7 * fractal3(points.rest * np.array([1, 0.5, 1], np.float32), 0.09, np.random.default_rng(self.seed)),
            0,
            2,
        )
        inside = np.clip(self.cut(points) / 0.012, 0, 1)
        return (inside * (self.thickness + self.slack * hang)).astype(np.float32)


def random_outfit(rng: np.random.Generator, group: str, held_out: bool = False) -> list[Garment]:
    """What a "male", "female" or "child" wears, innermost first: never without both a top and a bottom, or a dress."""
    out: list[Garment] = []
    if rng.random() < 0.5:
        out.append(_socks(rng))
    dressed = group != "male" and rng.random() < 0.22
    if dressed:
        out.append(_top(rng, group, held_out, dress=True))
    else:
        bottom, top = _bottom(rng, group, held_out), _top(rng, group, held_out)
        tucked = rng.random() < 0.3
        out += [top, bottom] if tucked else [bottom, top]
        if tucked and rng.random() < 0.5:
            out.append(_belt(rng))
    if rng.random() < 0.28:
        out.append(_jacket(rng, held_out))
    if rng.random() < 0.93:
        out.append(_shoes(rng))
    if rng.random() < 0.06:
        out.append(_gloves(rng))
    return out


def paint_over(points: Points, colour: NDArray[np.float32], garments: Sequence[Garment]) -> NDArray[np.float32]:
    """The colours (K, 3) of a bare person with the garments on."""
    for garment in garments:
        cover = garment.cover(points)
        here = np.flatnonzero(cover > 0)
        if len(here):
            part = subset(points, here)
            colour[here] += cover[here, None] * (garment.colour(part) - colour[here])
    return colour


def stand_off(points: Points, garments: Sequence[Garment]) -> NDArray[np.float32]:
    """(K,) metres that everything worn stands off the skin."""
    total = np.zeros(len(points), np.float32)
    for garment in garments:
        total = np.maximum(total + garment.thickness * (garment.cover(points) > 0.5), garment.offset(points))
    return total


def subset(points: Points, rows: NDArray) -> Points:
    """Some of the points."""
    return Points(**{name: value if name == "places" else value[rows] for name, value in vars(points).items()})


# ---------------------------------------------------------------- garments


def _top(rng: np.random.Generator, group: str, held_out: bool, dress: bool = False) -> Garment:
    sleeve = rng.choice([-0.03, 0.1, 0.16, 0.22, 0.4, 0.485], p=[0.08, 0.12, 0.28, 0.12, 0.1, 0.3])
    neckline = str(rng.choice(["round", "round", "vee", "boat", "scoop", "high", "shirt"]))
    depth = {
        "round": 0.0,
        "vee": rng.uniform(0.05, 0.14),
        "boat": -0.005,
        "scoop": rng.uniform(0.04, 0.09),
        "high": -0.06,
        "shirt": 0.02,
    }[neckline]
    if dress:
        hem = rng.uniform(-0.72, -0.4)
    else:
        hem = rng.choice(
            [rng.uniform(-0.12, -0.05), rng.uniform(-0.3, -0.18), rng.uniform(-0.42, -0.3)], p=[0.06, 0.72, 0.22]
        )
    jag = 0.0 if rng.random() < 0.8 else rng.uniform(0.005, 0.02)

    def cut(points: Points) -> NDArray[np.float32]:
        x, y, z = points.rest.T
        joint = points.places.joint
        reach = joint["left_shoulder"][0] + sleeve - np.abs(x)
        front = np.clip((z - joint["neck"][2]) / 0.05, 0, 1)
        base = joint["neck"][1] - 0.02 - 0.45 * np.clip(z - joint["neck"][2] - 0.01, 0, 0.2) * (neckline != "high")
        if neckline in ("vee", "shirt"):
            dip = depth * np.clip(1 - np.abs(x) / 0.07, 0, 1)
        elif neckline == "boat":
            dip = -0.25 * np.clip(np.abs(x) - 0.09, -0.05, 0)
        else:
            dip = depth * np.exp(-((x / 0.075) ** 2))
        neck = base - front * dip - y
        if neckline == "high":
            neck = np.minimum(joint["neck"][1] + 0.045 - y, 0.1)
        side = np.where(points.arm > 0.5, 1.0, y - hem + jag * np.sin(x * 60))
        return np.minimum(np.minimum(reach, side), np.where(points.arm > 0.5, 1.0, neck)).astype(np.float32)

    trims: list[Trim] = [_hem(rng)]
    fabric = random_fabric(rng, held_out)
    if neckline == "shirt" or rng.random() < 0.15:
        trims.append(_placket(rng))
    elif rng.random() < 0.3:
        trims.append(_printed(random_print(rng, 0.08)))
    if rng.random() < 0.2 and sleeve > 0.05:
        trims.append(_sleeves_of(random_fabric(rng, held_out)))
    slack = float(rng.choice([0.002, 0.006, 0.012, 0.02], p=[0.3, 0.35, 0.25, 0.1]))
    return Garment(
        "dress" if dress else f"{neckline} top",
        cut,
        fabric,
        tuple(trims),
        rng.uniform(0.002, 0.006),
        slack,
        int(rng.integers(2**31)),
    )


def _bottom(rng: np.random.Generator, group: str, held_out: bool) -> Garment:
    waist = rng.uniform(-0.23, -0.13)
    length = rng.choice([-1.13, -1.06, -0.9, -0.66, -0.52], p=[0.56, 0.12, 0.07, 0.17, 0.08]) + rng.normal(0, 0.015)
    legging = group == "female" and rng.random() < 0.3

    def cut(points: Points) -> NDArray[np.float32]:
        y = points.rest[:, 1]
        return np.where(points.arm > 0.5, -1.0, np.minimum(waist - y, y - length)).astype(np.float32)

    fabric = random_fabric(rng, held_out, "plain" if legging else ("denim" if rng.random() < 0.35 else None))
    trims: list[Trim] = [_hem(rng), _side_seams(rng)]
    if not legging:
        trims += [_waistband(waist, rng), _fly(waist)]
        if rng.random() < 0.7:
            trims.append(_pockets(rng))
        if rng.random() < 0.12:
            trims.append(_side_stripe(rng))
    slack = 0.0 if legging else float(rng.choice([0.004, 0.01, 0.02], p=[0.45, 0.4, 0.15]))
    return Garment(
        "leggings" if legging else "trousers",
        cut,
        fabric,
        tuple(trims),
        0.002 if legging else 0.005,
        slack,
        int(rng.integers(2**31)),
    )


def _jacket(rng: np.random.Generator, held_out: bool) -> Garment:
    hem, gap = rng.uniform(-0.4, -0.12), rng.uniform(0.0, 0.07)
    closed = rng.random() < 0.4
    sleeve = 0.485 if rng.random() < 0.85 else -0.03

    def cut(points: Points) -> NDArray[np.float32]:
        x, y, z = points.rest.T
        joint = points.places.joint
        reach = joint["left_shoulder"][0] + sleeve - np.abs(x)
        lapel = np.clip((y - 0.02) / 0.2, 0, 1) * 0.05
        opening = np.abs(x) - (0.0 if closed else gap) - lapel
        front = (points.normal[:, 2] > 0) & (points.arm < 0.5) & (z > joint["neck"][2] - 0.02)
        neck = joint["neck"][1] - 0.005 - y
        body = np.minimum(np.minimum(y - hem, neck), np.where(front, opening, 1.0))
        return np.minimum(reach, np.where(points.arm > 0.5, 1.0, body)).astype(np.float32)

    trims: list[Trim] = [_hem(rng)]
    if closed:
        trims.append(_zip(rng))
    if rng.random() < 0.6:
        trims.append(_pockets(rng, height=(-0.2, -0.12)))
    return Garment(
        "jacket",
        cut,
        random_fabric(rng, held_out),
        tuple(trims),
        rng.uniform(0.008, 0.015),
        rng.uniform(0.005, 0.02),
        int(rng.integers(2**31)),
    )


def _shoes(rng: np.random.Generator) -> Garment:
    shaft = rng.choice([-0.03, 0.01, 0.06, 0.2], p=[0.4, 0.35, 0.17, 0.08])
    leather, sole, lace = random_colour(rng, 0.8), random_colour(rng, 0.9), random_colour(rng, 0.7)
    sandal = rng.random() < 0.06

    def cut(points: Points) -> NDArray[np.float32]:
        x, y, z = points.rest.T
        ankle = points.places.joint["left_ankle"]
        lip = ankle[1] + shaft - (0.25 if shaft < 0 else 0.0) * np.clip(z - ankle[2] - 0.02, 0, 0.12) - y
        if sandal:
            strap = np.sin((z - ankle[2]) * 120)
            lip = np.minimum(lip, np.where(y > points.places.floor + 0.02, 0.004 * strap, 1.0))
        return np.where(points.arm > 0.5, -1.0, lip).astype(np.float32)

    def trim(points: Points, border: NDArray, colour: NDArray) -> NDArray:
        x, y, z = points.rest.T
        ankle, floor = points.places.joint["left_ankle"], points.places.floor
        out = np.where((y < floor + 0.022)[:, None], sole, colour)
        tongue = (
            (np.abs(np.abs(x) - ankle[0]) < 0.022)
            & (z > ankle[2] + 0.03)
            & (z < ankle[2] + 0.14)
            & (points.normal[:, 1] > 0.3)
        )
        laces = tongue & (np.sin(z * 420) > 0.3)
        return np.where(laces[:, None], lace, out)

    def fabric(points: Points) -> NDArray[np.float32]:
        return np.broadcast_to(leather, (len(points), 3)).astype(np.float32)

    return Garment("sandals" if sandal else "shoes", cut, fabric, (trim,), 0.003 if sandal else 0.008, 0.0, 0)


def _socks(rng: np.random.Generator) -> Garment:
    top, colour = rng.choice([0.04, 0.12, 0.3]), random_colour(rng, 0.7)

    def cut(points: Points) -> NDArray[np.float32]:
        return np.where(points.arm > 0.5, -1.0, points.places.joint["left_ankle"][1] + top - points.rest[:, 1]).astype(
            np.float32
        )

    return Garment(
        "socks", cut, lambda points: np.broadcast_to(colour, (len(points), 3)).astype(np.float32), (_hem(rng),), 0.002
    )


def _gloves(rng: np.random.Generator) -> Garment:
    colour = random_colour(rng, 0.7)

    def cut(points: Points) -> NDArray[np.float32]:
        return (np.abs(points.rest[:, 0]) - points.places.joint["left_wrist"][0] + 0.02).astype(np.float32)

    return Garment(
        "gloves", cut, lambda points: np.broadcast_to(colour, (len(points), 3)).astype(np.float32), (), 0.003
    )


def _belt(rng: np.random.Generator) -> Garment:
    height, colour, buckle = rng.uniform(-0.2, -0.14), random_colour(rng, 0.9), np.array([0.5, 0.45, 0.3], np.float32)

    def cut(points: Points) -> NDArray[np.float32]:
        return np.where(points.arm > 0.5, -1.0, 0.018 - np.abs(points.rest[:, 1] - height)).astype(np.float32)

    def trim(points: Points, border: NDArray, colours: NDArray) -> NDArray:
        metal = (np.abs(points.rest[:, 0]) < 0.02) & (points.normal[:, 2] > 0.2)
        return np.where(metal[:, None], buckle, colours)

    return Garment(
        "belt", cut, lambda points: np.broadcast_to(colour, (len(points), 3)).astype(np.float32), (trim,), 0.004
    )


# ---------------------------------------------------------------- trims


def _band(colour: NDArray, where: NDArray, ink: NDArray | float, strength: float = 1.0) -> NDArray:
    amount = (strength * where)[:, None].astype(np.float32)
    return colour + amount * (np.asarray(ink, np.float32) - colour)


def _hem(rng: np.random.Generator) -> Trim:
    width = rng.choice([0.006, 0.012, 0.025, 0.045])
    ribbed = random_colour(rng) if rng.random() < 0.18 else None

    def trim(points: Points, border: NDArray, colour: NDArray) -> NDArray:
        if ribbed is not None:
            return _band(colour, border < width, ribbed)
        return colour * (1 - 0.35 * (np.abs(border - width) < 0.0018) - 0.25 * (border < 0.003))[:, None]

    return trim


def _side_seams(rng: np.random.Generator) -> Trim:
    ink = random_colour(rng) if rng.random() < 0.2 else None

    def trim(points: Points, border: NDArray, colour: NDArray) -> NDArray:
        seam = (np.abs(points.normal[:, 2]) < 0.035) & (points.leg > 0.3)
        return colour * (1 - 0.3 * seam)[:, None] if ink is None else _band(colour, seam, ink)

    return trim


def _side_stripe(rng: np.random.Generator) -> Trim:
    ink, count = random_colour(rng, 0.2), int(rng.integers(1, 4))

    def trim(points: Points, border: NDArray, colour: NDArray) -> NDArray:
        x, _, z = points.rest.T
        outer = (points.normal[:, 0] * np.sign(x) > 0.5) & (points.leg > 0.3)
        across = z - points.places.joint["left_knee"][2]
        stripe = (
            outer
            & (np.abs(across) < 0.011 * count)
            & (np.sin(across * np.pi / 0.011 + (np.pi / 2 if count % 2 else 0)) > -0.2)
        )
        return _band(colour, stripe, ink)

    return trim


def _waistband(waist: float, rng: np.random.Generator) -> Trim:
    depth = rng.uniform(0.02, 0.045)

    def trim(points: Points, border: NDArray, colour: NDArray) -> NDArray:
        edge = np.abs(waist - points.rest[:, 1] - depth) < 0.002
        loops = (points.rest[:, 1] > waist - depth) & (np.mod(points.around, 0.09) < 0.008)
        return colour * (1 - 0.35 * edge - 0.25 * loops)[:, None]

    return trim


def _fly(waist: float) -> Trim:
    def trim(points: Points, border: NDArray, colour: NDArray) -> NDArray:
        x, y, _ = points.rest.T
        line = (np.abs(x - 0.012) < 0.0018) & (y > waist - 0.15) & (points.normal[:, 2] > 0.2)
        button = (np.hypot(x, y - waist + 0.017) < 0.007) & (points.normal[:, 2] > 0)
        return _band(colour * (1 - 0.35 * line)[:, None], button, 0.35)

    return trim


def _pockets(rng: np.random.Generator, height: tuple[float, float] = (-0.3, -0.22)) -> Trim:
    top, slope = rng.uniform(*height), rng.uniform(-0.5, 0.8)

    def trim(points: Points, border: NDArray, colour: NDArray) -> NDArray:
        x, y, _ = points.rest.T
        across = np.abs(x) - 0.1
        front = (np.abs(y - top - slope * across) < 0.002) & (np.abs(across) < 0.045) & (points.normal[:, 2] > 0.15)
        inside = (np.abs(across) < 0.06) & (np.abs(y - top + 0.09) < 0.06) & (points.normal[:, 2] < -0.15)
        rim = np.minimum(0.06 - np.abs(across), 0.06 - np.abs(y - top + 0.09)) < 0.003
        return colour * (1 - 0.4 * front - 0.3 * (inside & rim))[:, None]

    return trim


def _placket(rng: np.random.Generator) -> Trim:
    ink, pitch = random_colour(rng, 0.8), rng.uniform(0.06, 0.09)

    def trim(points: Points, border: NDArray, colour: NDArray) -> NDArray:
        x, y, _ = points.rest.T
        ahead = points.normal[:, 2] > 0.2
        edge = ahead & (np.abs(np.abs(x) - 0.016) < 0.0015)
        button = ahead & (np.hypot(x, np.mod(y, pitch) - pitch / 2) < 0.0055)
        collar = (border < 0.04) & (y > 0.17) & (points.arm < 0.4)
        fold = collar & (border > 0.036)
        return _band(colour * (1 - 0.3 * edge - 0.4 * fold + 0.06 * collar)[:, None], button, ink)

    return trim


def _zip(rng: np.random.Generator) -> Trim:
    ink = random_colour(rng, 0.6)

    def trim(points: Points, border: NDArray, colour: NDArray) -> NDArray:
        teeth = (np.abs(points.rest[:, 0]) < 0.006) & (points.normal[:, 2] > 0.1)
        return _band(colour, teeth, ink)

    return trim


def _printed(picture: Print) -> Trim:
    def trim(points: Points, border: NDArray, colour: NDArray) -> NDArray:
        return picture.onto(points, colour.astype(np.float32))

    return trim


def _sleeves_of(fabric: Fabric) -> Trim:
    """Raglan sleeves of another fabric."""

    def trim(points: Points, border: NDArray, colour: NDArray) -> NDArray:
        arm = points.arm > 0.5
        out = np.array(colour)
        if arm.any():
            out[arm] = fabric(subset(points, np.flatnonzero(arm)))
        return out

    return trim
