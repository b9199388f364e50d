"""Borders of garments: signed distances on the rest body in metres, positive where there is cloth.

Each border's parameters are named as in section ``borders`` of `garments.yaml`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvatar.data.arrays import Floats
from uvatar_training.synthesis.anatomy import SurfacePoints

# Points -> signed distance (K,), positive inside.
Cut = Callable[[SurfacePoints], NDArray[np.float32]]
Border = Callable[[SurfacePoints, Any], Floats]


def cut_of(everywhere: Sequence[Cut], off_the_arms: Sequence[Cut], bare_arms: bool) -> Cut:
    """The intersection of all borders.

    Args:
        everywhere: borders that apply to the whole body.
        off_the_arms: borders that do not apply to the arms.
        bare_arms: whether the arms are left uncovered instead of being limited by ``everywhere`` alone.
    """

    def cut(points: SurfacePoints) -> NDArray[np.float32]:
        distance = np.full(len(points), np.inf)
        for border in everywhere:
            distance = np.minimum(distance, border(points))
        if off_the_arms:
            rest = np.minimum.reduce([border(points) for border in off_the_arms])
            distance = np.minimum(distance, np.where(points.arm > 0.5, -1.0 if bare_arms else 1.0, rest))
        return distance.astype(np.float32)

    return cut


def border_of(kind: str, values: Mapping[str, Any]) -> Cut:
    """The border ``kind``, a name of `BORDERS`, with its parameters."""
    border, settings = BORDERS[kind], SimpleNamespace(**values)
    return lambda points: border(points, settings)


def _sleeve(points: SurfacePoints, at: Any) -> Floats:
    distance: Floats = points.places.joint["left_shoulder"][0] + at.length - np.abs(points.rest[:, 0])
    return distance


def _above(points: SurfacePoints, at: Any) -> Floats:
    distance: Floats = points.rest[:, 1] - at.height
    return distance


def _tilted(points: SurfacePoints, at: Any) -> Floats:
    y, z = points.rest[:, 1], points.rest[:, 2] - points.places.joint["head"][2]
    distance: Floats = y - at.height - at.slope * z
    return distance


def _jagged(points: SurfacePoints, at: Any) -> Floats:
    distance: Floats = points.rest[:, 1] - at.height + at.jag * np.sin(points.rest[:, 0] * at.waves)
    return distance


def _below(points: SurfacePoints, at: Any) -> Floats:
    distance: Floats = at.height - points.rest[:, 1]
    return distance


def _below_joint(points: SurfacePoints, at: Any) -> Floats:
    distance: Floats = points.places.joint[at.joint][1] + at.height - points.rest[:, 1]
    return distance


def _beyond_joint(points: SurfacePoints, at: Any) -> Floats:
    distance: Floats = np.abs(points.rest[:, 0]) - points.places.joint[at.joint][0] + at.margin
    return distance


def _band(points: SurfacePoints, at: Any) -> Floats:
    distance: Floats = at.half - np.abs(points.rest[:, 1] - at.height)
    return distance


def _neckline(points: SurfacePoints, at: Any) -> Floats:
    x, y, z = points.rest.T
    neck = points.places.joint["neck"]
    if at.shape == "high":
        distance: Floats = np.minimum(neck[1] + at.collar - y, at.high)
        return distance
    front = np.clip((z - neck[2]) / at.front, 0, 1)
    base = neck[1] - at.drop - at.slope * np.clip(z - neck[2] - at.slope_from, 0, at.slope_reach)
    if at.shape in ("vee", "shirt"):
        dip = at.depth * np.clip(1 - np.abs(x) / at.vee, 0, 1)
    elif at.shape == "boat":
        dip = at.boat_slope * np.clip(np.abs(x) - at.boat, at.boat_dip, 0)
    else:
        dip = at.depth * np.exp(-((x / at.scoop) ** 2))
    distance = base - front * dip - y
    return distance


def _opening(points: SurfacePoints, at: Any) -> Floats:
    x, y, z = points.rest.T
    lapel = np.clip((y - at.lapel_from) / at.lapel_over, 0, 1) * at.lapel
    ahead = (points.normal[:, 2] > 0) & (points.arm < 0.5) & (z > points.places.joint["neck"][2] - at.behind)
    return np.where(ahead, np.abs(x) - at.gap - lapel, 1.0)


def _shoe(points: SurfacePoints, at: Any) -> Floats:
    _, y, z = points.rest.T
    ankle = points.places.joint["left_ankle"]
    throat = (at.throat if at.shaft < 0 else 0.0) * np.clip(z - ankle[2] - at.throat_from, 0, at.throat_reach)
    lip: Floats = ankle[1] + at.shaft - throat - y
    if not at.sandal:
        return lip
    strap = np.sin((z - ankle[2]) * at.straps)
    return np.minimum(lip, np.where(y > points.places.floor + at.sole, at.strap * strap, 1.0))


BORDERS: dict[str, Border] = {
    "sleeve": _sleeve,
    "above": _above,
    "tilted": _tilted,
    "jagged": _jagged,
    "below": _below,
    "below_joint": _below_joint,
    "beyond_joint": _beyond_joint,
    "band": _band,
    "neckline": _neckline,
    "opening": _opening,
    "shoe": _shoe,
}
