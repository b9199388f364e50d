# SPDX-License-Identifier: GPL-3.0-or-later
"""From a checked result to avatars in the scene."""

from __future__ import annotations

import json
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import bpy
import numpy as np
from mathutils import Vector

from ..core.naming import Naming, joint_names
from ..core.rest_pose import RestPose, in_rest_pose
from ..core.result import AvatarData, AvatarsResult, ResultError, file_name, short_id
from .camera import build_camera, look_through, render_aspect
from .correctives import add_correctives
from .material import build_material, original_texture, packed_image, packed_texture
from .mesh import build_mesh, evaluated_vertices
from .placement import Box, around, avatar_box, avatar_boxes, free_step, other_boxes
from .rig import (
    attach,
    build_armature,
    clear_pose,
    find_body,
    remember_photo_pose,
    root_offset,
    set_root_offset,
    stand_as_in_photo,
)
from .units import per_metre

# Custom property of the avatar's objects: names may change, this does not.
UUID = "uvatar_uuid"
PHOTO_NOTES = (
    "uvatar_photo_notes"  # of the armature: sentences about its photo; those about the person are in "uvatar_notes"
)
STAGE = "uvatar_stage"  # and of a scene: that it is one of `new_stage`


@dataclass(frozen=True)
class ImportOptions:
    """How avatars come into the scene.

    Attributes:
        photo_pose: stand as in the photo; otherwise in the rest pose, at the same place.
        unlit: material without light.
        camera: add the photo's camera with the photo behind it; not for people in a row, on whom it would not look.
        use_camera: also make it the scene's camera and give renders the photo's size.
        rest_pose: "T" or "A", what mesh and bones rest in.
        naming: names of the bones, one of `core.naming.Naming`.
        placement: "PHOTO", the people of a photo as they stand in it, or "ROW", beside each other; both beside avatars
            that are there.
    """

    photo_pose: bool = True
    unlit: bool = False
    camera: bool = True
    use_camera: bool = True
    rest_pose: str = "T"
    naming: str = "SMPL"
    placement: str = "PHOTO"


@dataclass(frozen=True)
class Imported:
    """What an import made.

    Attributes:
        rigs: in the order asked for.
        camera: the photo's, or None.
        photo: the photo's image, or None.
        box: what the avatars take up in the world; None if there are none.
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
    """`import_steps` in one go. Raises ResultError also where Blender is not in object mode."""
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

    All stand in the photo's one world with the lowest foot at z = 0, or in a row with each one's lowest foot there; to
    the right of avatars that are in the scene already, as far as their widths ask for, and of what they would cut into.
    They are built in a scene of their own, so that a slice takes no longer where the artist's scene is full, and move
    into hers when they are whole; where she leaves object mode meanwhile, they wait until she is back. An error, or
    closing the generator, leaves nothing behind.

    Yields whether to leave it at that for now: True where the artist edits something, and when all is there.

    Args:
        people: indices into ``result.people``; None for all.

    Raises ResultError: something could not be built, or was undone or deleted while the rest was being built.
    """
    steps = _steps(result, scene, people, options or ImportOptions())
    made: set[bpy.types.ID] = set()
    imported: Imported | None = None
    try:
        while imported is None:
            before = _everything()  # between two slices the artist may make things of her own
            try:
                next(steps)
            except StopIteration as end:
                imported = end.value
            finally:
                made |= _everything() - before
            yield imported is not None or bpy.context.mode != "OBJECT"
        return imported
    except ReferenceError as error:  # what Python's names for Blender's data turn into when these are undone
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
    chosen = [result.people[index] for index in (range(len(result.people)) if people is None else people)]
    stem = result.title
    # First of all: once there is a stage, Blender evaluates a scene that may be large anew to tell where they stand.
    taken = avatar_boxes(scene)
    stage = new_stage(stem)
    collection = bpy.data.collections.new(stem)
    stage.collection.children.link(collection)
    rigs: list[bpy.types.Object] = []
    boxes: list[Box] = []
    for avatar in chosen:
        name = stem if len(result.people) == 1 else f"{stem} {short_id(avatar.id)}"
        rigs.append((yield from _build_avatar(result, avatar, name, stage, collection, options)))
        yield
        boxes.append(_staged_box(stage, rigs[-1]))
        yield
    in_row, lowest = options.placement == "ROW", min((box[0, 2] for box in boxes), default=0.0)
    for number, rig in enumerate(rigs):
        sunk = Vector((0.0, 0.0, boxes[number][0, 2] if in_row else lowest))
        set_root_offset(rig, root_offset(rig) - sunk)
        remember_photo_pose(rig, chosen[number])
        if in_row:
            rig.location = (0.0, 0.0, 0.0)
        if not options.photo_pose:
            clear_pose(rig)
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
    yield from _until_object_mode()  # what is being edited stays the active object
    _fit_units(collection, per_metre(scene))
    scene.collection.children.link(collection)
    bpy.data.scenes.remove(stage)
    if (
        camera is not None and options.use_camera
    ):  # only now: an import that is stopped leaves the scene's camera and size as they were
        look_through(scene, camera)
    if bpy.context.scene == scene:  # the artist may have gone to another scene meanwhile
        _select(rigs)
    return Imported(rigs, camera, photo, around(boxes) * per_metre(scene) if boxes else None)


