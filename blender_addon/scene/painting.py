# SPDX-License-Identifier: GPL-3.0-or-later
"""A texture that the artist has painted over: what of it is hers, and what comes back completed."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from ..core.result import ResultError, TextureResult
from .material import avatar_material, original_texture, packed_image, packed_texture, source_image, texture_image
from .rig import RigError, find_body, is_rig

SEEN = 1
_CHANGED = 1.5 / 255  # of a channel: less is rounding


def write_painted(rig: bpy.types.Object, folder: Path, name: str) -> list[Path]:
    """Write the avatar's texture as it is now, and the labels of its texels, as two PNG files; their paths.

    Texels that were painted are labelled seen, as those that the photo shows: both are kept. All others may change.

    Raises RigError where there is no texture of the backend's to complete, OSError where the files cannot be written.
    """
    material = avatar_material(find_body(rig))
    source = source_image(material) if material is not None else None
    if material is None or source is None:
        raise RigError(f"{rig.name} has no material with texture and labels any more: import the avatar again.")
    image = texture_image(material)
    original = original_texture(image)
    if original is None or not tuple(original.size) == tuple(image.size) == tuple(source.size):
        raise RigError("The texture is not the one that came with the avatar, or its size was changed: import the avatar again.")
    labels = np.round(_pixels(source)[:, :, 0] * 255).astype(np.uint8)
    now = _pixels(image)
    painted = np.abs(now[:, :, :3] - _pixels(original)[:, :, :3]).max(2) > _CHANGED
    labels[painted & (labels > 0)] = SEEN
    paths = [folder / f"{name}.png", folder / f"{name} labels.png"]
    grey = np.repeat(labels[:, :, None].astype(np.float32) / 255, 4, axis=2)
    grey[:, :, 3] = 1
    for path, pixels in zip(paths, (now, grey), strict=True):
        _write_png(path, pixels)
    return paths


def apply_completed(result: TextureResult) -> bpy.types.Object:
    """Give the avatar whose texture was sent (`write_painted` with its uuid as name) the completed one; the avatar's rig.

    Raises ResultError where it is not in this file.
    """
    from .avatar import UUID  # it builds on this layer's other modules

    uuid = Path(result.name).stem
    rig = next((thing for thing in bpy.data.objects if is_rig(thing) and thing.get(UUID) == uuid), None)
    if rig is None:
        raise ResultError("The avatar whose texture was completed is not in this file.")
    material = avatar_material(find_body(rig))
    if material is None or rig.get("uvatar_body_model") != result.body_model:
        raise ResultError(f"The completed texture does not fit {rig.name}.")
    nodes = material.node_tree.nodes
    texture, source = texture_image(material), source_image(material)
    pictures = [(texture, packed_texture(texture.name, result.texture_png))]
    if source is not None:
        pictures.append((source, packed_image(source.name, result.source_png, "Non-Color")))
    for old, new in pictures:
        for node in nodes:
            if getattr(node, "image", None) == old:
                node.image = new
        name, original = old.name, original_texture(old)
        if old.users == 0:  # else another material of the artist's shows it
            bpy.data.batch_remove([image for image in (old, original) if image is not None])
            new.name = name
    return rig


def _pixels(image: bpy.types.Image) -> NDArray[np.float32]:
    """(H, W, 4) as Blender holds them, the lowest row first."""
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(height, width, 4)


def _write_png(path: Path, pixels: NDArray[np.float32]) -> None:
    """Write byte pixels (H, W, 4), their values as they are, as a PNG. OSError."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("Uvatar painted", width, height, alpha=False)
    try:
        image.colorspace_settings.name = "Non-Color"
        image.pixels.foreach_set(np.ascontiguousarray(pixels).ravel())
        image.file_format, image.filepath_raw = "PNG", str(path)
        image.save()
    except RuntimeError as error:
        raise OSError(f"{path.name} could not be written: {str(error).strip().splitlines()[-1]}") from error
    finally:
        bpy.data.images.remove(image)


def temporary_folder() -> Path:
    """A new folder that Blender removes when it ends."""
    return Path(tempfile.mkdtemp(prefix="uvatar-", dir=bpy.app.tempdir))


def completed_steps(result: TextureResult) -> Generator[bool, None, list[bpy.types.Object]]:
    """`apply_completed` as one slice, for whoever builds results in slices; its value: the avatar's rig."""
    rigs = [apply_completed(result)]
    yield True
    return rigs
