# SPDX-License-Identifier: GPL-3.0-or-later
"""Packed pictures, and the avatar's material."""

from __future__ import annotations

import bpy

from . import compat

SKIN_ROUGHNESS = 0.6  # between skin and cloth: photos do not tell them apart
SKIN_SPECULAR = 0.3  # the photo's own highlights are in the texture already


def packed_image(name: str, encoded: bytes, color_space: str = "sRGB") -> bpy.types.Image:
    """An image of these PNG or JPEG bytes, packed into the .blend as they are. ValueError where they are no picture."""
    image = bpy.data.images.new(name, 1, 1)
    image.pack(data=encoded, data_len=len(encoded))
    image.source = "FILE"
    image.colorspace_settings.name = color_space
    if image.size[0] == 0:
        bpy.data.images.remove(image)
        raise ValueError(f"{name} is not a picture.")
    image.filepath_raw = f"//{name}"
    return image


def build_material(
    name: str, texture: bpy.types.Image | None, source: bpy.types.Image | None = None, unlit: bool = False
) -> bpy.types.Material:
    """The avatar's material.

    Args:
        texture: base colour; None leaves a plain grey body.
        source: which texels the photo shows (0 empty 1 seen 2 mirrored 3 completed 4 predicted). Kept in the material, not
            connected: it says what to trust, it is not to be seen.
        unlit: show the texture's colours as they are, without light, instead of a Principled surface.
    """
    material = bpy.data.materials.new(name)
    compat.enable_nodes(material)
    tree = material.node_tree
    tree.nodes.clear()
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    output.location = (300, 0)
    shader = tree.nodes.new("ShaderNodeEmission" if unlit else "ShaderNodeBsdfPrincipled")
    tree.links.new(shader.outputs[0], output.inputs["Surface"])
    if not unlit:
        shader.inputs["Roughness"].default_value = SKIN_ROUGHNESS
        shader.inputs["Specular IOR Level"].default_value = SKIN_SPECULAR
    if texture is not None:
        picture = _image_node(tree, texture, (-300, 0))
        tree.links.new(picture.outputs["Color"], shader.inputs["Color" if unlit else "Base Color"])
        tree.nodes.active = picture  # the picture that Texture Paint and baking work on
    if source is not None:
        labels = _image_node(tree, source, (-300, -300))
        labels.label, labels.interpolation = "Where texels come from", "Closest"
    return material


def _image_node(tree: bpy.types.NodeTree, image: bpy.types.Image, location: tuple[float, float]) -> bpy.types.Node:
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image, node.location = image, location
    return node
