# SPDX-License-Identifier: GPL-3.0-or-later
"""Where new avatars stand: beside what is there, by their own width."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import bpy
import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Floats
from .mesh import evaluated_vertices
from .rig import RigError, find_body, find_rig, is_rig

GAP = 0.15  # metres of air between neighbours: hands that hang do not touch, and the row still looks like one
WIDEST = 4.0  # metres: a wider thing is a part of the set, such as a wall or a room, and nobody is moved to its end
STEP = 0.2  # metres: what is lower can be stood upon
_AT_ONCE = 100  # objects that are looked at in a slice

Box = NDArray[np.float64]
"""(2, 3) the least and the greatest corner in the world, metres."""


def avatar_box(rig: bpy.types.Object) -> Box:
    """The box around the avatar's mesh, as it is posed and shaped when Blender has last evaluated it.

    Raises RigError without a mesh.
    """
    return points_box(evaluated_vertices(find_body(rig)))


def points_box(points: Floats) -> Box:
    """The box around points (N, 3)."""
    return np.array((points.min(0), points.max(0)), np.float64)


def around(boxes: Sequence[Box]) -> Box:
    """The box around boxes."""
    return np.array((np.min([box[0] for box in boxes], axis=0), np.max([box[1] for box in boxes], axis=0)))


def avatar_boxes(scene: bpy.types.Scene) -> list[Box]:
    """The boxes of the avatars that are in the scene; all who lack a mesh are left out."""
    rigs = [thing for thing in scene.objects if is_rig(thing)]
    if not rigs:
        return []  # without having Blender look at a scene that may be large
    boxes = []
    for rig in rigs:
        try:
            boxes.append(avatar_box(rig))
        except RigError:
            continue
    return boxes


def other_boxes(scene: bpy.types.Scene) -> Iterator[Box | None]:
    """The boxes of the visible meshes that are no avatar's; None now and then, where a slice may end."""
    for number, thing in enumerate(list(scene.objects)):
        if number % _AT_ONCE == _AT_ONCE - 1:
            yield None
        with suppress(ReferenceError):  # deleted between two slices
            if thing.type == "MESH" and thing.visible_get() and find_rig(thing) is None:
                corners = (
                    np.array([tuple(corner) for corner in thing.bound_box]) @ np.array(thing.matrix_world)[:3, :3].T
                )
                yield points_box(corners + np.array(thing.matrix_world.translation))


def free_step(box: Box, avatars: Iterable[Box], others: Iterable[Box] = ()) -> float:
    """Metres along +x by which a box must be moved to be beside all avatars, however far back they stand, and to cut
    into nothing else.

    What is wide or low is no obstacle: a floor, a room, a backdrop, a carpet.
    """
    taken = [(float(low[0]), float(high[0])) for low, high in avatars]
    taken += [(float(low[0]), float(high[0])) for low, high in others if _would_cut(box, low, high)]
    step = 0.0
    for low, high in sorted(taken):
        if box[0, 0] + step < high + GAP and low - GAP < box[1, 0] + step:
            step = high + GAP - float(box[0, 0])
    return step


def _would_cut(box: Box, low: Floats, high: Floats) -> bool:
    """Whether something is as far back and as high as the box, so that it would cut into it at the same place in x."""
    deep = low[1] < box[1, 1] and box[0, 1] < high[1]
    tall = min(high[2], box[1, 2]) - max(low[2], box[0, 2]) > STEP
    return bool(deep and tall and high[0] - low[0] <= WIDEST)
