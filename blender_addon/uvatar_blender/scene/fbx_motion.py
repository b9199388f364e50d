# SPDX-License-Identifier: GPL-3.0-or-later
"""The motion in an FBX file, such as Mixamo's, read by Blender's own importer."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from ..core.bvh import Capture
from ..core.motion import LONGEST, MotionError
from . import compat

_KINDS = ("objects", "armatures", "meshes", "materials", "images", "actions", "cameras", "lights", "collections")


def load_fbx(path: Path) -> Capture:
    """Read the skeleton that moves in an FBX file; the largest one if there are several. Needs Object Mode.

    The importer puts everything into the scene; all of it is removed again.

    Raises:
        MotionError: the file cannot be read, or nothing moves in it.
        OSError: the file cannot be opened.
    """
    path.open("rb").close()  # an OSError in the system's own words
    scene = bpy.context.scene
    before = {kind: set(getattr(bpy.data, kind)) for kind in _KINDS}
    kept = scene.render.fps, scene.render.fps_base, scene.frame_start, scene.frame_end, scene.frame_current
    active, selected = bpy.context.view_layer.objects.active, list(bpy.context.selected_objects)
    try:
        _import(path)
        new = [thing for thing in set(bpy.data.objects) - before["objects"] if thing.type == "ARMATURE"]
        moving = [thing for thing in new if compat.action_curves(thing)]
        if not moving:
            raise MotionError(f"{path.name} contains no skeleton that moves; export it with its animation.")
        return _sampled(max(moving, key=lambda thing: len(thing.data.bones)), scene)
    finally:
        bpy.data.batch_remove({item for kind in _KINDS for item in set(getattr(bpy.data, kind)) - before[kind]})
        scene.render.fps, scene.render.fps_base, scene.frame_start, scene.frame_end = kept[:4]
        scene.frame_set(kept[4])
        for thing in selected:
            thing.select_set(True)
        bpy.context.view_layer.objects.active = active


def _import(path: Path) -> None:
    try:
        if bpy.app.version >= (4, 5, 0):
            bpy.ops.wm.fbx_import(filepath=str(path), use_anim=True)
        else:
            bpy.ops.import_scene.fbx(filepath=str(path), use_anim=True)
    except (RuntimeError, AttributeError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise MotionError(f"{path.name} cannot be read as an FBX file: {lines[-1].removeprefix('Error: ')}") from error


def _sampled(rig: bpy.types.Object, scene: bpy.types.Scene) -> Capture:
    """Read the armature's bones on every frame of its action, in the scene's axes."""
    first, last = rig.animation_data.action.frame_range
    frames = range(math.floor(first), math.ceil(last) + 1)
    if len(frames) > LONGEST:
        raise MotionError(f"The motion has {len(frames)} frames; cut it into several clips.")
    bones = rig.data.bones
    names = [bone.name for bone in bones]
    number = {name: index for index, name in enumerate(names)}
    parents = tuple(number[bone.parent.name] if bone.parent else -1 for bone in bones)  # parents come first
    turned, places = np.empty((len(frames), len(names), 3, 3)), np.empty((len(frames), len(names), 3))
    world = np.array(rig.matrix_world)
    axes = np.array([bone.matrix_local.to_3x3() for bone in bones])
    unscaled = world[:3, :3] / np.linalg.norm(world[:3, :3], axis=0)
    for row, frame in enumerate(frames):
        scene.frame_set(frame)
        here = np.array(rig.matrix_world)
        pose = np.array([bone.matrix for bone in rig.pose.bones])
        places[row] = pose[:, :3, 3] @ here[:3, :3].T + here[:3, 3]
        rotations = pose[:, :3, :3] / np.linalg.norm(pose[:, :3, :3], axis=1, keepdims=True)
        turned[row] = (
            here[:3, :3] / np.linalg.norm(here[:3, :3], axis=0) @ rotations @ np.swapaxes(axes, 1, 2) @ unscaled.T
        )
    rest = _moved(world, np.array([bone.head_local for bone in bones]))
    ends = _moved(world, np.array([bone.tail_local for bone in bones]))
    rate = scene.render.fps / scene.render.fps_base
    return Capture(tuple(names), parents, rest, ends, turned, places, rate)


def _moved(world: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    placed: NDArray[np.float64] = points @ world[:3, :3].T + world[:3, 3]
    return placed
