# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying an avatar for export into a scene of its own, so that the user's data stay as they are, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..protocol.expressions import EXPRESSIONS
from . import compat
from .copies import Names, nothing_left, own_copy
from .export_material import plain_materials
from .export_weights import narrow_weights
from .mesh import key_vertices, mixed_vertices
from .modifiers import apply_modifiers
from .parts import find_parts, take_values
from .rig import beta_names, clear_pose, find_body, joint_names

_OURS = "uvatar"  # prefix of the add-on's custom properties
# The custom properties of the armature that say where an avatar comes from: left out unless they are asked for.
_PROVENANCE = (
    "uvatar_photo", "uvatar_photo_digest", "uvatar_person", "uvatar_body_model", "uvatar_version", "uvatar_licence",
    "uvatar_betas",
    "uvatar_pose", "uvatar_box", "uvatar_confidence", "uvatar_notes", "uvatar_photo_notes", "uvatar_measurements",
    "uvatar_metrics", "uvatar_shoes", "uvatar_mask", "uvatar_corrections",
)  # fmt: skip


@dataclass(frozen=True)
class GameCopy:
    """What `game_copy` makes.

    Attributes:
        rig, meshes: the copies, alone in ``stage``, at the origin and at rest, with the shape baked in and the body's
            weights those for linear skinning; the body comes before its parts.
        stage: the scene that the window shows now; its units are metres.
        clip: name of the motion.
        remarks: sentences for the user on what is not exported as it is seen.
        names: gives copies the names of their originals.
    """

    rig: bpy.types.Object
    meshes: list[bpy.types.Object]
    stage: bpy.types.Scene
    clip: str
    remarks: list[str]
    names: Names


@contextmanager
def game_copy(
    rig: bpy.types.Object,
    animation: bool,
    principled: bool,
    progress: Callable[[float], None] | None = None,
    even_light: bool = False,
) -> Iterator[GameCopy]:
    """Make a `GameCopy` of the avatar; at the end of the context the file and the window are as they were.

    Linked and overridden avatars can be copied as well. Nothing that was in the file before is ever removed.

    Args:
        rig: the avatar's armature object.
        animation: give the copy the avatar's motion, as seen on each frame of the scene.
        principled: turn an unlit material into one that FBX and USD files can hold.
        progress: called with the fraction (0 to 1) of the motion's frames that have been sampled.
        even_light: leave the photo's light out of the texture.

    Yields:
        The copy.

    Raises:
        RigError: the avatar is incomplete.
    """
    body, scene = find_body(rig), bpy.context.scene
    joint_names(rig)  # raises RigError before anything is made
    with ExitStack() as after:
        names = Names()
        after.callback(names.give_back)
        after.enter_context(nothing_left())
        clip = _clip_name(rig)  # before the avatar's name is taken
        stage = _stage(scene, rig.name)
        parts = find_parts(rig)
        copied_rig, copied_body, *copied_parts = (_copy(thing, stage, names) for thing in (rig, body, *parts))
        meshes = [copied_body, *copied_parts]
        _isolate(copied_rig, meshes, rig)
        remarks: list[str] = []
        plain_materials(meshes, names, principled, even_light)
        samples = _sample_motion(rig, scene, stage, progress) if animation else None
        _clear_pose_and_constraints(copied_rig)
        if samples is not None:
            _key(copied_rig, clip, samples)
            stage.frame_start, stage.frame_end = 0, len(samples) - 1
        for part in copied_parts:
            take_values(part, body)
        for mesh in meshes:
            _bake_shape(mesh, beta_names(rig))
        narrow_weights(copied_body, copied_rig)
        after.enter_context(_in_window(stage))
        for mesh in meshes:
            remarks += apply_modifiers(mesh, copied_rig)
        stage.view_layers[0].update()
        yield GameCopy(copied_rig, meshes, stage, clip, remarks, names)


@contextmanager
def _in_window(stage: bpy.types.Scene) -> Iterator[None]:
    """Show a scene in the window, because Blender's exporters write what the window shows."""
    window = bpy.context.window or bpy.context.window_manager.windows[0]
    scene, layer = window.scene, window.view_layer
    spaces = [
        space for other in bpy.context.window_manager.windows for area in other.screen.areas for space in area.spaces
    ]
    cameras = [(space, space.camera) for space in spaces if space.type == "VIEW_3D"]
    by_hand = _placed(scene)
    try:
        with bpy.context.temp_override(window=window):
            window.scene = stage
            yield
    finally:
        window.scene = scene
        window.view_layer = layer
        for space, camera in cameras:  # views lose a camera that the other scene does not have
            space.camera = camera
        window.view_layer.update()  # Blender evaluates the frame again when a scene is shown again
        for owner, name, value in by_hand:
            now = getattr(owner, name)
            if (tuple(now) if isinstance(value, tuple) else now) != value:
                setattr(owner, name, value)


