"""Avatars as .glb files for game engines and viewers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from uvatar.gltf.document import Document, Look
from uvatar.gltf.presets import Preset
from uvatar.gltf.surface import Surface, body_at_rest, mixed, part_at_rest
from uvatar.gltf.vrm import VrmMeta, add_vrm
from uvatar.protocol.bone_names import Naming, joint_names
from uvatar.protocol.expressions import VISEMES
from uvatar.protocol.parts import parts_of

BODY, ARMATURE, MATERIAL = "Body", "Armature", "Avatar"
MIXAMO_PREFIX = "mixamorig:"
# Morph targets of Ready Player Me's avatars beside the 52 keys and 15 visemes, composed of the keys.
READY_PLAYER_ME_EXTRAS: Mapping[str, Mapping[str, float]] = {
    "mouthOpen": {"jawOpen": 1.0},
    "mouthSmile": {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0},
    "eyesClosed": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
    "eyesLookUp": {"eyeLookUpLeft": 1.0, "eyeLookUpRight": 1.0},
    "eyesLookDown": {"eyeLookDownLeft": 1.0, "eyeLookDownRight": 1.0},
}


def glb(person: Mapping[str, Any], preset: Preset, name: str, meta: VrmMeta | None = None) -> bytes:
    """The file of one person: at rest in a T pose, facing +z, the feet at y = 0, metres, no object rotated or scaled.

    Args:
        person: with the arrays of its body (`uvatar.protocol.people.people_of`).
        preset: how it is written.
        name: of the avatar.
        meta: what a VRM file says about the avatar and its use; None for a name and the strictest permissions.

    Raises:
        ValueError: the person's parts are damaged.
    """
    body, skeleton = body_at_rest(person, preset.shape_sliders)
    sliders = person["beta_names"] if preset.shape_sliders else ()
    names = joint_names(Naming[preset.naming], len(skeleton.parents))
    if not preset.bone_prefix:
        names = tuple(joint.removeprefix(MIXAMO_PREFIX) for joint in names)
    document = Document()
    skin, joints = document.add_skeleton(ARMATURE, skeleton, names)
    material = document.add_material(MATERIAL, Look(person["texture_png"]))
    surfaces = [(BODY, body, material)]
    for part in parts_of(person, len(skeleton.parents), len(person["betas"])):
        own = material if part.body_texture else document.add_material(part.material or part.name, Look.of_part(part))
        surfaces.append((part.name, part_at_rest(part, skeleton.ground, sliders), own))
    meshes = {}
    for mesh, plain, look in surfaces:
        surface = _with_visemes(plain) if preset.visemes else plain
        meshes[document.add_surface(mesh, surface, skin, look)] = tuple(surface.movements)
    if preset.vrm:
        add_vrm(document, dict(zip(names, joints, strict=True)), meshes, meta or VrmMeta(name))
    return document.to_bytes()


def _with_visemes(surface: Surface) -> Surface:
    if not surface.movements:
        return surface
    composed = {**VISEMES, **READY_PLAYER_ME_EXTRAS}
    made = {name: mixed(surface.movements, shares) for name, shares in composed.items()}
    return replace(surface, movements={**surface.movements, **made})
