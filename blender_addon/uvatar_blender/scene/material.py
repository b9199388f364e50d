# SPDX-License-Identifier: GPL-3.0-or-later
"""Packed images, the avatar's material, and the overlay that shows where the texture comes from."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from ..protocol.colour import linear_channel
from ..protocol.parts import MASK, OPAQUE
from ..protocol.surface_kinds import USUAL_ROUGHNESS
from . import compat

SKIN_ROUGHNESS = USUAL_ROUGHNESS
SKIN_SPECULAR = 0.3  # low, because the highlights of the photo are in the texture already
TEXTURE, SOURCE, OVERLAY = "Uvatar texture", "Uvatar texture source", "Uvatar overlay"  # names of nodes
NORMALS = "Uvatar normals"  # name of a node
# Custom properties of the texture: the image as it was imported; the light in it; whether it is without that, the same
# texture with it, or without it, and the digest of its file when both were the same (`even_light`).
ORIGINAL, LIGHT, EVEN, OTHER_LIGHT = "uvatar_original", "uvatar_light", "uvatar_even", "uvatar_other_light"
SAME = "uvatar_same_as_other"
# Meaning of each texel label and its colour (sRGB, 0 to 255) in overlays: the palette of docs/result-schema.md.
LABELS = (
    ("Empty", (0, 0, 0)),
    ("Seen", (0, 158, 115)),
    ("Mirrored", (86, 180, 233)),
    ("Completed", (230, 159, 0)),
    ("Predicted", (204, 121, 167)),
)


def packed_image(name: str, encoded: bytes, color_space: str = "sRGB") -> bpy.types.Image:
    """Make an image of PNG or JPEG bytes, which are packed into the .blend as they are.

    Blender decodes it when it is first shown.
    """
    image = bpy.data.images.new(name, 1, 1)
    image.pack(data=encoded, data_len=len(encoded))
    image.source = "FILE"
    image.colorspace_settings.name = color_space
    image.filepath_raw = f"//{name}"
    return image


def read_pixels(image: bpy.types.Image) -> NDArray[np.float32]:
    """Read the pixels (H, W, 4) of an image as Blender stores them: 0 to 1, the bottom row first."""
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(height, width, 4)


def packed_texture(name: str, encoded: bytes) -> bpy.types.Image:
    """Make a packed texture with a packed copy of itself.

    Painting changes the image, and saving the image its packed bytes; the copy stays as it was imported.
    """
    image = packed_image(name, encoded)
    image[ORIGINAL] = packed_image(f"{name} as it came", encoded)
    return image


def images_of(image: bpy.types.Image) -> list[bpy.types.Image]:
    """Return the image and those that belong to it."""
    other = image.get(OTHER_LIGHT)
    others = [image.get(ORIGINAL), image.get(LIGHT), other, None if other is None else original_texture(other)]
    return [image, *(found for found in others if found is not None)]


def original_texture(image: bpy.types.Image) -> bpy.types.Image | None:
    """Return the copy of a `packed_texture` as it was imported; None if it has none."""
    return image.get(ORIGINAL)


@dataclass(frozen=True)
class Look:
    """How a surface looks, besides its texture.

    Attributes:
        roughness, specular: of the Principled BSDF.
        colour: sRGB, 0 to 1, without a texture; None for Blender's grey.
        alpha: what the texture's alpha channel does, one of `protocol.parts.ALPHA_MODES`.
        two_sided: whether faces are seen from behind.
    """

    roughness: float = SKIN_ROUGHNESS
    specular: float = SKIN_SPECULAR
    colour: tuple[float, float, float] | None = None
    alpha: str = OPAQUE
    two_sided: bool = True


SKIN = Look()


def build_material(
    name: str,
    texture: bpy.types.Image | None,
    source: bpy.types.Image | None = None,
    unlit: bool = False,
    look: Look = SKIN,
    normals: bpy.types.Image | None = None,
) -> bpy.types.Material:
    """Make the avatar's material.

    Args:
        name: of the material.
        texture: base colour; None for a plain grey body.
        source: where each texel comes from (0 empty 1 seen 2 mirrored 3 completed 4 predicted); `show_sources` lays it
            over the texture.
        unlit: show the colours of the texture unchanged, with an Emission shader instead of a Principled BSDF.
        look: of the surface.
        normals: normal map in tangent space, v up; an unlit material has none.
    """
    material = bpy.data.materials.new(name)
    compat.enable_nodes(material)
    tree = material.node_tree
    tree.nodes.clear()
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    output.location = (300, 0)
    shader = tree.nodes.new("ShaderNodeEmission" if unlit else "ShaderNodeBsdfPrincipled")
    tree.links.new(shader.outputs[0], output.inputs["Surface"])
    material.use_backface_culling = not look.two_sided
    if look.colour is not None:
        shader.inputs[0].default_value = (*(linear_channel(channel) for channel in look.colour), 1.0)
    if not unlit:
        shader.inputs["Roughness"].default_value = look.roughness
        shader.inputs["Specular IOR Level"].default_value = look.specular
    if texture is not None:
        picture = _image_node(tree, texture, TEXTURE, (-500, 0))
        tree.links.new(picture.outputs["Color"], shader.inputs[0])  # "Base Color" or "Color"
        if look.alpha != OPAQUE:
            _add_alpha(tree, picture, shader, look.alpha)
        if normals is not None and not unlit:
            _add_normals(tree, shader, normals)
        if source is not None:
            _add_overlay(tree, picture, source)
        for node in tree.nodes:
            node.select = False
        picture.select = True
        tree.nodes.active = picture  # the image that Texture Paint and baking use
    return material


def _image_node(
    tree: bpy.types.NodeTree, image: bpy.types.Image, name: str, location: tuple[float, float]
) -> bpy.types.Node:
    node = tree.nodes.new("ShaderNodeTexImage")
    node.name, node.image, node.location = name, image, location
    return node


def _add_alpha(tree: bpy.types.NodeTree, picture: bpy.types.Node, shader: bpy.types.Node, alpha: str) -> None:
    """Connect the texture's alpha channel in the ways that Blender's glTF exporter recognises."""
    opacity = picture.outputs["Alpha"]
    if alpha == MASK:
        step = tree.nodes.new("ShaderNodeMath")
        step.operation, step.location = "ROUND", (-200, -300)
        tree.links.new(opacity, step.inputs[0])
        opacity = step.outputs[0]
    if "Alpha" in shader.inputs:
        tree.links.new(opacity, shader.inputs["Alpha"])
        return
    (surface,) = shader.outputs[0].links
    clear, mix = tree.nodes.new("ShaderNodeBsdfTransparent"), tree.nodes.new("ShaderNodeMixShader")
    output = surface.to_socket
    tree.links.new(opacity, mix.inputs[0])
    tree.links.new(clear.outputs[0], mix.inputs[1])
    tree.links.new(shader.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], output)


def _add_normals(tree: bpy.types.NodeTree, shader: bpy.types.Node, normals: bpy.types.Image) -> None:
    """Connect a normal map in the way that exporters recognise."""
    bumps = _image_node(tree, normals, NORMALS, (-700, 350))
    mapped = tree.nodes.new("ShaderNodeNormalMap")
    mapped.location = (-300, 350)
    tree.links.new(bumps.outputs["Color"], mapped.inputs["Color"])
    tree.links.new(mapped.outputs["Normal"], shader.inputs["Normal"])


def _add_overlay(tree: bpy.types.NodeTree, texture: bpy.types.Node, source: bpy.types.Image) -> None:
    """Add nodes that mix a colour for each label into the texture; they are not connected to the shader yet."""
    labels = _image_node(tree, source, SOURCE, (-1000, -350))
    labels.label, labels.interpolation = "Texel sources", "Closest"
    spread = tree.nodes.new("ShaderNodeMath")  # label n, stored as n / 255 -> the middle of the n-th part of the ramp
    spread.operation, spread.location = "MULTIPLY_ADD", (-700, -350)
    spread.inputs[1].default_value, spread.inputs[2].default_value = 255 / len(LABELS), 0.5 / len(LABELS)
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    ramp.location, ramp.color_ramp.interpolation = (-500, -350), "CONSTANT"
    stops = ramp.color_ramp.elements
    while len(stops) < len(LABELS):
        stops.new(1.0)
    for number, (_, colour) in enumerate(LABELS):
        stops[number].position = number / len(LABELS)
        stops[number].color = (*(linear_channel(channel / 255) for channel in colour), 1.0)
    mix = tree.nodes.new("ShaderNodeMixRGB")
    mix.name, mix.label, mix.location = OVERLAY, "Overlay opacity", (-200, -150)
    tree.links.new(labels.outputs["Color"], spread.inputs[0])
    tree.links.new(spread.outputs[0], ramp.inputs["Fac"])
    tree.links.new(texture.outputs["Color"], mix.inputs["Color1"])
    tree.links.new(ramp.outputs["Color"], mix.inputs["Color2"])


def avatar_material(body: bpy.types.Object) -> bpy.types.Material | None:
    """Return the material of the body that `build_material` made, or the first of `material_slots.split_materials`.

    None if the user has replaced it.
    """
    return next(iter(avatar_materials(body)), None)


def avatar_materials(body: bpy.types.Object) -> list[bpy.types.Material]:
    """Return the materials of the body that show its texture, in the order of their slots."""
    materials = [slot.material for slot in body.material_slots]
    return [
        material
        for material in materials
        if material is not None and material.node_tree is not None and TEXTURE in material.node_tree.nodes
    ]


def texture_image(material: bpy.types.Material) -> bpy.types.Image:
    """Return the texture of a material of `build_material`."""
    return material.node_tree.nodes[TEXTURE].image


def source_image(material: bpy.types.Material) -> bpy.types.Image | None:
    """Return the image with the labels of the texels; None if there is none."""
    node = material.node_tree.nodes.get(SOURCE)
    return node.image if node is not None else None


def show_sources(material: bpy.types.Material, share: float) -> None:
    """Lay a colour for each source of texels over the texture.

    Only the link between texture and shader changes, so that without the overlay other programs find a plain texture.

    Args:
        material: the avatar's material.
        share: opacity of the overlay, 0 to 1; 0 removes it.
    """
    tree = material.node_tree
    texture, mix = tree.nodes[TEXTURE], tree.nodes.get(OVERLAY)
    if mix is None:
        return
    mix.inputs["Fac"].default_value = share
    wanted, other = (mix, texture) if share > 0 else (texture, mix)
    for link in list(tree.links):
        if link.from_node == other and link.to_node not in (mix, texture):
            tree.links.new(wanted.outputs["Color"], link.to_socket)


def shown_sources(material: bpy.types.Material) -> float:
    """Return the opacity of the overlay, 0 to 1; 0 if it is not shown."""
    tree = material.node_tree
    mix = tree.nodes.get(OVERLAY)
    shown = mix is not None and any(link.from_node == mix for link in tree.links)
    return float(mix.inputs["Fac"].default_value) if shown else 0.0
