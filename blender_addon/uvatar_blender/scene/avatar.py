# SPDX-License-Identifier: GPL-3.0-or-later
"""Building the avatars of a checked result in a scene."""

from __future__ import annotations

import json
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import bpy
import numpy as np
from mathutils import Vector

from ..core.levelled import as_if_level, levelled
from ..core.rest_pose import RestPose, in_rest_pose
from ..core.result import AvatarData, AvatarsResult, ResultError, file_name, short_id, short_name
from ..protocol.bone_names import Naming, joint_names
from .camera import build_camera, look_through, render_aspect
from .correctives import add_correctives
from .even_light import store_light
from .expressions import PHOTO_EXPRESSION
from .material import build_material, images_of, packed_image, packed_texture
from .material_slots import can_split, split_materials, store_material_map
from .mesh import build_mesh, evaluated_vertices
from .parts import build_part
from .placement import Box, around, avatar_box, avatar_boxes, free_step, ground_below, other_boxes
from .posing import remember_photo_pose, take_photo_fingers
from .rig import (
    attach,
    build_armature,
    clear_pose,
    find_body,
    root_offset,
    set_root_offset,
    stand_as_in_photo,
)
from .selection import select_only
from .units import fit_units, per_metre

# Custom properties. Of an avatar's objects: an id that stays when they are renamed.
UUID = "uvatar_uuid"
# Of the armature: sentences about its photo. Those about the person are in "uvatar_notes".
PHOTO_NOTES = "uvatar_photo_notes"
STAGE = "uvatar_stage"  # marks a scene as one that `new_stage` made


@dataclass(frozen=True)
class ImportOptions:
    """How avatars come into the scene.

    Attributes:
        photo_pose: pose the avatars as in the photo; otherwise they are in the rest pose, at the same position.
        unlit: use a material without lighting.
        camera: add the photo's camera with the photo as its background. There is none for people in a row, at whom it
            would not look.
        use_camera: also make it the scene's camera and set the render size to the photo's.
        rest_pose: "T" or "A", the rest pose of mesh and bones.
        naming: naming convention of the bones, a value of `core.naming.Naming`.
        level: turn the photo's world so that up in the photo is up in the scene; otherwise the camera counts as level.
        placement: "PHOTO" keeps people as they stand in the photo, "ROW" puts them side by side; either way beside the
            avatars that are in the scene.
        split: give skin, hair and each garment a material slot of its own.
        names: of avatars, by the ids of their people; the others are called after the photo.
    """

    photo_pose: bool = True
    unlit: bool = False
    camera: bool = True
    use_camera: bool = True
    rest_pose: str = "T"
    naming: str = "SMPL"
    placement: str = "PHOTO"
    level: bool = True
    split: bool = False
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Imported:
    """What an import made.

    Attributes:
        rigs: the armatures, in the order of the people asked for.
        camera: the photo's camera, or None.
        photo: the photo as an image, or None.
        box: bounding box of the avatars, in the scene's units; None if there are none.
    """

    rigs: list[bpy.types.Object]
    camera: bpy.types.Object | None
    photo: bpy.types.Image | None
    box: Box | None


def import_people(
    result: AvatarsResult,
    scene: bpy.types.Scene,
    people: Sequence[int] | None = None,
    options: ImportOptions | None = None,
) -> Imported:
    """Build people of a photo in one go; for arguments and return value see `import_steps` and `Imported`.

    Raises:
        ResultError: something could not be built, or Blender is not in Object Mode.
    """
    if bpy.context.mode != "OBJECT":
        raise ResultError("Avatars can only be built in Object Mode; leave the current mode first.")
    steps = import_steps(result, scene, people, options)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            imported: Imported = end.value
            return imported


def import_steps(
    result: AvatarsResult,
    scene: bpy.types.Scene,
    people: Sequence[int] | None = None,
    options: ImportOptions | None = None,
) -> Generator[bool, None, Imported]:
    """Build people of a photo into a new collection of the scene, in slices of some milliseconds.

    The people share the world of the photo, with the lowest foot at z = 0 unless all jump, or stand in a row, each with
    the lowest foot at z = 0. They are placed to the right of the avatars in the scene, and of what they would
    intersect, as far as their widths require. They are built in a staging scene, so that a slice takes no longer if the
    user's scene is large, and are linked to that scene when they are complete. If the user leaves Object Mode
    meanwhile, they wait. An error, or closing the generator, leaves nothing behind.

    Args:
        result: what the backend found in the photo.
        scene: the scene that gets the avatars.
        people: indices into ``result.people``; None for all.
        options: how they are imported; None for the defaults.

    Yields:
        Whether to pause: True while the user is not in Object Mode, and when everything is in the scene.

    Returns:
        What was made.

    Raises:
        ResultError: something could not be built, or was undone or deleted while the rest was being built.
    """
    steps = _steps(result, scene, people, options or ImportOptions())
    made: set[bpy.types.ID] = set()
    imported: Imported | None = None
    try:
        while imported is None:
            before = _everything()  # between two slices the user may add data as well
            try:
                next(steps)
            except StopIteration as end:
                imported = end.value
            finally:
                made |= _everything() - before
            yield imported is not None or bpy.context.mode != "OBJECT"
        return imported
    except ReferenceError as error:  # raised for data that was removed by undo
        _remove(made)
        raise ResultError("The import was stopped because the avatar being built was undone or deleted.") from error
    except (ValueError, RuntimeError) as error:
        _remove(made)
        raise ResultError(f"The avatar could not be built: {error}") from error
    except BaseException:  # the generator was closed, or Blender itself failed
        _remove(made)
        raise


