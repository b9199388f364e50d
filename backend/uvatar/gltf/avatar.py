"""Avatars as .glb files for game engines and viewers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from uvatar.gltf.base_colour import base_colour
from uvatar.gltf.decimation import decimated
from uvatar.gltf.document import Document, Look
from uvatar.gltf.presets import LEVELS, Level, Preset
from uvatar.gltf.roughness import roughness_texture
from uvatar.gltf.surface import Skeleton, Surface, body_at_rest, mixed, part_at_rest
from uvatar.gltf.vrm import VrmMeta, add_vrm
from uvatar.protocol.bone_names import Naming, joint_names
from uvatar.protocol.expressions import EXPRESSIONS, VISEMES
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
    meshes, skeleton = _meshes(person, preset)
    return _written(meshes, skeleton, preset, meta or VrmMeta(name))


def lods(
    person: Mapping[str, Any], preset: Preset, name: str, meta: VrmMeta | None = None, levels: Sequence[Level] = LEVELS
) -> list[bytes]:
    """The files of one person at lower levels of detail, the finest first, otherwise as `glb`."""
    meshes, skeleton = _meshes(person, preset)
    shown = [[mesh for mesh in meshes if level.keys or not mesh.is_of_face] for level in levels]
    shares = [
        level.triangles / sum(len(mesh.surface.triangles) for mesh in some)
        for level, some in zip(levels, shown, strict=True)
    ]
    coarser = {
        mesh.name: decimated(
            mesh.surface, skeleton.heads, [int(share * len(mesh.surface.triangles)) for share in shares]
        )
        for mesh in meshes
    }
    written = []
    for number, (level, some) in enumerate(zip(levels, shown, strict=True)):
        reduced = [
            replace(mesh, surface=coarser[mesh.name][number], look=mesh.look.with_texture_of(level.texture))
            for mesh in some
            if len(coarser[mesh.name][number].triangles)  # something tiny has none left
        ]
        if not level.keys:
            reduced = [replace(mesh, surface=replace(mesh.surface, movements={})) for mesh in reduced]
        written.append(_written(reduced, skeleton, preset, meta or VrmMeta(name)))
    return written


@dataclass(frozen=True)
class _Mesh:
    """Body or part: its name, surface, the name of its material, and how that looks."""

    name: str
    surface: Surface
    material: str
    look: Look

    @property
    def is_of_face(self) -> bool:
        """Whether it is a part, such as teeth, that only a moving face needs."""
        return self.name != BODY and not set(EXPRESSIONS).isdisjoint(self.surface.movements)


def _meshes(person: Mapping[str, Any], preset: Preset) -> tuple[list[_Mesh], Skeleton]:
    body, skeleton = body_at_rest(person, preset.shape_sliders)
    sliders = person["beta_names"] if preset.shape_sliders else ()
    rough = roughness_texture(person.get("materials_png", b""), person.get("material_names", ()))
    normals = bytes(person.get("normals_png") or b"")
    look = Look(base_colour(person, preset.even_light), roughness_texture=rough, normal_texture=normals)
    meshes = [_Mesh(BODY, body, MATERIAL, look)]
    for part in parts_of(person, len(skeleton.parents), len(person["betas"])):
        own = (MATERIAL, look) if part.body_texture else (part.material or part.name, Look.of_part(part))
        meshes.append(_Mesh(part.name, part_at_rest(part, skeleton.ground, sliders), *own))
    return meshes, skeleton


def _written(meshes: Sequence[_Mesh], skeleton: Skeleton, preset: Preset, meta: VrmMeta) -> bytes:
    names = joint_names(Naming[preset.naming], len(skeleton.parents))
    if not preset.bone_prefix:
        names = tuple(joint.removeprefix(MIXAMO_PREFIX) for joint in names)
    document = Document(webp=preset.webp)
    skin, joints = document.add_skeleton(ARMATURE, skeleton, names)
    nodes, materials = {}, {}
    for mesh in meshes:
        key = (mesh.material, mesh.look)
        if key not in materials:
            materials[key] = document.add_material(*key)
        surface = _with_visemes(mesh.surface) if preset.visemes else mesh.surface
        nodes[document.add_surface(mesh.name, surface, skin, materials[key])] = tuple(surface.movements)
    if preset.vrm:
        add_vrm(document, dict(zip(names, joints, strict=True)), nodes, meta)
    return document.to_bytes()


def _with_visemes(surface: Surface) -> Surface:
    if not surface.movements:
        return surface
    composed = {**VISEMES, **READY_PLAYER_ME_EXTRAS}
    made = {name: mixed(surface.movements, shares) for name, shares in composed.items()}
    return replace(surface, movements={**surface.movements, **made})
