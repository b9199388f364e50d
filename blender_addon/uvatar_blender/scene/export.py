# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing avatars to files: .blend, and presets for glTF, Unity and Unreal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ..core.export_presets import Preset, Target
from ..core.fbx import hide_folders
from ..protocol.bone_names import Naming, joint_names
from . import compat
from .export_copy import GameCopy, game_copy, strip
from .rig import RigError, edit_mode, parents, rename_joints
from .root_motion import move_root
from .twist_bones import add_twist_bones

_Y_UP = Matrix.Rotation(math.radians(90.0), 4, "X")  # makes an object whose data are y up stand upright in Blender


def save_blend(path: Path) -> None:
    """Save a compressed copy of the current file; its images are packed already.

    Raises:
        OSError: the file cannot be written.
    """
    with _as_os_error(path):
        bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True, compress=True, check_existing=False)


def export_glb(rig: bpy.types.Object, path: Path) -> None:
    """Write one avatar as .glb, with the default options of `export_avatar`."""
    export_avatar(rig, path, Target.GLTF)


def export_avatar(
    rig: bpy.types.Object,
    path: Path,
    target: Target,
    naming: Naming | Sequence[str] | None = None,
    animation: bool = False,
    provenance: bool = False,
    root_motion: bool = False,
    progress: Callable[[float], None] | None = None,
    even_light: bool = True,
) -> list[str]:
    """Write one avatar for a game engine: mesh, skin weights, texture and shape sliders, at rest and at the origin.

    The avatar is exported as it is seen: shape, clothing and modifiers become the base mesh. The shape sliders become
    morph targets, whose weight 0 is this person (engines only have weights from 0 to 1). Pose correctives, overlays and
    cameras are left out. Engines skin linearly. The .blend is not changed, and the avatar may be linked from another.

    Args:
        rig: the avatar's armature object.
        path: the file to write.
        target: glTF and Unity: metres, y up, no object rotated or scaled. Unreal: centimetres, with a root bone.
        naming: of the bones, or a name for each joint in order; None for the mannequin's names for Unreal and the
            present names otherwise.
        animation: also write the motion on every frame of the scene's range, as a clip that begins at 0 and has the
            name of the action.
        provenance: also write where the avatar comes from (photo, digest, pose, measurements) as custom properties.
        root_motion: move the root over the ground instead of the pelvis: Unreal's root bone, elsewhere the armature.
        progress: called with the fraction (0 to 1) of the motion's frames that have been sampled.
        even_light: leave the photo's light out of the texture, if it is known and the material is lit.

    Returns:
        Sentences on what is not exported as it is seen.

    Raises:
        OSError: the file cannot be written.
        RigError: the avatar is incomplete.
    """
    preset, fbx = target.preset, target.suffix == ".fbx"
    with game_copy(rig, animation, target.suffix != ".glb", progress, even_light) as copy, _as_os_error(path):
        _name_bones(copy, preset, naming or preset.naming)
        if preset.root_bone:
            _add_root(copy.rig, preset)
        if preset.armature:
            copy.names.take(copy.rig, preset.armature, bpy.data.objects)
        if animation and root_motion:
            move_root(copy.rig, *_pelvis_and_root(copy.rig, preset.root_bone or "root"))
        if fbx:
            _turn_for_fbx(copy, preset.scale)
        strip(copy.rig, copy.meshes, provenance)
        _select(copy)
        if fbx:
            copy.names.take(copy.stage, copy.clip, bpy.data.scenes)  # the exporter names the clip after the scene
            _write_fbx(path, animation, provenance)
            hide_folders(path)
        elif target.suffix == ".usdz":
            _write_usd(path, animation, provenance)
        else:
            _write_glb(path, copy.clip if animation else None)
        return copy.remarks


def _name_bones(copy: GameCopy, preset: Preset, naming: Naming | Sequence[str] | None) -> None:
    """Rename the bones; the mannequin's twist bones are only found beside its other bones."""
    if naming is not None:
        names = joint_names(naming, len(parents(copy.rig))) if isinstance(naming, Naming) else naming
        rename_joints(copy.rig, names)
    if preset.twist_bones and naming is Naming.UNREAL:
        add_twist_bones(copy.rig, copy.meshes[0])


def _turn_for_fbx(copy: GameCopy, scale: float) -> None:
    """Make the data y up, in the preset's unit."""
    if scale != 1.0:
        copy.stage.unit_settings.scale_length = 1.0 / scale
    _turn_data(copy.rig, copy.meshes, _Y_UP.inverted() @ Matrix.Scale(scale, 4))
    copy.rig.matrix_world = _Y_UP


def _select(copy: GameCopy) -> None:
    objects = copy.stage.view_layers[0].objects
    for thing in (copy.rig, *copy.meshes):
        thing.select_set(True)
    objects.active = copy.rig
    copy.stage.view_layers[0].update()