def _placed(scene: bpy.types.Scene) -> list[tuple[bpy.types.bpy_struct, str, Any]]:
    """Return the values (owner, property, value) of animated properties, which may differ from their keyframes."""
    owners: list[bpy.types.bpy_struct] = []
    for thing in scene.objects:
        if thing.animation_data is not None:
            owners += [thing, *(thing.pose.bones if thing.pose else ())]
    names = ("location", "rotation_euler", "rotation_quaternion", "rotation_axis_angle", "scale")
    placed: list[tuple[bpy.types.bpy_struct, str, Any]] = [
        (owner, name, tuple(getattr(owner, name))) for owner in owners for name in names
    ]
    for thing in scene.objects:
        keys = getattr(thing.data, "shape_keys", None)
        if keys is not None and keys.animation_data is not None:
            placed += [(key, "value", key.value) for key in keys.key_blocks]
    return placed


def _stage(scene: bpy.types.Scene, name: str) -> bpy.types.Scene:
    """Make an empty scene with the frame range and frame rate of another one; new scenes are in metres."""
    # The unit system is not set: that would reset the units of the scene that the window shows.
    stage = bpy.data.scenes.new(name)
    stage.render.fps, stage.render.fps_base = scene.render.fps, scene.render.fps_base
    stage.frame_start, stage.frame_end, stage.frame_step = scene.frame_start, scene.frame_end, scene.frame_step
    stage.frame_set(scene.frame_current)
    return stage


def _copy(original: bpy.types.Object, stage: bpy.types.Scene, names: Names) -> bpy.types.Object:
    """Copy an object and its data into this file, under the names of the originals."""
    copy, data = own_copy(original), own_copy(original.data)
    copy.data = data
    names.take(copy, original.name, bpy.data.objects)
    names.take(data, original.data.name, bpy.data.armatures if original.type == "ARMATURE" else bpy.data.meshes)
    stage.collection.objects.link(copy)
    copy.hide_viewport = copy.hide_render = copy.hide_select = False
    return copy


def _isolate(rig: bpy.types.Object, meshes: Sequence[bpy.types.Object], original: bpy.types.Object) -> None:
    """Put the copies at the origin, without parents, constraints and animation; only the rig deforms the meshes."""
    for thing in (rig, *meshes):
        thing.parent, thing.parent_type = None, "OBJECT"
        thing.constraints.clear()
        thing.animation_data_clear()
        thing.delta_location, thing.delta_scale = (0, 0, 0), (1, 1, 1)
        thing.delta_rotation_euler, thing.delta_rotation_quaternion = (0, 0, 0), (1, 0, 0, 0)
        thing.matrix_parent_inverse.identity()
        thing.matrix_basis.identity()
    for mesh in meshes:
        mesh.parent = rig
        for modifier in mesh.modifiers:
            if modifier.type == "ARMATURE" and modifier.object == original:
                modifier.object = rig


def _clear_pose_and_constraints(rig: bpy.types.Object) -> None:
    """Put the rig at rest and remove its constraints and drivers."""
    rig.data.animation_data_clear()
    rig.data.pose_position = "POSE"
    for bone in rig.pose.bones:
        for constraint in list(bone.constraints):
            bone.constraints.remove(constraint)
        bone.matrix_basis.identity()
    clear_pose(rig)


def _clip_name(rig: bpy.types.Object) -> str:
    """Return the user's name of the motion: that of the action of the avatar, or of the control rig that drives it."""
    for thing in (rig, *(other for bone in rig.pose.bones for other in _leaders(bone))):
        animation = thing.animation_data
        if animation is not None and animation.action is not None:
            return str(animation.action.name)
        strips = (
            [strip for track in animation.nla_tracks if not track.mute for strip in track.strips]
            if animation is not None
            else []
        )
        if strips:
            return str(strips[0].name if len(strips) == 1 else rig.name)
    return str(rig.name)


def _leaders(bone: bpy.types.PoseBone) -> list[bpy.types.Object]:
    return [constraint.target for constraint in bone.constraints if getattr(constraint, "target", None) is not None]


