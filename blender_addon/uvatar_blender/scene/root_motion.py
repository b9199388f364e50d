# SPDX-License-Identifier: GPL-3.0-or-later
"""Root motion: the root, which engines move, carries the character over the ground instead of the pelvis."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Floats
from . import compat


def move_root(rig: bpy.types.Object, pelvis: str, root: str | None) -> None:
    """Move the horizontal translation (x and y) of a baked motion from the pelvis to the root.

    Height and rotation stay with the pelvis.

    Args:
        rig: the armature object.
        pelvis: the bone that moves, with a keyframe on every frame.
        root: a bone above it at the origin, with the axes of the armature; None for the armature object itself.
    """
    curves = {(curve.data_path, curve.array_index): curve for curve in compat.action_curves(rig)}
    path = f'pose.bones["{bpy.utils.escape_identifier(pelvis)}"].location'
    own = [curves[path, axis] for axis in range(3)]
    frames, _ = _keys(own[0])
    axes = np.array(rig.data.bones[pelvis].matrix_local.to_3x3())
    places = np.stack([_keys(curve)[1] for curve in own], -1) @ axes.T
    way = places * (1.0, 1.0, 0.0)
    stays = (places - way) @ axes
    for axis, curve in enumerate(own):
        _set_keys(curve, frames, stays[:, axis])
    target, group = "location", "Object Transforms"
    if root is not None:
        target, group = f'pose.bones["{bpy.utils.escape_identifier(root)}"].location', root
    maker = compat.more_curves(rig)
    for axis in range(3):
        _set_keys(maker(target, axis, group), frames, way[:, axis])


def _keys(curve: bpy.types.FCurve) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values = np.empty(2 * len(curve.keyframe_points), np.float32)
    curve.keyframe_points.foreach_get("co", values)
    return values[0::2].astype(np.float64), values[1::2].astype(np.float64)


def _set_keys(curve: bpy.types.FCurve, frames: Floats, values: Floats) -> None:
    points = curve.keyframe_points
    points.add(len(frames) - len(points))
    points.foreach_set("co", np.stack([frames, values], -1).astype(np.float32).ravel())
    points.foreach_set("interpolation", np.ones(len(frames), np.uint8))  # linear: there is a key on every frame
    curve.update()
