# SPDX-License-Identifier: GPL-3.0-or-later
"""One .blend file per person, without touching what is open."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from pathlib import Path, PurePath

import bpy

from ..core.result import PhotoResult, ResultError
from .avatar import ImportOptions, import_steps
from .material import original_texture


def save_steps(result: PhotoResult, folder: Path, options: ImportOptions) -> Generator[None, None, list[Path]]:
    """Save each person of a photo as a .blend of its own in ``folder``, in slices; the files. No file that is there is replaced.

    People are built in a scene of their own, which is gone afterwards. Raises ResultError where a file cannot be written, too.
    """
    saved = []
    for index, avatar in enumerate(result.people):
        scene = bpy.data.scenes.new(PurePath(result.name).stem or "Photo")
        scene.unit_settings.system, scene.unit_settings.scale_length = "METRIC", 1.0
        steps = import_steps(result, scene, [index], options)
        made: list[bpy.types.ID] = [scene]
        try:
            while True:
                with bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0]):
                    try:
                        next(steps)
                    except StopIteration:
                        break
                yield
            made += scene.collection.children_recursive
            made += _owned(scene)
            path = _free_path(folder, f"{scene.name.split('.')[0]} {avatar.id}")
            try:
                bpy.data.libraries.write(str(path), {scene}, fake_user=False)  # compressing would take longer than a slice may
            except (RuntimeError, OSError) as error:
                raise ResultError(f"{path} could not be written: {str(error).strip().splitlines()[-1]}") from error
            saved.append(path)
        except ReferenceError as error:
            raise ResultError("Saving was stopped: what it had built was undone or deleted.") from error
        finally:
            steps.close()
            bpy.data.batch_remove(made)
        yield
    return saved


def _owned(scene: bpy.types.Scene) -> list[bpy.types.ID]:
    """Objects of the scene with their data, materials and pictures."""
    owned: dict[bpy.types.ID, None] = {}
    for thing in scene.objects:
        owned |= {thing: None, thing.data: None}
        for slot in thing.material_slots:
            owned[slot.material] = None
            for node in slot.material.node_tree.nodes:
                if getattr(node, "image", None):
                    owned[node.image] = None
                    owned |= {original_texture(node.image): None} if original_texture(node.image) else {}
        if thing.type == "CAMERA":
            owned |= {background.image: None for background in thing.data.background_images if background.image}
    return list(owned)


def _free_path(folder: Path, stem: str) -> Path:
    name = bpy.path.clean_name(stem, replace=" ")
    candidates = (folder / f"{name}{number}.blend" for number in itertools.chain([""], (f"-{n}" for n in itertools.count(2))))
    return next(path for path in candidates if not path.exists())
