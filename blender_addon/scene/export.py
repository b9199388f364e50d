# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing avatars to files: .blend, and presets for glTF, Unity and Unreal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ..core.naming import Naming, joint_names
from . import compat
from .material import avatar_material, show_sources
from .mesh import key_vertices, mixed_vertices
from .rig import beta_names, clear_pose, edit_mode, find_body, rename_joints
from .root_motion import move_root


class Target(Enum):
    """What reads the file."""

    GLTF = "GLTF"
    UNITY = "UNITY"
    UNREAL = "UNREAL"

    @property
    def suffix(self) -> str:
        """The file's suffix."""
        return ".glb" if self is Target.GLTF else ".fbx"


_Y_UP = Matrix.Rotation(math.radians(90.0), 4, "X")  # of an object whose data are y up, to stand in Blender
_CENTIMETRES = 100.0
_ROOT = "root"  # Unreal's mannequin has a root bone on the ground, whose motion is the character's
_ARMATURE = "Armature"  # Unreal drops an object of this name instead of making a second root of it


def save_blend(path: Path) -> None:
    """Save the file as a compressed copy of the current one; its pictures are packed already. OSError where it cannot be written."""
    with _as_os_error(path):
        bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True, compress=True, check_existing=False)


def export_glb(rig: bpy.types.Object, path: Path) -> None:
    """`export_avatar` for glTF, as most want it."""
    export_avatar(rig, path, Target.GLTF)


def export_avatar(
    rig: bpy.types.Object, path: Path, target: Target, naming: Naming | None = None, animation: bool = False, root_motion: bool = False
) -> None:
    """Write one avatar for a game engine: mesh, skin, texture and shape sliders in their rest pose at the origin; no camera.

    What is seen is what is exported: shape and clothing become the base mesh. The shape sliders stay as morph targets with
    weight 0 = this person (engines know only weights from 0 to 1). Pose correctives and overlays stay behind. Skinning is linear
    in all engines. The .blend is not changed.

    Args:
        target: glTF: metres, y up. Unity: metres, y up, every object unturned and unscaled. Unreal: centimetres, unscaled, with a
            root bone on the ground, no node above it.
        naming: other names for the bones; None keeps them.
        animation: also write the avatar's motion, sampled on every frame of the scene's range, the first of which is at 0.
        root_motion: let the root go the avatar's way over the ground instead of the pelvis: Unreal's root bone, elsewhere the armature.

    Raises OSError where the file cannot be written, RigError where the avatar is incomplete.
    """
    metre = _CENTIMETRES if target is Target.UNREAL else 1.0
    with _game_copy(rig, animation) as (copied_rig, body), _scene_unit(1.0 / metre), _as_os_error(path):
        if naming is not None:
            rename_joints(copied_rig, joint_names(naming))
        if target is Target.UNREAL:
            _add_root(copied_rig)
            copied_rig.name = _ARMATURE
        if animation and root_motion:
            move_root(copied_rig, *_pelvis_and_root(copied_rig))
        if target is not Target.GLTF:
            _turn_data(copied_rig, body, _Y_UP.inverted() @ Matrix.Scale(metre, 4))
            copied_rig.matrix_world = _Y_UP
        with _only_selected([copied_rig, body]):
            if target is Target.GLTF:
                _write_glb(path, animation)
            else:
                with _range_from_zero():
                    _write_fbx(path, animation)


def _write_glb(path: Path, animation: bool) -> None:
    bpy.ops.export_scene.gltf(
        filepath=str(path),
        export_format="GLB",
        use_selection=True,
        export_cameras=False,
        export_lights=False,
        export_animations=animation,
        export_animation_mode="ACTIVE_ACTIONS",
        export_morph_animation=False,
        export_anim_slide_to_zero=True,
        export_rest_position_armature=True,
        export_influence_nb=4,
        export_all_influences=False,
        export_morph=True,
        export_morph_normal=True,
        export_extras=True,
        export_yup=True,
    )