def _write_glb(path: Path, clip: str | None) -> None:
    bpy.ops.export_scene.gltf(
        filepath=str(path),
        export_format="GLB",
        use_selection=True,
        use_active_scene=True,
        export_cameras=False,
        export_lights=False,
        export_animations=clip is not None,
        export_animation_mode="ACTIVE_ACTIONS",
        export_nla_strips_merged_animation_name=clip or "",
        export_morph_animation=False,
        export_anim_slide_to_zero=True,
        export_rest_position_armature=True,
        export_influence_nb=4,
        export_all_influences=False,
        export_morph=True,
        # Sparse, and without normals, which viewers compute: 52 expressions otherwise make a file of 69 MB.
        export_morph_normal=False,
        export_try_sparse_sk=True,
        export_extras=True,
        export_yup=True,
        **compat.gltf_of_one_action(),
    )


def _write_fbx(path: Path, animation: bool, provenance: bool) -> None:
    bpy.ops.export_scene.fbx(
        filepath=str(path),
        use_selection=True,
        object_types={"ARMATURE", "MESH"},
        apply_unit_scale=True,
        # The unit of the file is set instead of scaling objects; Unreal's copy is in centimetres already.
        apply_scale_options="FBX_SCALE_UNITS",
        axis_forward="-Z",
        axis_up="Y",
        use_mesh_modifiers=False,  # they are in the mesh already; applying them here would drop the shape keys
        mesh_smooth_type="FACE",
        add_leaf_bones=False,
        use_armature_deform_only=False,
        armature_nodetype="NULL",
        bake_anim=animation,
        bake_anim_use_nla_strips=False,
        bake_anim_use_all_actions=False,
        bake_anim_force_startend_keying=True,
        # Small enough (1e-7 of a value) to keep the keyframes of bones, while channels that never change, such as the
        # shape sliders, get none.
        bake_anim_simplify_factor=1e-4,
        path_mode="COPY",
        embed_textures=True,
        use_custom_props=provenance,
    )


def _write_usd(path: Path, animation: bool, provenance: bool) -> None:
    if path.is_dir():  # the exporter would put the file in the place of an empty folder
        raise RuntimeError("it is a folder")
    options = {
        "selected_objects_only": True,
        "export_animation": animation,
        "export_armatures": True,
        "only_deform_bones": False,
        "export_shapekeys": True,
        "export_materials": True,
        "generate_preview_surface": True,
        "export_textures_mode": "NEW",
        "export_textures": True,  # what it was called up to Blender 4.2
        "export_custom_properties": provenance,
        "export_cameras": False,
        "export_lights": False,
        "convert_world_material": False,
        "convert_orientation": True,
        "export_global_forward_selection": "NEGATIVE_Z",
        "export_global_up_selection": "Y",
    }
    known = bpy.ops.wm.usd_export.get_rna_type().properties
    bpy.ops.wm.usd_export(filepath=str(path), **{name: value for name, value in options.items() if name in known})
    if not path.is_file():  # the exporter says nothing of a place that it cannot write to
        raise RuntimeError("the place may be write-protected")


def _add_root(rig: bpy.types.Object, preset: Preset) -> None:
    """Add a bone above all others, at the origin and with the axes of the object."""
    name = str(preset.root_bone)
    if name in rig.data.bones:
        raise RigError(
            f"{rig.name} already has a bone named {name}, the name of the root bone in {preset.name} files; rename it "
            "first."
        )
    with edit_mode(rig):
        bones = rig.data.edit_bones
        tops = [bone for bone in bones if bone.parent is None]
        root = bones.new(name)
        root.head, root.tail = Vector((0, 0, 0)), Vector((0, 0.2, 0))
        root.use_deform = False
        for top in tops:
            top.parent = root


def _pelvis_and_root(rig: bpy.types.Object, root: str) -> tuple[str, str | None]:
    """Return the name of the pelvis bone, and that of the root bone above it if there is one."""
    top = next(bone for bone in rig.data.bones if bone.parent is None)
    return (top.children[0].name, top.name) if top.name == root else (top.name, None)


def _turn_data(rig: bpy.types.Object, meshes: Sequence[bpy.types.Object], matrix: Matrix) -> None:
    """Rotate and scale the data of rig and meshes, but not the objects; keyed locations are scaled as well."""
    rig.data.transform(matrix)
    for mesh in meshes:
        mesh.data.transform(matrix, shape_keys=True)
    scale = matrix.to_scale()[0]
    for curve in compat.action_curves(rig):
        if curve.data_path.endswith("location"):
            values = np.empty(2 * len(curve.keyframe_points), np.float32)
            curve.keyframe_points.foreach_get("co", values)
            values[1::2] *= scale
            curve.keyframe_points.foreach_set("co", values)
            curve.update()
    rig.data.update_tag()  # otherwise Blender does not evaluate the pose again
    for mesh in meshes:
        mesh.data.update_tag()


@contextmanager
def _as_os_error(path: Path) -> Iterator[None]:
    """Turn the RuntimeError of Blender's exporters into OSError, with the line of it that says what is wrong."""
    try:
        yield
    except RuntimeError as error:
        lines = [line for line in str(error).strip().splitlines() if not line.startswith("Location:")]
        raise OSError(f"{path} could not be written: {lines[-1]}") from error