def _sample_motion(
    rig: bpy.types.Object, scene: bpy.types.Scene, stage: bpy.types.Scene, progress: Callable[[float], None] | None
) -> NDArray[np.float64]:
    """Return (F, B, 7) local location and quaternion (w, x, y, z) of each bone on each frame of the scene, as seen.

    They are evaluated in the staging scene, which no window shows yet, so that poses without keyframes and the current
    frame of the user's scene stay as they are.
    """
    watcher = bpy.data.objects.new("watcher", None)  # makes Blender evaluate every bone, also of a hidden avatar
    stage.collection.objects.link(watcher)
    constraint = watcher.constraints.new("ARMATURE")
    for bone in rig.pose.bones:
        target = constraint.targets.new()
        target.target, target.subtarget = rig, bone.name
    layer = stage.view_layers[0]
    frames = range(scene.frame_start, scene.frame_end + 1)
    names = [bone.name for bone in rig.pose.bones]
    samples = np.empty((len(frames), len(names), 7))
    for row, frame in enumerate(frames):
        stage.frame_set(frame)
        evaluated = rig.evaluated_get(layer.depsgraph)
        for column, name in enumerate(names):
            bone = evaluated.pose.bones[name]
            matrix = evaluated.convert_space(pose_bone=bone, matrix=bone.matrix, from_space="POSE", to_space="LOCAL")
            samples[row, column] = (*matrix.to_translation(), *matrix.to_quaternion())
        if progress is not None:
            progress((row + 1) / len(frames))
    stage.frame_set(scene.frame_current)
    bpy.data.objects.remove(watcher)
    return samples


def _key(rig: bpy.types.Object, name: str, samples: NDArray[np.float64]) -> None:
    """Give the copy an action with a keyframe on every frame, counted from 0 as in engines."""
    curves = compat.curve_maker(rig, bpy.data.actions.new(name))
    frames = np.arange(len(samples))
    for column, bone in enumerate(rig.pose.bones):
        bone.rotation_mode = "QUATERNION"
        path = f'pose.bones["{bpy.utils.escape_identifier(bone.name)}"].'
        for channel in range(7):
            attribute, index = ("location", channel) if channel < 3 else ("rotation_quaternion", channel - 3)
            curve = curves(path + attribute, index, bone.name)
            curve.keyframe_points.add(len(frames))
            curve.keyframe_points.foreach_set(
                "co", np.stack([frames, samples[:, column, channel]], -1).astype(np.float32).ravel()
            )


def _bake_shape(body: bpy.types.Object, betas: Sequence[str]) -> None:
    """Make the mix of all shape keys the Basis, with a neutral face.

    The shape sliders start at 0 from there, expressions keep their values; other keys are removed.
    """
    if body.data.shape_keys is None:
        return
    keys = body.data.shape_keys.key_blocks
    body.data.shape_keys.animation_data_clear()
    body.show_only_shape_key = False
    mixed, basis = mixed_vertices(body), key_vertices(keys[0])
    for key in list(keys)[1:]:
        if key.name in betas:
            key.points.foreach_set("co", (mixed + (key_vertices(key) - basis)).ravel())
            key.value, key.mute, key.vertex_group = 0.0, False, ""
        elif key.name in EXPRESSIONS:
            key.points.foreach_set("co", (mixed + (key_vertices(key) - basis)).ravel())
            key.mute, key.vertex_group = False, ""
        else:
            body.shape_key_remove(key)
    keys[0].points.foreach_set("co", mixed.ravel())
    body.data.vertices.foreach_set("co", mixed.ravel())
    body.data.update()


def strip(rig: bpy.types.Object, meshes: Sequence[bpy.types.Object], provenance: bool) -> None:
    """Remove the add-on's custom properties from copies.

    Args:
        rig: copy of the armature object.
        meshes: copies of the mesh objects.
        provenance: keep those that say where the avatar comes from.
    """
    owners = [rig, rig.data, *rig.data.bones, *rig.pose.bones, *meshes, *(mesh.data for mesh in meshes)]
    owners += [slot.material for mesh in meshes for slot in mesh.material_slots if slot.material is not None]
    for owner in owners:
        ours = [name for name in owner.keys() if name.startswith(_OURS)]  # noqa: SIM118 (data-blocks are not dictionaries)
        for name in ours:
            if not (provenance and owner == rig and name in _PROVENANCE):
                del owner[name]