def _steps(
    result: AvatarsResult, scene: bpy.types.Scene, people: Sequence[int] | None, options: ImportOptions
) -> Generator[None, None, Imported]:
    result = levelled(result) if options.level else as_if_level(result)
    chosen = [result.people[index] for index in (range(len(result.people)) if people is None else people)]
    stem = result.title
    # Before the staging scene is made: afterwards Blender would evaluate the user's scene, which may be large, anew.
    taken = avatar_boxes(scene)
    stage = new_stage(stem)
    collection = bpy.data.collections.new(stem)
    stage.collection.children.link(collection)
    rigs: list[bpy.types.Object] = []
    boxes: list[Box] = []
    for avatar in chosen:
        name = avatar_name(result, avatar, options)
        rigs.append((yield from _build_avatar(result, avatar, name, stage, collection, options)))
        yield
        boxes.append(_staged_box(stage, rigs[-1]))
        yield
    in_row, lowest = options.placement == "ROW", ground_below([float(box[0, 2]) for box in boxes], result.camera.ground)
    for number, rig in enumerate(rigs):
        sunk = Vector((0.0, 0.0, boxes[number][0, 2] if in_row else lowest))
        set_root_offset(rig, root_offset(rig) - sunk)
        remember_photo_pose(rig, chosen[number])
        if in_row:
            rig.location = (0.0, 0.0, 0.0)
        if not options.photo_pose:
            clear_pose(rig)
            take_photo_fingers(rig)
        if in_row or not options.photo_pose:
            boxes[number] = _staged_box(stage, rig)
            yield
        else:
            boxes[number] -= np.array(sunk)
    step = yield from _find_places(scene, rigs, boxes, taken, in_row)
    camera, photo = None, None
    if options.camera and not in_row:
        yield
        photo = packed_image(f"{stem} photo.jpg", result.jpeg)
        camera = build_camera(result.camera, f"{stem} camera", photo, -lowest, render_aspect(scene))
        camera.location.x += step
        collection.objects.link(camera)
    yield
    yield from _until_object_mode()  # the object being edited must stay the active one
    fit_units(collection, per_metre(scene))
    scene.collection.children.link(collection)
    bpy.data.scenes.remove(stage)
    # Only now, so that an import that is stopped does not change the scene's camera and render size.
    if camera is not None and options.use_camera:
        look_through(scene, camera)
    if bpy.context.scene == scene:  # the user may have switched to another scene meanwhile
        select_only(*rigs)
    return Imported(rigs, camera, photo, around(boxes) * per_metre(scene) if boxes else None)


def avatar_name(result: AvatarsResult, avatar: AvatarData, options: ImportOptions) -> str:
    """Return the name of an avatar: the artist's, or that of the photo, with the person's id where it has several."""
    if given := options.names.get(avatar.id, "").strip():
        return short_name(file_name(given))
    alone = len(result.people) == 1 and avatar.id == "p0"
    return result.title if alone else f"{result.title} {short_id(avatar.id)}"


def _find_places(
    scene: bpy.types.Scene, rigs: Sequence[bpy.types.Object], boxes: list[Box], avatars: Sequence[Box], in_row: bool
) -> Generator[None, None, float]:
    """Move the new avatars, and their boxes, beside what is in the scene: one by one in a row, otherwise together.

    Args:
        avatars: boxes of the avatars in the scene, in its units.

    Returns:
        How far the last one was moved along x, in metres.
    """
    units = per_metre(scene)
    taken, others, step = [box / units for box in avatars], [], 0.0
    for box in other_boxes(scene):
        if box is None:
            yield
        else:
            others.append(box / units)
    for together in [[number] for number in range(len(rigs))] if in_row else [list(range(len(rigs)))] if rigs else []:
        step = free_step(around([boxes[number] for number in together]), taken, others)
        for number in together:
            rigs[number].location.x += step
            boxes[number][:, 0] += step
            taken.append(boxes[number])
    return step


def _staged_box(stage: bpy.types.Scene, rig: bpy.types.Object) -> Box:
    with on_stage(stage):
        bpy.context.view_layer.update()
        return avatar_box(rig)


