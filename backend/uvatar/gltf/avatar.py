"""Avatars as .glb files for game engines and viewers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from uvatar.gltf.animations import add_clips
from uvatar.gltf.base_colour import base_colour
from uvatar.gltf.clips import Figure
from uvatar.gltf.decimation import decimated
from uvatar.gltf.document import Document, Look
from uvatar.gltf.helper_bones import HelperBone, add_constraints, helper_bones, with_weights
from uvatar.gltf.presets import LEVELS, Level, Preset
from uvatar.gltf.roughness import roughness_texture
from uvatar.gltf.spring_bones import Springs, add_springs, springs_of, with_chains
from uvatar.gltf.surface import Bone, Skeleton, Surface, body_at_rest, mixed, part_at_rest, with_bones
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
    avatar = _avatar(person, preset)
    return _written(avatar, avatar.meshes, preset, meta or VrmMeta(name))


def lods(
    person: Mapping[str, Any], preset: Preset, name: str, meta: VrmMeta | None = None, levels: Sequence[Level] = LEVELS
) -> list[bytes]:
    """The files of one person at lower levels of detail, the finest first, otherwise as `glb`."""
    avatar = _avatar(person, preset)
    shown = [[mesh for mesh in avatar.meshes if level.keys or not mesh.is_of_face] for level in levels]
    shares = [
        level.triangles / sum(len(mesh.surface.triangles) for mesh in some)
        for level, some in zip(levels, shown, strict=True)
    ]
    coarser: dict[tuple[str, int], Surface] = {}
    for mesh in avatar.meshes:
        numbers = [number for number, level in enumerate(levels) if level.keys or not mesh.is_of_face]
        targets = [int(shares[number] * len(mesh.surface.triangles)) for number in numbers]
        made = decimated(mesh.surface, avatar.skeleton.heads, targets)
        coarser |= {(mesh.name, number): surface for number, surface in zip(numbers, made, strict=True)}
    looks = {(mesh.look, level.texture) for level, some in zip(levels, shown, strict=True) for mesh in some}
    small = {(look, side): look.with_texture_of(side) for look, side in looks}  # two levels may share one
    written = []
    for number, (level, some) in enumerate(zip(levels, shown, strict=True)):
        reduced = [
            replace(mesh, surface=coarser[mesh.name, number], look=small[mesh.look, level.texture])
            for mesh in some
            if len(coarser[mesh.name, number].triangles)  # something tiny has none left
        ]
        if not level.keys:
            reduced = [replace(mesh, surface=replace(mesh.surface, movements={})) for mesh in reduced]
        written.append(_written(avatar, reduced, preset, meta or VrmMeta(name)))
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


@dataclass(frozen=True)
class _Avatar:
    """What is written at every level of detail.

    Attributes:
        meshes: body and parts, in full detail.
        skeleton: the body's joints.
        figure: what clips are made for.
        helpers, springs: further bones, whose numbers follow those of the joints.
    """

    meshes: list[_Mesh]
    skeleton: Skeleton
    figure: Figure
    helpers: list[HelperBone]
    springs: list[Springs]

    @property
    def bones(self) -> list[HelperBone | Bone]:
        """The bones beside the joints."""
        return [*self.helpers, *(bone for springs in self.springs for bone in springs.bones)]

    def moved(self, mesh: _Mesh) -> Surface:
        """The surface of a mesh with the weights of all bones."""
        surface = with_weights(mesh.surface, self.skeleton, self.helpers) if self.helpers else mesh.surface
        for springs in self.springs:
            if springs.part == mesh.name:
                surface = with_chains(surface, springs, len(self.skeleton.parents) + len(self.bones))
        return surface


def _avatar(person: Mapping[str, Any], preset: Preset) -> _Avatar:
    body, skeleton = body_at_rest(person, preset.shape_sliders)
    sliders = person["beta_names"] if preset.shape_sliders else ()
    rough = roughness_texture(person.get("materials_png", b""), person.get("material_names", ()))
    normals = bytes(person.get("normals_png") or b"")
    look = Look(base_colour(person, preset.even_light), roughness_texture=rough, normal_texture=normals)
    meshes = [_Mesh(BODY, body, MATERIAL, look)]
    for part in parts_of(person, len(skeleton.parents), len(person["betas"])):
        own = (MATERIAL, look) if part.body_texture else (part.material or part.name, Look.of_part(part))
        meshes.append(_Mesh(part.name, part_at_rest(part, skeleton.ground, sliders), *own))
    rig = person.get("rig")
    figure = Figure.of(body, skeleton, None if rig is None else rig["finger_axes"])
    helpers = helper_bones(skeleton) if preset.helper_bones else []
    springs: list[Springs] = []
    for mesh in meshes if preset.vrm else ():
        first = len(skeleton.parents) + len(helpers) + sum(len(found.bones) for found in springs)
        found = springs_of(mesh.name, mesh.surface, body, skeleton, first)
        springs += [] if found is None else [found]
    return _Avatar(meshes, skeleton, figure, helpers, springs)


def _written(avatar: _Avatar, meshes: Sequence[_Mesh], preset: Preset, meta: VrmMeta) -> bytes:
    names = joint_names(Naming[preset.naming], len(avatar.skeleton.parents))
    if not preset.bone_prefix:
        names = tuple(joint.removeprefix(MIXAMO_PREFIX) for joint in names)
    document = Document(webp=preset.webp)
    whole = with_bones(avatar.skeleton, avatar.bones)
    skin, joints = document.add_skeleton(ARMATURE, whole, (*names, *(bone.name for bone in avatar.bones)))
    nodes, materials = {}, {}
    for mesh in meshes:
        key = (mesh.material, mesh.look)
        if key not in materials:
            materials[key] = document.add_material(*key)
        surface = avatar.moved(mesh)
        if preset.visemes:
            surface = _with_visemes(surface)
        nodes[document.add_surface(mesh.name, surface, skin, materials[key])] = tuple(surface.movements)
    own = joints[: len(names)]
    if preset.clips:
        add_clips(document, avatar.figure, avatar.skeleton, own, nodes)
    if avatar.helpers:
        add_constraints(document, avatar.helpers, joints, len(names))
    if avatar.springs:
        add_springs(document, avatar.springs, avatar.skeleton, joints)
    if preset.vrm:
        add_vrm(document, dict(zip(names, own, strict=True)), nodes, meta)
    return document.to_bytes()


def _with_visemes(surface: Surface) -> Surface:
    if not surface.movements:
        return surface
    composed = {**VISEMES, **READY_PLAYER_ME_EXTRAS}
    made = {name: mixed(surface.movements, shares) for name, shares in composed.items()}
    return replace(surface, movements={**surface.movements, **made})
