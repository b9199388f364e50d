"""Avatars as .glb files for game engines and viewers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from uvatar.gltf.document import Document
from uvatar.gltf.presets import MIXAMO_PREFIX, Preset
from uvatar.gltf.surface import Surface, body_at_rest, mixed
from uvatar.gltf.vrm import VrmMeta, add_vrm
from uvatar.protocol.bone_names import joint_names


def glb(person: Mapping[str, Any], preset: Preset, name: str, meta: VrmMeta | None = None) -> bytes:
    """The file of one person: at rest in a T pose, facing +z, the feet at y = 0, metres, no object rotated or scaled.

    Args:
        person: with the arrays of its body (`uvatar.protocol.people.people_of`).
        preset: how it is written.
        name: of the avatar.
        meta: what a VRM file says about the avatar and its use; None for a name and the strictest permissions.
    """
    surface, skeleton = body_at_rest(person, preset.shape_sliders)
    if preset.composed:
        surface = _with_composed(surface, preset.composed)
    names = joint_names(preset.naming, len(skeleton.parents))
    if not preset.bone_prefix:
        names = tuple(joint.removeprefix(MIXAMO_PREFIX) for joint in names)
    document = Document()
    skin, joints = document.add_skeleton("Armature", skeleton, names)
    material = document.add_material("Avatar", person["texture_png"])
    node = document.add_surface("Body", surface, skin, material)
    if preset.vrm:
        add_vrm(
            document, dict(zip(names, joints, strict=True)), {node: tuple(surface.movements)}, meta or VrmMeta(name)
        )
    return document.bytes()


def _with_composed(surface: Surface, composed: Mapping[str, Mapping[str, float]]) -> Surface:
    made = {name: mixed(surface.movements, shares) for name, shares in composed.items()}
    return replace(surface, movements={**surface.movements, **made}) if surface.movements else surface
