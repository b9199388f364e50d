# SPDX-License-Identifier: GPL-3.0-or-later
"""From a checked result to avatars in the scene."""

from __future__ import annotations

import json
import uuid
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import bpy
import numpy as np
from mathutils import Vector
from numpy.typing import NDArray

from ..core.result import Avatar, PhotoResult, ResultError
from .camera import build_camera, look_through
from .material import build_material, packed_image
from .mesh import build_mesh
from .rig import attach, build_armature, clear_pose, find_body, root_offset, set_root_offset, stand_as_in_photo

# Custom property of the avatar's objects: names may change, this does not.
UUID = "uvatar_uuid"


@dataclass(frozen=True)
class ImportOptions:
    """How avatars come into the scene.

    Attributes:
        photo_pose: stand as in the photo; otherwise in the T pose, at the same place.
        unlit: material without light.
        camera: add the photo's camera with the photo behind it.
        use_camera: also make it the scene's camera and give renders the photo's size.
    """

    photo_pose: bool = True
    unlit: bool = False
    camera: bool = True
    use_camera: bool = True


@dataclass(frozen=True)
class Imported:
    """What an import made: the rigs in the order asked for, the photo's camera or None, the photo's image or None."""

    rigs: list[bpy.types.Object]
    camera: bpy.types.Object | None
    photo: bpy.types.Image | None


def import_people(
    result: PhotoResult, scene: bpy.types.Scene, people: Sequence[int] | None = None, options: ImportOptions | None = None
) -> Imported:
    """`import_steps` in one go."""
    steps = import_steps(result, scene, people, options)
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            return finished.value


def import_steps(
    result: PhotoResult, scene: bpy.types.Scene, people: Sequence[int] | None = None, options: ImportOptions | None = None
) -> Generator[None, None, Imported]:
    """Build people of a photo into a new collection of the scene, all in the photo's one world; object mode is needed.

    The lowest foot of all stands at z = 0. Yields between slices of some milliseconds, so that Blender can draw. ResultError
    where a picture is broken; nothing is left behind then, nor when the generator is closed before its end.

    Args:
        people: indices into ``result.people``; None for all.
    """
    options = options or ImportOptions()
    chosen = [result.people[index] for index in (range(len(result.people)) if people is None else people)]
    stem = PurePath(result.name).stem or "Photo"
    before = _everything()
    collection = bpy.data.collections.new(stem)
    scene.collection.children.link(collection)
    photo: bpy.types.Image | None = None
    camera: bpy.types.Object | None = None
    rigs: list[bpy.types.Object] = []
    try:
        for avatar in chosen:
            name = stem if len(result.people) == 1 else f"{stem} {avatar.id}"
            rigs.append(_build_avatar(result, avatar, name, collection, options))
            yield
        bpy.context.view_layer.update()
        lift = -min((evaluated_vertices(find_body(rig))[:, 2].min() for rig in rigs), default=0.0)
        for rig in rigs:
            set_root_offset(rig, root_offset(rig) + Vector((0.0, 0.0, lift)))
            if not options.photo_pose:
                clear_pose(rig)
        if options.camera:
            photo = packed_image(f"{stem} photo.jpg", result.jpeg)
            camera = build_camera(result.camera, f"{stem} camera", photo, float(lift))
            collection.objects.link(camera)
            if options.use_camera:
                look_through(scene, camera, result.camera)
    except GeneratorExit:
        bpy.data.batch_remove(_everything() - before)
        raise
    except ValueError as error:
        bpy.data.batch_remove(_everything() - before)
        raise ResultError(f"The backend's result is damaged: {error}") from error
    _select(rigs)
    return Imported(rigs, camera, photo)


def _build_avatar(
    result: PhotoResult, avatar: Avatar, name: str, collection: bpy.types.Collection, options: ImportOptions
) -> bpy.types.Object:
    ground = -avatar.sole_height()
    rig = build_armature(avatar, name, collection, ground)
    body = build_mesh(avatar, f"{name} body", ground)
    collection.objects.link(body)
    texture = packed_image(f"{name} texture.png", avatar.texture_png) if avatar.texture_png and avatar.face_uv is not None else None
    source = packed_image(f"{name} texture source.png", avatar.source_png, "Non-Color") if texture and avatar.source_png else None
    body.data.materials.append(build_material(name, texture, source, options.unlit))
    attach(body, rig)
    stand_as_in_photo(rig, avatar)
    rig[UUID] = body[UUID] = str(uuid.uuid4())
    _record_provenance(rig, result, avatar)
    return rig


def _record_provenance(rig: bpy.types.Object, result: PhotoResult, avatar: Avatar) -> None:
    """Custom properties that say where the avatar comes from; they are kept in .blend and, as extras, in glTF."""
    rig["uvatar_photo"], rig["uvatar_photo_digest"] = result.name, result.digest
    rig["uvatar_person"], rig["uvatar_body_model"], rig["uvatar_version"] = avatar.id, avatar.body_model, result.version
    rig["uvatar_betas"], rig["uvatar_pose"] = avatar.betas.astype(float).tolist(), avatar.pose.astype(float).ravel().tolist()
    for fact, value in avatar.facts.items():
        rig[f"uvatar_{fact}"] = value if isinstance(value, (str, int, float)) else json.dumps(value, ensure_ascii=False)


def evaluated_vertices(body: bpy.types.Object) -> NDArray[np.float32]:
    """(V, 3) the mesh as shown, with shape keys and armature applied, in world space."""
    evaluated = body.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    try:
        vertices = np.empty(len(mesh.vertices) * 3, np.float32)
        mesh.vertices.foreach_get("co", vertices)
    finally:
        evaluated.to_mesh_clear()
    world = np.array(evaluated.matrix_world, np.float64)
    return (vertices.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]).astype(np.float32)


def _everything() -> set[bpy.types.ID]:
    """All data that an import can make."""
    data = bpy.data
    kinds = (data.objects, data.meshes, data.armatures, data.cameras, data.materials, data.images, data.collections)
    return {item for kind in kinds for item in kind}


def _select(rigs: Sequence[bpy.types.Object]) -> None:
    layer = bpy.context.view_layer
    for thing in layer.objects.selected:
        thing.select_set(False)
    for rig in rigs:
        rig.select_set(True)
    if rigs:
        layer.objects.active = rigs[0]
