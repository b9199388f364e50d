# SPDX-License-Identifier: GPL-3.0-or-later
"""The texture's light: as photographed, or even, without the photo's light and shade.

A texture from the backend knows the light that it holds. Each of the two is made of the other when it is first asked
for, of what is painted on it as well, and both stay with the avatar.
"""

from __future__ import annotations

import hashlib

import bpy
import numpy as np
from numpy.typing import NDArray

from ..core.pictures import encode_png
from ..protocol.even_light import as_photographed, evenly_lit
from .material import (
    EVEN,
    LIGHT,
    ORIGINAL,
    OTHER_LIGHT,
    SAME,
    avatar_materials,
    original_texture,
    packed_image,
    read_pixels,
    texture_image,
)
from .rig import RigError, find_body

_EVEN_NAME = " even"  # end of such a texture's name


def store_light(texture: bpy.types.Image, encoded: bytes) -> None:
    """Keep the backend's map of the light with the texture."""
    texture[LIGHT] = packed_image(f"{texture.name} light", encoded, "Non-Color")


def keep_light(old: bpy.types.Image, new: bpy.types.Image) -> None:
    """Let a texture that takes the place of another have that one's light."""
    if LIGHT in old:
        new[LIGHT], new[EVEN] = old[LIGHT], is_even(old)


def has_light(texture: bpy.types.Image | None) -> bool:
    """Whether the light in the texture is known; not without a texture, which may have been deleted."""
    return texture is not None and texture.get(LIGHT) is not None


def is_even(texture: bpy.types.Image) -> bool:
    """Whether the texture is without the photo's light."""
    return bool(texture.get(EVEN, False))


def show_light(rig: bpy.types.Object, even: bool) -> None:
    """Show an avatar's texture in even light, or as photographed.

    Raises:
        RigError: the avatar lost its material, or the backend that made it did not tell its light.
    """
    materials = avatar_materials(find_body(rig))
    if not materials:
        raise RigError(f"{rig.name} no longer has its original material.")
    shown = texture_image(materials[0])
    if not has_light(shown):
        raise RigError(f"{rig.name} lacks the map of the photo's light; make the avatar again with this version.")
    if is_even(shown) == even:
        return
    new = in_light(shown, even)
    before = shown.get(OTHER_LIGHT)
    if before is not None:
        del shown[OTHER_LIGHT]
    new[OTHER_LIGHT] = shown
    for image in (shown, new):
        image[SAME] = _digest(image)
    for material in materials:
        for node in material.node_tree.nodes:
            if getattr(node, "image", None) == shown:
                node.image = new
    if before not in (None, new) and before.users == 0:  # made before something was painted
        bpy.data.batch_remove([before])


def in_light(texture: bpy.types.Image, even: bool) -> bpy.types.Image:
    """Return the texture in even light, or as photographed: itself, the one it was made of, or a new image."""
    if not has_light(texture) or is_even(texture) == even:
        return texture
    other = texture.get(OTHER_LIGHT)
    if other is not None and not _painted(texture):
        return other
    stem = texture.name.removesuffix(_EVEN_NAME)
    made = packed_image(stem + _EVEN_NAME if even else stem, _converted(texture, even))
    original, of_other = original_texture(texture), original_texture(other) if other is not None else None
    if of_other is None and original is not None:
        of_other = packed_image(f"{made.name} as it came", _converted(original, even, texture[LIGHT]))
    if of_other is not None:
        made[ORIGINAL] = of_other
    made[LIGHT], made[EVEN] = texture[LIGHT], even
    return made


def _painted(texture: bpy.types.Image) -> bool:
    """Whether a texture has changed since it was made of another one, or another one of it."""
    if texture.is_dirty or texture.packed_file is None:
        return True
    return bool(texture.get(SAME) != _digest(texture))


def _digest(texture: bpy.types.Image) -> str:
    """Return the digest of the packed file; empty without one."""
    return "" if texture.packed_file is None else hashlib.sha256(texture.packed_file.data).hexdigest()


def _converted(texture: bpy.types.Image, even: bool, light: bpy.types.Image | None = None) -> bytes:
    """Return a PNG of the texture in the other light; ``light``: of the texture, if it has none of its own."""
    grey = _eight_bits(read_pixels(light or texture[LIGHT])[:, :, 0])
    changed = (evenly_lit if even else as_photographed)(_eight_bits(read_pixels(texture)), grey)
    floats = changed.astype(np.float32) / 255
    return encode_png(floats if texture.depth == 32 else floats[:, :, :3])


def _eight_bits(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    rounded: NDArray[np.uint8] = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return rounded
