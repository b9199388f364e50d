"""Files for engines, opened again: size, axes, skeleton, skin, shapes, texture, motion; and what the file itself says
of its nodes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from scipy.spatial import cKDTree

from tests.blender_addon.in_blender.helpers import read_file
from tests.blender_addon.sample import gradient, rest_vertices, sample_result
from uvatar_blender.core.export_presets import Target
from uvatar_blender.core.result import parse_result
from uvatar_blender.protocol.bone_names import Naming, joint_names
from uvatar_blender.protocol.linear_skinning import narrowed
from uvatar_blender.scene import material
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.avatar import ImportOptions, import_people
from uvatar_blender.scene.export import export_avatar
from uvatar_blender.scene.mesh import evaluated_vertices
from uvatar_blender.scene.motion import apply_motion, load_motion
from uvatar_blender.scene.twist_bones import TWIST_BONES

ARMATURE_FROM_BODY = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
NAMINGS = {Target.GLTF: Naming.SMPL, Target.UNITY: Naming.MIXAMO, Target.UNREAL: Naming.UNREAL, Target.USD: Naming.SMPL}
IMPORTERS = ["python", "native"] if bpy.app.version >= (4, 5, 0) else ["python"]


@pytest.fixture(scope="module")
def person() -> dict[str, Any]:
    return sample_result()["people"][0]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The avatar of the sample, posed, with its overlay on and the scene in inches, for each engine."""
    folder = tmp_path_factory.mktemp("exports")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.unit_settings.system, scene.unit_settings.scale_length = "IMPERIAL", 0.0254
    (rig,) = import_people(parse_result(sample_result()), scene).rigs
    rig.location = (3, 2, 1)
    material.show_sources(material.avatar_material(rigs.find_body(rig)), 1.0)
    names = {
        thing.name
        for kind in (bpy.data.objects, bpy.data.meshes, bpy.data.armatures, bpy.data.materials)
        for thing in kind
    }
    before = evaluated_vertices(rigs.find_body(rig))
    for target in Target:
        export_avatar(rig, folder / f"me{target.value}{target.suffix}", target, NAMINGS[target])
    bpy.context.view_layer.update()
    assert {
        thing.name
        for kind in (bpy.data.objects, bpy.data.meshes, bpy.data.armatures, bpy.data.materials)
        for thing in kind
    } == names
    assert np.array_equal(evaluated_vertices(rigs.find_body(rig)), before)
    assert scene.unit_settings.scale_length == pytest.approx(0.0254) and rigs.joint_names(rig)[0] == "pelvis"
    return folder


