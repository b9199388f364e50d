# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of materials that other programs can read: without overlay, and with all images in files or packed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import bpy
import numpy as np

from .copies import Names, own_copy
from .cornea import dull_eyes
from .even_light import in_light
from .material import OTHER_LIGHT, SKIN_ROUGHNESS, SKIN_SPECULAR, TEXTURE, show_sources


def plain_materials(meshes: Sequence[bpy.types.Object], names: Names, principled: bool, even: bool) -> None:
    """Replace the materials of copied mesh objects by plain copies with the same names.

    Args:
        meshes: the copies, whose materials are still the originals.
        names: gives the copies the names of the originals.
        principled: turn an unlit material into a Principled one; FBX and USD have no other.
        even: leave the photo's light out of the textures of materials that are lit; otherwise they are as shown.
    """
    pictures: dict[bpy.types.Image, bpy.types.Image] = {}
    evened: dict[bpy.types.Image, bpy.types.Image] = {}
    materials: dict[bpy.types.Material, bpy.types.Material] = {}
    for slot in [slot for mesh in meshes for slot in mesh.material_slots]:
        original = slot.material
        if original is None:
            continue
        if original not in materials:
            material = materials[original] = own_copy(original)
            names.take(material, original.name, bpy.data.materials)
            if material.node_tree is not None:
                _make_plain(material, principled)
                if even:
                    _make_even(material.node_tree, evened, names)
                _keep_pictures(material.node_tree, pictures, names)
        slot.material = materials[original]


def _make_plain(material: bpy.types.Material, principled: bool) -> None:
    tree = material.node_tree
    texture = tree.nodes.get(TEXTURE)
    if texture is None:
        return
    show_sources(material, 0.0)
    dull_eyes(material)  # no exporter reads such nodes
    shader = next((link.to_node for link in texture.outputs["Color"].links if link.to_node.type == "EMISSION"), None)
    if shader is None:
        return
    mix = next((link.to_node for link in shader.outputs[0].links if link.to_node.type == "MIX_SHADER"), None)
    if not principled:
        if mix is not None:  # the glTF exporter knows transparency of unlit materials by a colour here
            tree.links.new(texture.outputs["Color"], mix.inputs[2])
        return
    lit = tree.nodes.new("ShaderNodeBsdfPrincipled")
    lit.inputs["Roughness"].default_value, lit.inputs["Specular IOR Level"].default_value = (
        SKIN_ROUGHNESS,
        SKIN_SPECULAR,
    )
    if mix is not None:  # with what is transparent
        tree.links.new(mix.inputs[0].links[0].from_socket, lit.inputs["Alpha"])
    for link in list((mix or shader).outputs[0].links):
        tree.links.new(lit.outputs[0], link.to_socket)
    tree.links.new(texture.outputs["Color"], lit.inputs["Base Color"])
    tree.nodes.remove(shader)


def _make_even(tree: bpy.types.NodeTree, evened: dict[bpy.types.Image, bpy.types.Image], names: Names) -> None:
    """Leave the photo's light out of the texture; ``evened``: images that this was done to already."""
    texture = tree.nodes.get(TEXTURE)
    if texture is None or texture.image is None or not any(node.type == "BSDF_PRINCIPLED" for node in tree.nodes):
        return
    shown = texture.image
    if shown not in evened:
        found = in_light(shown, even=True)
        if found == shown.get(OTHER_LIGHT):  # the avatar's own, which must keep its name
            found = own_copy(found)
        evened[shown] = found
        if shown.library is None:  # a linked image keeps its name whatever happens
            names.take(found, shown.name, bpy.data.images)
    texture.image = evened[shown]


def _keep_pictures(tree: bpy.types.NodeTree, pictures: dict[bpy.types.Image, bpy.types.Image], names: Names) -> None:
    """Replace each image that is newer in memory than in its file, or has no file, by a packed copy."""
    for node in tree.nodes:
        image = node.image if node.type == "TEX_IMAGE" else None
        if image is None or not _only_in_memory(image):
            continue
        if image not in pictures:
            pictures[image] = _packed(image)
            names.take(pictures[image], image.name, bpy.data.images)
        node.image = pictures[image]


def _only_in_memory(image: bpy.types.Image) -> bool:
    if image.source not in ("FILE", "GENERATED") or not min(image.size):
        return False  # movies, sequences and UDIM tiles
    if image.is_dirty or (image.source == "GENERATED" and image.packed_file is None):
        return True
    return (
        image.packed_file is None
        and image.has_data
        and not Path(bpy.path.abspath(image.filepath, library=image.library)).is_file()
    )


def _packed(image: bpy.types.Image) -> bpy.types.Image:
    """Make a packed image with the pixels as they are in memory."""
    width, height = image.size
    transparent = image.depth in (32, 64, 128)  # bits per pixel of images with four channels
    copy = bpy.data.images.new("packed", width, height, alpha=transparent, float_buffer=image.is_float)
    copy.colorspace_settings.name, copy.alpha_mode = image.colorspace_settings.name, image.alpha_mode
    pixels = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    if image.channels != copy.channels:
        whole = np.ones((width * height, copy.channels), np.float32)
        whole[:, : image.channels] = pixels.reshape(-1, image.channels)[:, : copy.channels]
        pixels = whole.ravel()
    copy.pixels.foreach_set(pixels)
    copy.pack()
    # The glTF exporter names the image after its file.
    copy.filepath_raw = f"//{re.sub(r'[/:]', '_', Path(image.name).stem)}.{'exr' if image.is_float else 'png'}"
    return copy
