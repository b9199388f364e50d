"""Trims: seams, hems, buttons, pockets and prints, which change a garment's colours.

Each trim's parameters are named as in section ``trims`` of `garments.yaml`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar_training.synthesis.anatomy import SurfacePoints, subset

# Points, distance to the border (K,) in metres, colours (K, 3) -> colours (K, 3), linear RGB.
Trim = Callable[[SurfacePoints, Floats, Floats], Floats]
Painter = Callable[[SurfacePoints, Floats, Floats, Any], Floats]


def trim_of(kind: str, values: Mapping[str, Any]) -> Trim:
    """The trim ``kind``, a name of `TRIMS`, with its parameters."""
    paint, settings = TRIMS[kind], SimpleNamespace(**values)
    return lambda points, border, colour: paint(points, border, colour, settings)


def _inked(colour: Floats, where: NDArray[np.bool_], ink: Floats | float) -> Floats:
    amount = where[:, None].astype(np.float32)
    return colour + amount * (np.asarray(ink, np.float32) - colour)


def _hem(points: SurfacePoints, border: Floats, colour: Floats, at: Any) -> Floats:
    if at.rib is not None:
        return _inked(colour, border < at.width, at.rib)
    seam = np.abs(border - at.width) < at.seam
    hemmed: Floats = colour * (1 - at.seam_shade * seam - at.edge_shade * (border < at.edge))[:, None]
    return hemmed


def _side_seams(points: SurfacePoints, border: Floats, colour: Floats, at: Any) -> Floats:
    seam = (np.abs(points.normal[:, 2]) < at.turned) & (points.leg > 0.3)
    return colour * (1 - at.shade * seam)[:, None] if at.ink is None else _inked(colour, seam, at.ink)


def _side_stripe(points: SurfacePoints, border: Floats, colour: Floats, at: Any) -> Floats:
    x, _, z = points.rest.T
    outer = (points.normal[:, 0] * np.sign(x) > 0.5) & (points.leg > 0.3)
    across = z - points.places.joint["left_knee"][2]
    waves = np.sin(across * np.pi / at.width + (np.pi / 2 if at.count % 2 else 0))
    return _inked(colour, outer & (np.abs(across) < at.width * at.count) & (waves > at.gap), at.ink)


def _waistband(points: SurfacePoints, border: Floats, colour: Floats, at: Any) -> Floats:
    edge = np.abs(at.waist - points.rest[:, 1] - at.depth) < at.seam
    loops = (points.rest[:, 1] > at.waist - at.depth) & (np.mod(points.around, at.loops) < at.loop)
    sewn: Floats = colour * (1 - at.seam_shade * edge - at.loop_shade * loops)[:, None]
    return sewn


def _fly(points: SurfacePoints, border: Floats, colour: Floats, at: Any) -> Floats:
    x, y, _ = points.rest.T
    line = (np.abs(x - at.aside) < at.seam) & (y > at.waist - at.length) & (points.normal[:, 2] > 0.2)
    button = (np.hypot(x, y - at.waist + at.button_below) < at.button) & (points.normal[:, 2] > 0)
    return _inked(colour * (1 - at.seam_shade * line)[:, None], button, at.button_ink)


def _pockets(points: SurfacePoints, border: Floats, colour: Floats, at: Any) -> Floats:
    x, y, _ = points.rest.T
    across = np.abs(x) - at.aside
    front = np.abs(y - at.top - at.slope * across) < at.seam
    front &= (np.abs(across) < at.half) & (points.normal[:, 2] > 0.15)
    wide, high = at.back_half - np.abs(across), at.back_half - np.abs(y - at.top + at.back_below)
    inside = (np.abs(across) < at.back_half) & (np.abs(y - at.top + at.back_below) < at.back_half)
    inside &= points.normal[:, 2] < -0.15
    rim = np.minimum(wide, high) < at.rim
    sewn: Floats = colour * (1 - at.seam_shade * front - at.rim_shade * (inside & rim))[:, None]
    return sewn


def _placket(points: SurfacePoints, border: Floats, colour: Floats, at: Any) -> Floats:
    x, y, _ = points.rest.T
    ahead = points.normal[:, 2] > 0.2
    edge = ahead & (np.abs(np.abs(x) - at.half) < at.seam)
    button = ahead & (np.hypot(x, np.mod(y, at.pitch) - at.pitch / 2) < at.button)
    collar = (border < at.collar) & (y > at.collar_from) & (points.arm < 0.4)
    fold = collar & (border > at.collar_fold)
    shade = 1 - at.seam_shade * edge - at.fold_shade * fold + at.collar_light * collar
    return _inked(colour * shade[:, None], button, at.ink)


def _zip(points: SurfacePoints, border: Floats, colour: Floats, at: Any) -> Floats:
    teeth = (np.abs(points.rest[:, 0]) < at.half) & (points.normal[:, 2] > 0.1)
    return _inked(colour, teeth, at.ink)


def _print(points: SurfacePoints, border: Floats, colour: Floats, at: Any) -> Floats:
    printed: Floats = at.picture.onto(points, colour.astype(np.float32))
    return printed


def _contrast_sleeves(points: SurfacePoints, border: Floats, colour: Floats, at: Any) -> Floats:
    """Raglan sleeves of another fabric."""
    arm = points.arm > 0.5
    out = np.array(colour)
    if arm.any():
        out[arm] = at.fabric(subset(points, np.flatnonzero(arm)))
    return out


def _buckle(points: SurfacePoints, border: Floats, colour: Floats, at: Any) -> Floats:
    metal = (np.abs(points.rest[:, 0]) < at.half) & (points.normal[:, 2] > 0.2)
    return np.where(metal[:, None], at.metal, colour)


def _soles_and_laces(points: SurfacePoints, border: Floats, colour: Floats, at: Any) -> Floats:
    x, y, z = points.rest.T
    ankle, floor = points.places.joint["left_ankle"], points.places.floor
    out = np.where((y < floor + at.thickness)[:, None], at.sole, colour)
    tongue = (np.abs(np.abs(x) - ankle[0]) < at.tongue_half) & (z > ankle[2] + at.tongue_from)
    tongue &= (z < ankle[2] + at.tongue_to) & (points.normal[:, 1] > 0.3)
    laces = tongue & (np.sin(z * at.laces) > at.lace_gap)
    return np.where(laces[:, None], at.lace, out)


TRIMS: dict[str, Painter] = {
    "hem": _hem,
    "side_seams": _side_seams,
    "side_stripe": _side_stripe,
    "waistband": _waistband,
    "fly": _fly,
    "pockets": _pockets,
    "placket": _placket,
    "zip": _zip,
    "print": _print,
    "contrast_sleeves": _contrast_sleeves,
    "buckle": _buckle,
    "soles_and_laces": _soles_and_laces,
}
