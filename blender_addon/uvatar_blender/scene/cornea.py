# SPDX-License-Identifier: GPL-3.0-or-later
"""The clear, wet surface of the eyes, which catches lights, in a material that body and eyeballs share."""

from __future__ import annotations

from collections.abc import Sequence

import bpy

from ..protocol.surface_kinds import roughness_of

EYES = "eyes"  # the material's name in the map of materials
_NODE = "Uvatar eyes"  # beginning of the nodes' names


def shine_eyes(material: bpy.types.Material, labels: bpy.types.Image, names: Sequence[str]) -> None:
    """Make a lit material as smooth as a cornea where the map says that eyes are; elsewhere it stays as it is.

    Args:
        material: of `material.build_material`.
        labels: the map of materials: 1 + the place in the names, over 255.
        names: of the materials. Without eyes among them, as in results of older versions, nothing changes.
    """
    if EYES not in names:
        return
    tree = material.node_tree
    for shader in [node for node in tree.nodes if node.type == "BSDF_PRINCIPLED"]:
        roughness = shader.inputs["Roughness"]
        picture = tree.nodes.new("ShaderNodeTexImage")
        picture.image, picture.interpolation, picture.label = labels, "Closest", "Materials"
        is_eye, mixed = tree.nodes.new("ShaderNodeMath"), tree.nodes.new("ShaderNodeMath")
        is_eye.operation, mixed.operation = "COMPARE", "MULTIPLY_ADD"
        is_eye.inputs[1].default_value, is_eye.inputs[2].default_value = (1 + names.index(EYES)) / 255, 0.5 / 255
        mixed.inputs[1].default_value = roughness_of(EYES) - roughness.default_value
        mixed.inputs[2].default_value = roughness.default_value
        tree.links.new(picture.outputs["Color"], is_eye.inputs[0])
        tree.links.new(is_eye.outputs[0], mixed.inputs[0])
        tree.links.new(mixed.outputs[0], roughness)
        for place, node in enumerate((picture, is_eye, mixed)):
            node.name, node.select = f"{_NODE} {place + 1}", False
            node.location = (-700 + 220 * place, -650)


def dull_eyes(material: bpy.types.Material) -> None:
    """Take `shine_eyes` back."""
    tree = material.node_tree
    for node in [node for node in tree.nodes if node.name.startswith(_NODE)]:
        tree.nodes.remove(node)