def _build_avatar(
    result: AvatarsResult,
    avatar: AvatarData,
    name: str,
    stage: bpy.types.Scene,
    collection: bpy.types.Collection,
    options: ImportOptions,
) -> Generator[None, None, bpy.types.Object]:
    """Build a person in the photo's pose and return the rig; rig and body are linked to ``collection``."""
    modelled = in_rest_pose(
        replace(avatar, joint_names=joint_names(Naming(options.naming), len(avatar.parents))),
        RestPose(options.rest_pose),
    )
    yield
    ground = -modelled.sole_height()
    body = yield from build_mesh(modelled, f"{name} body", collection, ground)
    textured = bool(avatar.texture_png) and avatar.face_uv is not None
    texture = packed_texture(f"{name} texture.png", avatar.texture_png) if textured else None
    source = (
        packed_image(f"{name} texture source.png", avatar.source_png, "Non-Color")
        if textured and avatar.source_png
        else None
    )
    bumps = avatar.maps.normals_png if textured else b""
    normals = packed_image(f"{name} normals.png", bumps, "Non-Color") if bumps else None
    body.data.materials.append(build_material(name, texture, source, options.unlit, normals=normals))
    if texture is not None and avatar.maps.light_png:
        store_light(texture, avatar.maps.light_png)
    if textured and avatar.maps.materials_png:
        store_material_map(body, name, avatar.maps.materials_png, avatar.maps.material_names)
    yield
    yield from _until_object_mode()  # bones can only be added in Edit Mode
    with on_stage(stage):
        rig = build_armature(modelled, name, collection, ground)
    yield
    things = [body]
    for part in modelled.parts:
        things.append((yield from build_part(part, modelled, body, name, ground, options.unlit)))
    identity = rig[UUID] = str(uuid.uuid4())
    for thing in things:
        attach(thing, rig, preserve_volume=modelled.posedirs is None)
        thing[UUID] = identity
    stand_as_in_photo(rig, modelled)
    if options.split and can_split(body):
        split_materials(rig)
    _record_provenance(rig, result, avatar)
    yield from add_correctives(body, rig, modelled)
    return rig


def new_stage(name: str) -> bpy.types.Scene:
    """Make a staging scene, which no window shows and in which avatars are built."""
    stage = bpy.data.scenes.new(name)
    stage[STAGE] = True
    return stage


def on_stage(stage: bpy.types.Scene) -> AbstractContextManager[None]:
    """Override the context, so that operators and evaluation work in this scene whatever the window shows."""
    override: AbstractContextManager[None] = bpy.context.temp_override(scene=stage, view_layer=stage.view_layers[0])
    return override


def remove_stages() -> None:
    """Remove staging scenes, with avatars half built, which an undo step or an auto-saved file may contain."""
    stages = [scene for scene in bpy.data.scenes if STAGE in scene]
    if stages:
        bpy.data.batch_remove({item for stage in stages for item in [stage, *data_of(stage)]})


def data_of(scene: bpy.types.Scene) -> list[bpy.types.ID]:
    """Return the collections and objects of a scene with their data, materials and images."""
    owned: dict[bpy.types.ID, None] = dict.fromkeys(scene.collection.children_recursive)
    for thing in scene.objects:
        owned |= {thing: None, thing.data: None}
        for slot in thing.material_slots:
            owned[slot.material] = None
            for node in slot.material.node_tree.nodes:
                if getattr(node, "image", None):
                    owned |= dict.fromkeys(images_of(node.image))
        if thing.type == "CAMERA":
            owned |= {background.image: None for background in thing.data.background_images if background.image}
    return list(owned)


def _until_object_mode() -> Iterator[None]:
    """Yield while Blender is not in Object Mode."""
    while bpy.context.mode != "OBJECT":
        yield


def _record_provenance(rig: bpy.types.Object, result: AvatarsResult, avatar: AvatarData) -> None:
    """Store where the avatar comes from in custom properties of the armature."""
    rig["uvatar_photo"], rig["uvatar_photo_digest"] = file_name(result.name), result.digest
    rig["uvatar_person"], rig["uvatar_body_model"], rig["uvatar_version"] = avatar.id, avatar.body_model, result.version
    rig[PHOTO_NOTES] = json.dumps(result.notes, ensure_ascii=False)
    if avatar.face is not None:
        rig[PHOTO_EXPRESSION] = avatar.face.weights.astype(float).tolist()
    rig["uvatar_betas"] = avatar.betas.astype(float).tolist()
    for fact, value in avatar.facts.items():
        rig[f"uvatar_{fact}"] = value if isinstance(value, (str, int, float)) else json.dumps(value, ensure_ascii=False)


def lowest_point(rig: bpy.types.Object) -> float:
    """Return the world z of the avatar's lowest vertex in its current pose and shape, in the scene's units."""
    bpy.context.view_layer.update()
    return float(evaluated_vertices(find_body(rig))[:, 2].min())


def _everything() -> set[bpy.types.ID]:
    """Return all data-blocks of the types that an import makes."""
    data = bpy.data
    kinds = (
        data.objects,
        data.meshes,
        data.armatures,
        data.cameras,
        data.materials,
        data.images,
        data.collections,
        data.scenes,
    )
    return {item for kind in kinds for item in kind}


def _remove(made: set[bpy.types.ID]) -> None:
    """Remove those of these data-blocks that still exist."""
    bpy.data.batch_remove(made & _everything())