def opened(path: Path, importer: str = "python") -> tuple[bpy.types.Object, bpy.types.Object]:
    """Rig and body of a file in an empty scene."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if path.suffix == ".fbx" and importer == "native":
        bpy.ops.wm.fbx_import(filepath=str(path))
    else:
        read_file(path)
    bpy.context.view_layer.update()
    (rig,) = (thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    (body,) = (thing for thing in bpy.data.objects if thing.type == "MESH" and thing.find_armature() == rig)
    return rig, body


@pytest.mark.parametrize("importer", IMPORTERS)
@pytest.mark.parametrize("target", list(Target))
def test_what_comes_back_is_the_avatar(files: Path, person: dict[str, Any], target: Target, importer: str) -> None:
    rig, body = opened(files / f"me{target.value}{target.suffix}", importer)
    # bones: all, under their names, one root, no leaves
    names = set(joint_names(NAMINGS[target])) | ({"root", *TWIST_BONES} if target is Target.UNREAL else set())
    assert set(rig.data.bones.keys()) == names
    (root,) = (bone.name for bone in rig.data.bones if bone.parent is None)
    assert root == ("root" if target is Target.UNREAL else joint_names(NAMINGS[target])[0])
    # size and axes: standing on the origin, facing -y, the left hand at +x
    vertices, expected = evaluated_vertices(body), rest_vertices(person) @ ARMATURE_FROM_BODY.T
    assert np.ptp(vertices[:, 2]) == pytest.approx(np.ptp(expected[:, 2]), abs=1e-3)
    assert vertices[:, 2].min() == pytest.approx(0, abs=1e-3) and np.abs(vertices[:, :2].mean(0)).max() < 0.2
    distance, nearest = cKDTree(expected - (0, 0, expected[:, 2].min())).query(vertices)
    assert distance.max() < 1e-3
    # weights
    groups = {group.index: group.name for group in body.vertex_groups}
    columns = {name: column for column, name in enumerate(joint_names(NAMINGS[target]))}
    columns |= {bone: 18 + side for side, bone in enumerate(TWIST_BONES)}  # they have a part of the forearms' weights
    weights, wanted = np.zeros((len(vertices), 24)), np.zeros((len(person["template"]), 24))
    for index, vertex in enumerate(body.data.vertices):
        for group in vertex.groups:
            weights[index, columns[groups[group.group]]] += group.weight
        assert sum(group.weight > 0 for group in vertex.groups) <= 4
    linear = narrowed(person["skin_joints"], person["skin_weights"], person["parents"])
    np.add.at(wanted, (np.arange(len(wanted))[:, None], person["skin_joints"]), linear)
    assert np.abs(weights - wanted[nearest]).max() < 1 / 255
    # shapes
    keys = body.data.shape_keys.key_blocks
    betas = [name.replace(" ", "_") if target is Target.USD else name for name in person["beta_names"]]
    assert [key.name for key in keys[1:]] == betas and all(key.value == 0 for key in keys[1:])
    moved = np.empty(3 * len(vertices), np.float32)
    keys[1].data.foreach_get("co", moved)
    basis = np.empty_like(moved)
    keys[0].data.foreach_get("co", basis)
    moved = (moved - basis).reshape(-1, 3) @ np.array(body.matrix_world.to_3x3()).T
    assert np.abs(moved - (person["shapedirs"][:, :, 0] @ ARMATURE_FROM_BODY.T)[nearest]).max() < 1e-3
    # texture, packed, on the body's own UV map
    (texture,) = (image for image in bpy.data.images if tuple(image.size) == (64, 64))
    assert texture.packed_file
    assert np.abs(np.reshape(texture.pixels, (64, 64, 4))[::-1, :, :3] - gradient(64) / 255).max() < 0.01
    assert len(body.data.uv_layers) == 1 and not [
        thing for thing in bpy.data.objects if thing.type in ("CAMERA", "LIGHT")
    ]


@pytest.mark.parametrize("target", [Target.UNITY, Target.UNREAL])
def test_no_node_of_the_fbx_is_scaled_and_no_object_turned(files: Path, target: Target) -> None:
    """As the engines see it: read without Blender's importers, which put such things right."""
    sys.path.append(bpy.utils.system_resource("SCRIPTS", path="addons_core"))
    from io_scene_fbx import parse_fbx

    root, _ = parse_fbx.parse(str(files / f"me{target.value}.fbx"))
    parts = {element.id: element for element in root.elems}

    def properties(element: Any) -> dict[bytes, list[Any]]:
        return {p.props[0]: p.props[4:] for part in element.elems if part.id == b"Properties70" for p in part.elems}

    settings = properties(parts[b"GlobalSettings"])
    # metres (a hundred of FBX's centimetres) for Unity, whose importer reads the unit; centimetres for Unreal, whose
    # does not
    assert settings[b"UnitScaleFactor"][0] == pytest.approx(100 if target is Target.UNITY else 1)
    assert settings[b"UpAxis"][0] == 1 and settings[b"UpAxisSign"][0] == 1
    kinds: list[bytes] = []
    for model in (element for element in parts[b"Objects"].elems if element.id == b"Model"):
        lcl, kind = properties(model), model.props[2]
        kinds.append(kind)
        assert lcl.get(b"Lcl Scaling", [1, 1, 1]) == pytest.approx([1, 1, 1], abs=1e-5)
        if kind != b"LimbNode":
            assert lcl.get(b"Lcl Rotation", [0, 0, 0]) == pytest.approx([0, 0, 0], abs=1e-4)
            assert lcl.get(b"Lcl Translation", [0, 0, 0]) == pytest.approx([0, 0, 0], abs=1e-4)
            if kind == b"Null" and target is Target.UNREAL:
                assert model.props[1].split(b"\x00")[0] == b"Armature"
    assert (
        kinds.count(b"LimbNode") == (27 if target is Target.UNREAL else 24)
        and kinds.count(b"Null") == kinds.count(b"Mesh") == 1
    )
    heights = next(element for element in parts[b"Objects"].elems if element.id == b"Geometry")
    points = np.reshape(next(part.props[0] for part in heights.elems if part.id == b"Vertices"), (-1, 3))
    assert np.ptp(points[:, 1]) == pytest.approx(
        (100 if target is Target.UNREAL else 1) * 1.898, abs=0.3
    )  # y is up in the data


