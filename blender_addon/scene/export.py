# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing avatars to files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from .mesh import key_vertices, mixed_vertices
from .rig import beta_names, clear_pose, find_body


def save_blend(path: Path) -> None:
    """Save the file as a compressed copy of the current one; its pictures are packed already. OSError where it cannot be written."""
    with _as_os_error(path):
        bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True, compress=True, check_existing=False)


def export_glb(rig: bpy.types.Object, path: Path) -> None:
    """Write one avatar as a glTF binary: mesh, skin and texture, at rest in the T pose, at the origin; no camera.

    What is seen is what is exported: shape and clothing become the base mesh. The shape sliders stay as morph targets with
    weight 0 = this person (glTF knows only weights from 0 to 1, and many engines clamp them). The .blend is not changed.
    OSError where the file cannot be written.
    """
    with _game_copy(rig) as (copied_rig, copied_body), _as_os_error(path), _only_selected([copied_rig, copied_body]):
        bpy.ops.export_scene.gltf(
            filepath=str(path),
            export_format="GLB",
            use_selection=True,
            export_cameras=False,
            export_lights=False,
            export_animations=False,
            export_rest_position_armature=True,
            export_influence_nb=4,
            export_all_influences=False,
            export_morph=True,
            export_morph_normal=True,
            export_extras=True,
            export_yup=True,
        )


@contextmanager
def _game_copy(rig: bpy.types.Object) -> Iterator[tuple[bpy.types.Object, bpy.types.Object]]:
    """A copy of rig and body at the origin, at rest, with the shape baked in, under the originals' names while it lasts."""
    originals = (rig, find_body(rig))
    copies = tuple(original.copy() for original in originals)
    renamed: list[tuple[bpy.types.ID, bpy.types.ID, str]] = []
    try:
        for original, copy in zip(originals, copies, strict=True):
            copy.data = original.data.copy()
            bpy.context.scene.collection.objects.link(copy)
            for old, new in ((original, copy), (original.data, copy.data)):
                name = old.name
                old.name = f"{name} original"
                new.name = name
                renamed.append((old, new, name))
        copied_rig, copied_body = copies
        copied_body.parent = copied_rig
        for modifier in copied_body.modifiers:
            if modifier.type == "ARMATURE" and modifier.object == rig:
                modifier.object = copied_rig
        copied_rig.animation_data_clear()
        copied_rig.matrix_world.identity()
        clear_pose(copied_rig)
        _bake_shape(copied_body, beta_names(rig))
        bpy.context.view_layer.update()
        yield copied_rig, copied_body
    finally:
        bpy.data.batch_remove([owned for copy in copies for owned in (copy, copy.data)])
        for old, _, name in renamed:
            old.name = name


def _bake_shape(body: bpy.types.Object, betas: list[str]) -> None:
    """Make the mix of all shape keys the basis; the shape sliders start at 0 from there, all other keys go."""
    keys = body.data.shape_keys.key_blocks
    mixed, basis = mixed_vertices(body), key_vertices(keys[0])
    for key in list(keys)[1:]:
        if key.name in betas:
            key.data.foreach_set("co", (mixed + key_vertices(key) - basis).ravel())
            key.value = 0.0
        else:
            body.shape_key_remove(key)
    keys[0].data.foreach_set("co", mixed.ravel())
    body.data.vertices.foreach_set("co", mixed.ravel())
    body.data.update()


@contextmanager
def _only_selected(things: list[bpy.types.Object]) -> Iterator[None]:
    layer = bpy.context.view_layer
    before, active = list(layer.objects.selected), layer.objects.active
    for thing in before:
        thing.select_set(False)
    for thing in things:
        thing.select_set(True)
    layer.objects.active = things[0]
    try:
        yield
    finally:
        for thing in before:
            thing.select_set(True)
        layer.objects.active = active


@contextmanager
def _as_os_error(path: Path) -> Iterator[None]:
    """Blender's operators raise RuntimeError with a report, or with a traceback whose last line of its own says what is wrong."""
    try:
        yield
    except RuntimeError as error:
        lines = [line for line in str(error).strip().splitlines() if not line.startswith("Location:")]
        raise OSError(f"{path} could not be written: {lines[-1]}") from error
