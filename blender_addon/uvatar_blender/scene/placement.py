# SPDX-License-Identifier: GPL-3.0-or-later
"""Placing new avatars beside what is in the scene, according to their width."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import bpy
import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Floats
from .mesh import evaluated_vertices
from .rig import RigError, find_body, find_rig, is_rig

GAP = 0.15  # metres between neighbours: hanging hands do not touch, and the row still looks like a row
WIDEST = 4.0  # metres: anything wider is part of the set, such as a wall or a room, and is no obstacle
STEP = 0.2  # metres: one can stand on anything lower
IN_THE_AIR = 0.08  # metres above the ground from which the lowest of a photo's people stands on nothing
_AT_ONCE = 100  # objects that are examined in one slice

Box = NDArray[np.float64]
"""(2, 3) minimum and maximum corner of a bounding box in world space."""


def avatar_box(rig: bpy.types.Object) -> Box:
    """Return the box of the avatar's mesh, in the pose and shape that Blender evaluated last.

    Raises:
        RigError: the avatar has no mesh.
    """
    return points_box(evaluated_vertices(find_body(rig)))


def points_box(points: Floats) -> Box:
    """Return the box of points (N, 3)."""
    return np.array((points.min(0), points.max(0)), np.float64)


def around(boxes: Sequence[Box]) -> Box:
    """Return the box that contains these boxes."""
    return np.array((np.min([box[0] for box in boxes], axis=0), np.max([box[1] for box in boxes], axis=0)))


def avatar_boxes(scene: bpy.types.Scene) -> list[Box]:
    """Return the boxes of the avatars in the scene, except those without a mesh."""
    rigs = [thing for thing in scene.objects if is_rig(thing)]
    if not rigs:
        return []  # without evaluating a scene that may be large
    boxes = []
    for rig in rigs:
        try:
            boxes.append(avatar_box(rig))
        except RigError:
            continue
    return boxes


def other_boxes(scene: bpy.types.Scene) -> Iterator[Box | None]:
    """Yield the boxes of the visible meshes that belong to no avatar, and None where a slice may end."""
    for number, thing in enumerate(list(scene.objects)):
        if number % _AT_ONCE == _AT_ONCE - 1:
            yield None
        with suppress(ReferenceError):  # deleted between two slices
            if thing.type == "MESH" and thing.visible_get() and find_rig(thing) is None:
                corners = (
                    np.array([tuple(corner) for corner in thing.bound_box]) @ np.array(thing.matrix_world)[:3, :3].T
                )
                yield points_box(corners + np.array(thing.matrix_world.translation))


def ground_below(feet: Sequence[float], ground: float | None) -> float:
    """Return the z of the ground in the world of the photo: the lowest foot, unless all are in the air.

    Args:
        feet: the lowest z of each of the people.
        ground: metres that it is below the camera, if that is known.
    """
    lowest = min(feet, default=0.0)
    return -ground if ground is not None and lowest + ground > IN_THE_AIR else lowest


def free_step(box: Box, avatars: Iterable[Box], others: Iterable[Box] = ()) -> float:
    """Return by how many metres along +x a box must be moved to be beside all avatars and to intersect nothing else.

    How far back the avatars stand does not matter. What is wide or low is no obstacle: a floor, a room, a backdrop, a
    carpet.

    Args:
        box: the box to be moved.
        avatars: boxes of avatars.
        others: boxes of other objects.
    """
    taken = [(float(low[0]), float(high[0])) for low, high in avatars]
    taken += [(float(low[0]), float(high[0])) for low, high in others if _would_cut(box, low, high)]
    step = 0.0
    for low, high in sorted(taken):
        if box[0, 0] + step < high + GAP and low - GAP < box[1, 0] + step:
            step = high + GAP - float(box[0, 0])
    return step


def _would_cut(box: Box, low: Floats, high: Floats) -> bool:
    """Whether something overlaps the box in depth and height, so that the two would intersect at the same x."""
    deep = low[1] < box[1, 1] and box[0, 1] < high[1]
    tall = min(high[2], box[1, 2]) - max(low[2], box[0, 2]) > STEP
    return bool(deep and tall and high[0] - low[0] <= WIDEST)
