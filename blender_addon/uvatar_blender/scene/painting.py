# SPDX-License-Identifier: GPL-3.0-or-later
"""Completing a texture that the user has painted over: what is sent to the backend, and what comes back."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from pathlib import Path

import bpy

from ..core.pictures import PNG, Picture
from ..core.result import ResultError, TextureResult
from .avatar import UUID
from .even_light import keep_light
from .material import (
    LIGHT,
    avatar_material,
    avatar_materials,
    images_of,
    original_texture,
    packed_image,
    packed_texture,
    read_pixels,
    source_image,
    texture_image,
)
from .rig import RigError, find_body, is_rig


def painted_pictures(rig: bpy.types.Object, folder: Path, name: str) -> dict[Path, Picture]:
    """Return the images to send: the current texture, the labels of its texels, and the texture as it was imported.

    The backend compares the first with the last. Nothing is decoded or encoded here, on Blender's main thread: at 4096
    texels that would take seconds, while reading Blender's pixels takes some hundredths of one.

    Args:
        rig: the avatar's armature object.
        folder: where the files will be written.
        name: stem of the file names.

    Returns:
        The files, which are still to be written as PNG, and their contents.

    Raises:
        RigError: the avatar has no texture from the backend to complete.
    """
    material = avatar_material(find_body(rig))
    labels = source_image(material) if material is not None else None
    if material is None or labels is None:
        raise RigError(f"{rig.name} no longer has its material with texture and labels; import the avatar again.")
    texture = texture_image(material)
    original = original_texture(texture)
    if original is None:
        raise RigError("The texture is not the one that came with the avatar; import the avatar again.")
    images = {"": texture, " labels": labels, " as it came": original}
    return {folder / f"{name}{suffix}.png": _picture(image) for suffix, image in images.items()}


def apply_completed(result: TextureResult) -> bpy.types.Object:
    """Give the avatar whose texture was sent the completed one.

    The avatar is found by its UUID, which was the name given to `painted_pictures`.

    Returns:
        The avatar's armature object.

    Raises:
        ResultError: the avatar is not in this file, or the texture is for another body.
        RigError: the avatar is incomplete.
    """
    uuid = Path(result.name).stem
    rig = next((thing for thing in bpy.data.objects if is_rig(thing) and thing.get(UUID) == uuid), None)
    if rig is None:
        raise ResultError("The avatar whose texture was completed is not in this file.")
    material = avatar_material(find_body(rig))
    if material is None or rig.get("uvatar_body_model") != result.body_model:
        raise ResultError(f"The completed texture does not match {rig.name}.")
    shown = {node for other in avatar_materials(find_body(rig)) for node in other.node_tree.nodes}
    texture, source = texture_image(material), source_image(material)
    completed = packed_texture(texture.name, result.texture_png)
    keep_light(texture, completed)
    pictures = [(texture, completed)]
    if source is not None:
        pictures.append((source, packed_image(source.name, result.source_png, "Non-Color")))
    for old, new in pictures:
        for node in shown:
            if getattr(node, "image", None) == old:
                node.image = new
        name, light = old.name, new.get(LIGHT)
        if old.users == 0:  # otherwise another material uses it
            bpy.data.batch_remove([image for image in images_of(old) if image != light])
            new.name = name
    return rig


def _picture(image: bpy.types.Image) -> Picture:
    """Return the packed file if it is a PNG and nothing was painted since, otherwise the pixels.

    The size of an image must not be read before that, because Blender would decode its file.
    """
    if image.packed_file is not None and not image.is_dirty:
        data = bytes(image.packed_file.data)
        if data.startswith(PNG):
            return data
    return read_pixels(image)[:, :, :3]


def temporary_folder() -> Path:
    """Make a folder that Blender removes when it exits."""
    return Path(tempfile.mkdtemp(prefix="uvatar-", dir=bpy.app.tempdir))


def completed_steps(result: TextureResult) -> Generator[bool, None, list[bpy.types.Object]]:
    """Run `apply_completed` as one slice, like the imports that are built in slices.

    Yields:
        True: the tick should end here.

    Returns:
        The armature object of the avatar, in a list.
    """
    rigs = [apply_completed(result)]
    yield True
    return rigs
