# SPDX-License-Identifier: GPL-3.0-or-later
"""Light that scatters below the skin, for close-ups."""

from __future__ import annotations

import bpy

from .material import avatar_materials
from .material_slots import WHOLE
from .rig import RigError, find_body

# Of the Principled BSDF: share of scattered light, and metres that red light travels; usual values for faces.
_WEIGHT, _METRES = 0.2, 0.006


def skin_material(body: bpy.types.Object) -> bpy.types.Material | None:
    """Return the material of the skin's slot; None where the avatar has one material for everything."""
    materials = avatar_materials(body)
    base = next((material[WHOLE] for material in materials if WHOLE in material), None)
    return next((material for material in materials if material.name.startswith(f"{base} skin")), None)


def has_subsurface(body: bpy.types.Object) -> bool:
    """Whether light scatters below the skin."""
    skin = skin_material(body)
    return skin is not None and any(node.inputs["Subsurface Weight"].default_value > 0 for node in _shaders(skin))


def set_subsurface(rig: bpy.types.Object, on: bool) -> None:
    """Let light scatter below the skin, or not.

    Raises:
        RigError: the avatar has no slot for skin.
    """
    skin = skin_material(find_body(rig))
    if skin is None:
        raise RigError(f"{rig.name} has no material slot for skin; press Material Slots first.")
    for node in _shaders(skin):
        node.inputs["Subsurface Weight"].default_value = _WEIGHT if on else 0.0
        node.inputs["Subsurface Scale"].default_value = _METRES


def _shaders(material: bpy.types.Material) -> list[bpy.types.Node]:
    return [node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED"]