@pytest.mark.parametrize("rest", ["T", "A"])
def test_the_a_is_exported_as_the_rest_pose(scene: Any, tmp_path: Path, rest: str) -> None:
    (rig,) = import_people(parse_result(sample_result()), scene, options=ImportOptions(rest_pose=rest)).rigs
    export_avatar(rig, tmp_path / "a.fbx", Target.UNREAL)
    opened_rig, _ = opened(tmp_path / "a.fbx")
    hand = opened_rig.matrix_world @ opened_rig.data.bones["middle_01_l"].head_local
    assert (hand.z < 1.2) == (rest == "A")


@pytest.mark.parametrize("target", list(Target))
def test_motion_is_exported_as_it_is_seen(scene: Any, tmp_path: Path, target: Target) -> None:
    (rig,) = import_people(parse_result(sample_result()), scene, options=ImportOptions(photo_pose=False)).rigs
    rig.location = (0, 0, 0)
    body = rigs.find_body(rig)
    body.modifiers["Armature"].use_deform_preserve_volume = False
    poses = np.random.default_rng(3).normal(0, 0.25, (12, 72))
    np.savez(tmp_path / "clip.npz", poses=poses, trans=np.linspace(0, 1, 36).reshape(12, 3), mocap_framerate=24.0)
    apply_motion(rig, load_motion(rig, tmp_path / "clip.npz"), "clip", start=1)
    scene.frame_start, scene.frame_end = 1, 12
    wanted = {}
    for frame in (1, 5, 12):
        scene.frame_set(frame)
        bpy.context.view_layer.update()
        wanted[frame] = evaluated_vertices(body)
    # Without the mannequin's names, since its twist bones bend forearms better than linear skinning in Blender.
    export_avatar(rig, tmp_path / f"a{target.suffix}", target, Naming.SMPL, animation=True)
    assert len(bpy.data.actions) == 1  # the samples were for the file
    rig, body = opened(tmp_path / f"a{target.suffix}")
    scene = bpy.context.scene
    for modifier in body.modifiers:
        modifier.use_deform_preserve_volume = False
    first = round(rig.animation_data.action.frame_range[0])
    for frame, vertices in wanted.items():
        scene.frame_set(first + frame - 1)
        bpy.context.view_layer.update()
        distance, _ = cKDTree(vertices).query(evaluated_vertices(body)[::7])
        assert np.percentile(distance, 99) < 2e-3 and distance.max() < 0.01


def test_a_place_that_cannot_be_written_is_told_and_leaves_nothing(scene: Any, tmp_path: Path) -> None:
    (rig,) = import_people(parse_result(sample_result()), scene).rigs
    before = {
        thing.name
        for kind in (bpy.data.objects, bpy.data.meshes, bpy.data.armatures, bpy.data.materials)
        for thing in kind
    }
    for target in Target:
        (tmp_path / f"folder{target.suffix}").mkdir(exist_ok=True)
        with pytest.raises(OSError, match="could not be written"):
            export_avatar(rig, tmp_path / f"folder{target.suffix}", target)
    assert {
        thing.name
        for kind in (bpy.data.objects, bpy.data.meshes, bpy.data.armatures, bpy.data.materials)
        for thing in kind
    } == before