def _write_fbx(path: Path, animation: bool) -> None:
    bpy.ops.export_scene.fbx(
        filepath=str(path),
        use_selection=True,
        object_types={"ARMATURE", "MESH"},
        apply_unit_scale=True,
        # The file's unit is set once for all instead of scaling objects; Unreal's copy is in centimetres already.
        apply_scale_options="FBX_SCALE_UNITS",
        axis_forward="-Z",
        axis_up="Y",
        use_mesh_modifiers=True,
        mesh_smooth_type="FACE",
        add_leaf_bones=False,
        use_armature_deform_only=False,
        armature_nodetype="NULL",
        bake_anim=animation,
        bake_anim_use_nla_strips=False,
        bake_anim_use_all_actions=False,
        bake_anim_force_startend_keying=True,
        # Nearly none, 1e-7 of a value: but what never changes, such as the shape sliders, gets no keys. Bones keep theirs.
        bake_anim_simplify_factor=1e-4,
        path_mode="COPY",
        embed_textures=True,
        use_custom_props=False,
    )


@contextmanager
def _game_copy(rig: bpy.types.Object, animation: bool) -> Iterator[tuple[bpy.types.Object, bpy.types.Object]]:
    """A copy of rig and body at the origin, at rest, with the shape baked in, under the originals' names while it lasts."""
    originals = (rig, find_body(rig))
    copies = tuple(original.copy() for original in originals)
    materials: list[bpy.types.Material] = []
    renamed: list[tuple[bpy.types.ID, str]] = []
    actions = set(bpy.data.actions)
    try:
        for original, copy in zip(originals, copies, strict=True):
            copy.data = original.data.copy()
            bpy.context.scene.collection.objects.link(copy)
            copy.hide_viewport = False
            copy.hide_set(False)
            for old, new in ((original, copy), (original.data, copy.data)):
                name = old.name
                old.name = f"{name} original"
                renamed.append((old, name))
                new.name = name
        copied_rig, copied_body = copies
        copied_body.parent = copied_rig
        for modifier in copied_body.modifiers:
            if modifier.type == "ARMATURE" and modifier.object == rig:
                modifier.object = copied_rig
        material = avatar_material(copied_body)
        if material is not None:
            materials.append(_without_overlay(copied_body, material))
            renamed.append((material, materials[0].name))
        _bake_motion(rig, copied_rig, animation)
        copied_rig.matrix_world.identity()
        _bake_shape(copied_body, beta_names(rig))
        bpy.context.view_layer.update()
        yield copied_rig, copied_body
    finally:
        bpy.data.batch_remove([owned for copy in copies for owned in (copy, copy.data)] + materials + list(set(bpy.data.actions) - actions))
        for old, name in renamed:
            old.name = name


def _without_overlay(body: bpy.types.Object, material: bpy.types.Material) -> bpy.types.Material:
    """Give the body a copy of its material without overlay, whose texture other programs can follow, and with its name."""
    plain = material.copy()
    show_sources(plain, 0.0)
    for index, other in enumerate(body.data.materials):
        if other == material:
            body.data.materials[index] = plain
    name = material.name
    material.name = f"{name} original"
    plain.name = name
    return plain


def _bake_motion(rig: bpy.types.Object, copy: bpy.types.Object, animation: bool) -> None:
    """Free the copy of constraints and drivers; its motion is the original's as seen on each frame, beginning at 0, or none."""
    copy.animation_data_clear()
    for bone in copy.pose.bones:
        for constraint in list(bone.constraints):
            bone.constraints.remove(constraint)
    clear_pose(copy)
    if not animation:
        return
    scene = bpy.context.scene
    now = scene.frame_current
    frames = range(scene.frame_start, scene.frame_end + 1)
    names = [bone.name for bone in copy.pose.bones]
    own = np.empty((len(frames), len(names), 7))
    try:
        for row, frame in enumerate(frames):
            scene.frame_set(frame)
            evaluated = rig.evaluated_get(bpy.context.evaluated_depsgraph_get())
            for column, name in enumerate(names):
                bone = evaluated.pose.bones[name]
                matrix = evaluated.convert_space(pose_bone=bone, matrix=bone.matrix, from_space="POSE", to_space="LOCAL")
                own[row, column] = (*matrix.to_translation(), *matrix.to_quaternion())
    finally:
        scene.frame_set(now)
    curves = compat.curve_maker(copy, bpy.data.actions.new(rig.name))
    for column, name in enumerate(names):
        copy.pose.bones[name].rotation_mode = "QUATERNION"
        path = f'pose.bones["{bpy.utils.escape_identifier(name)}"].'
        for channel in range(7):
            attribute, index = ("location", channel) if channel < 3 else ("rotation_quaternion", channel - 3)
            curve = curves(path + attribute, index, name)
            curve.keyframe_points.add(len(frames))
            keys = np.stack([np.arange(len(frames)), own[:, column, channel]], -1)
            curve.keyframe_points.foreach_set("co", keys.astype(np.float32).ravel())