def _find_places(
    scene: bpy.types.Scene, rigs: Sequence[bpy.types.Object], boxes: list[Box], avatars: Sequence[Box], in_row: bool
) -> Generator[None, None, float]:
    """Move the new avatars, and their boxes, beside what is in the scene: each for itself in a row, else all alike.

    Args:
        avatars: the boxes of those that are in the scene already, in its units.

    Returns: metres by which the last was moved.
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
    """The person's rig, in the photo's pose; it and its body are linked to the collection, which the stage shows."""
    modelled = in_rest_pose(
        replace(avatar, joint_names=joint_names(Naming(options.naming))), RestPose(options.rest_pose)
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
    body.data.materials.append(build_material(name, texture, source, options.unlit))
    yield
    yield from _until_object_mode()  # bones can only be made in a mode of their own
    with on_stage(stage):
        rig = build_armature(modelled, name, collection, ground)
    yield
    attach(body, rig, preserve_volume=modelled.posedirs is None)
    stand_as_in_photo(rig, modelled)
    rig[UUID] = body[UUID] = str(uuid.uuid4())
    _record_provenance(rig, result, avatar)
    yield from add_correctives(body, rig, modelled)
    return rig


def new_stage(name: str) -> bpy.types.Scene:
    """A scene that no window shows, in which avatars are built."""
    stage = bpy.data.scenes.new(name)
    stage[STAGE] = True
    return stage


def on_stage(stage: bpy.types.Scene) -> AbstractContextManager[None]:
    """Have Blender's operators and its evaluation work in this scene, whatever the window shows."""
    override: AbstractContextManager[None] = bpy.context.temp_override(scene=stage, view_layer=stage.view_layers[0])
    return override


def remove_stages() -> None:
    """Remove what an undo step, or a file saved by itself, has kept of avatars that were being built then."""
    stages = [scene for scene in bpy.data.scenes if STAGE in scene]
    if stages:
        bpy.data.batch_remove({part for stage in stages for part in [stage, *parts(stage)]})


def parts(scene: bpy.types.Scene) -> list[bpy.types.ID]:
    """Collections and objects of a scene with their data, materials and pictures."""
    owned: dict[bpy.types.ID, None] = dict.fromkeys(scene.collection.children_recursive)
    for thing in scene.objects:
        owned |= {thing: None, thing.data: None}
        for slot in thing.material_slots:
            owned[slot.material] = None
            for node in slot.material.node_tree.nodes:
                if getattr(node, "image", None):
                    owned[node.image] = None
                    owned |= {original_texture(node.image): None} if original_texture(node.image) else {}
        if thing.type == "CAMERA":
            owned |= {background.image: None for background in thing.data.background_images if background.image}
    return list(owned)


def _until_object_mode() -> Iterator[None]:
    """Wait while the artist edits something."""
    while bpy.context.mode != "OBJECT":
        yield


def _record_provenance(rig: bpy.types.Object, result: AvatarsResult, avatar: AvatarData) -> None:
    """Custom properties that say where the avatar comes from; they are kept in .blend and, as extras, in glTF."""
    rig["uvatar_photo"], rig["uvatar_photo_digest"] = file_name(result.name), result.digest
    rig["uvatar_person"], rig["uvatar_body_model"], rig["uvatar_version"] = avatar.id, avatar.body_model, result.version
    rig[PHOTO_NOTES] = json.dumps(result.notes, ensure_ascii=False)
    rig["uvatar_betas"] = avatar.betas.astype(float).tolist()
    for fact, value in avatar.facts.items():
        rig[f"uvatar_{fact}"] = value if isinstance(value, (str, int, float)) else json.dumps(value, ensure_ascii=False)


def lowest_point(rig: bpy.types.Object) -> float:
    """World z of the lowest vertex, as the avatar is posed and shaped now."""
    bpy.context.view_layer.update()
    return float(evaluated_vertices(find_body(rig))[:, 2].min())


def _fit_units(collection: bpy.types.Collection, units: float) -> None:
    """Make what was built in metres as large in a scene where a metre is so many units: objects are scaled, their data
    stay in metres.
    """
    if units == 1.0:
        return
    for thing in collection.objects:
        if thing.parent is not None:
            continue
        thing.location *= units
        if thing.type == "CAMERA":
            lens = thing.data
            lens.clip_start, lens.clip_end, lens.display_size = (
                lens.clip_start * units,
                lens.clip_end * units,
                lens.display_size * units,
            )
        else:
            thing.scale *= units


def _everything() -> set[bpy.types.ID]:
    """All data that an import can make."""
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
    """Remove what is still there of it."""
    bpy.data.batch_remove(made & _everything())


def _select(rigs: Sequence[bpy.types.Object]) -> None:
    layer = bpy.context.view_layer
    for thing in layer.objects.selected:
        thing.select_set(False)
    for rig in rigs:
        rig.select_set(True)
    if rigs:
        layer.objects.active = rigs[0]