def _bake_shape(body: bpy.types.Object, betas: Sequence[str]) -> None:
    """Make the mix of all shape keys the basis; the shape sliders start at 0 from there, all other keys go."""
    keys = body.data.shape_keys.key_blocks
    body.data.shape_keys.animation_data_clear()
    mixed, basis = mixed_vertices(body), key_vertices(keys[0])
    for key in list(keys)[1:]:
        if key.name in betas:
            key.data.foreach_set("co", (mixed + key_vertices(key) - basis).ravel())
            key.value = 0.0
        else:
            body.shape_key_remove(key)
    keys[0].data.foreach_set("co", mixed.ravel())
    body.data.vertices.foreach_set("co", mixed.ravel())
    body.data.update()


def _add_root(rig: bpy.types.Object) -> None:
    """A bone at the origin, its axes the object's own, above the root joint."""
    with edit_mode(rig):
        bones = rig.data.edit_bones
        top = next(bone for bone in bones if bone.parent is None)
        root = bones.new(_ROOT)
        root.head, root.tail = Vector((0, 0, 0)), Vector((0, 0.2, 0))
        root.use_deform = False
        top.parent = root


def _pelvis_and_root(rig: bpy.types.Object) -> tuple[str, str | None]:
    """The root joint's bone, and the bone above it if there is one."""
    top = next(bone for bone in rig.data.bones if bone.parent is None)
    return (top.children[0].name, top.name) if top.name == _ROOT else (top.name, None)


def _turn_data(rig: bpy.types.Object, body: bpy.types.Object, matrix: Matrix) -> None:
    """Turn and scale the data of rig and body, the objects staying as they are; keyed places are scaled along."""
    rig.data.transform(matrix)
    body.data.transform(matrix, shape_keys=True)
    scale = matrix.to_scale()[0]
    for curve in compat.action_curves(rig):
        if curve.data_path.endswith("location"):
            values = np.empty(2 * len(curve.keyframe_points), np.float32)
            curve.keyframe_points.foreach_get("co", values)
            values[1::2] *= scale
            curve.keyframe_points.foreach_set("co", values)
            curve.update()


@contextmanager
def _scene_unit(scale: float) -> Iterator[None]:
    """Let a unit of the scene be so many metres, whatever the artist has chosen."""
    units = bpy.context.scene.unit_settings
    before = units.system, units.scale_length
    units.system, units.scale_length = "METRIC", scale
    try:
        yield
    finally:
        units.system, units.scale_length = before


@contextmanager
def _range_from_zero() -> Iterator[None]:
    """Let the scene's frames be counted from 0, as the baked motion's are."""
    scene = bpy.context.scene
    before = scene.frame_start, scene.frame_end
    scene.frame_start, scene.frame_end = 0, before[1] - before[0]
    try:
        yield
    finally:
        scene.frame_start, scene.frame_end = before


@contextmanager
def _only_selected(things: list[bpy.types.Object]) -> Iterator[None]:
    layer = bpy.context.view_layer
    before, active = list(layer.objects.selected), layer.objects.active
    for thing in before:
        thing.select_set(False)
    for thing in things:
        thing.select_set(True)
    layer.objects.active = things[0]
    try:
        yield
    finally:
        for thing in before:
            thing.select_set(True)
        layer.objects.active = active


@contextmanager
def _as_os_error(path: Path) -> Iterator[None]:
    """Blender's operators raise RuntimeError with a report, or with a traceback whose last line of its own says what is wrong."""
    try:
        yield
    except RuntimeError as error:
        lines = [line for line in str(error).strip().splitlines() if not line.startswith("Location:")]
        raise OSError(f"{path} could not be written: {lines[-1]}") from error
