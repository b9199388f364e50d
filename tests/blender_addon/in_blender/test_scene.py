"""The avatar in the scene: shape, skeleton, skinning, pose, material, undo."""

from __future__ import annotations

import copy
import json
from typing import Any

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from numpy.typing import NDArray

from tests.blender_addon.sample import joints, pixels_of, posed_vertices, rest_vertices, sample_result, world_of
from uvatar_blender.core.result import ResultError, parse_result
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.avatar import Imported, ImportOptions, import_people
from uvatar_blender.scene.mesh import CLOTHING_KEY, evaluated_vertices, is_corrective, mixed_vertices
from uvatar_blender.scene.shape import refresh_joints

ARMATURE_FROM_BODY = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])


def imported(
    result: dict[str, Any], scene: bpy.types.Scene, people: list[int] | None = None, **options: Any
) -> Imported:
    return import_people(parse_result(result), scene, people, ImportOptions(**options))


def shown_linear(rig: bpy.types.Object) -> NDArray[Any]:
    """The deformed mesh in the world, with linear skinning as SMPL defines it."""
    body = rigs.find_body(rig)
    body.modifiers["Armature"].use_deform_preserve_volume = False
    bpy.context.view_layer.update()
    return evaluated_vertices(body)


def test_deformed_mesh_is_lbs_of_the_photos_pose(two_people: dict[str, Any], scene: Any) -> None:
    made = imported(two_people, scene)
    for rig, person in zip(made.rigs, two_people["people"], strict=True):
        expected = world_of(posed_vertices(person)) + np.array([0, 0, made.camera.location.z])
        assert np.abs(shown_linear(rig) - expected).max() < 1e-4


def test_people_keep_their_places_and_the_lowest_foot_is_on_the_ground(two_people: dict[str, Any], scene: Any) -> None:
    made = imported(two_people, scene)
    for rig in made.rigs:
        rigs.find_body(rig).modifiers["Armature"].use_deform_preserve_volume = True
    bpy.context.view_layer.update()
    lowest = min(evaluated_vertices(rigs.find_body(rig))[:, 2].min() for rig in made.rigs)
    assert lowest == pytest.approx(0, abs=1e-5)
    apart = made.rigs[1].location - made.rigs[0].location
    assert apart.x > 0.5 and apart.y > 0.1  # the second stands to the right and further away


def test_rest_pose_is_a_t_on_the_ground_facing_the_viewer(result: dict[str, Any], scene: Any) -> None:
    (rig,) = imported(result, scene, photo_pose=False).rigs
    vertices = shown_linear(rig) - np.array(rig.location)
    assert tuple(rig.scale) == (1, 1, 1) and tuple(rig.rotation_euler) == (0, 0, 0)
    assert vertices[:, 2].min() == pytest.approx(0, abs=1e-5)
    expected = rest_vertices(result["people"][0]) @ ARMATURE_FROM_BODY.T
    assert np.ptp(vertices[:, 2]) == pytest.approx(np.ptp(expected[:, 2]), abs=1e-5)  # metres
    assert np.abs(vertices - expected - (0, 0, -expected[:, 2].min())).max() < 1e-5
    left_hand, toes = rig.data.bones["left_hand"].head_local, rig.data.bones["left_foot"].tail_local
    assert (
        left_hand.x > 0.5 and toes.y < rig.data.bones["left_ankle"].head_local.y
    )  # its left at +x, its toes towards -y


def test_24_bones_of_one_tree_lie_on_the_joints(result: dict[str, Any], scene: Any) -> None:
    person = result["people"][0]
    (rig,) = imported(result, scene).rigs
    bones = rig.data.bones
    assert [bone.name for bone in bones if bone.parent is None] == ["pelvis"]
    assert set(bones.keys()) == set(person["joint_names"]) and len(bones) == 24
    for name, parent in zip(person["joint_names"][1:], person["parents"][1:], strict=True):
        assert bones[name].parent.name == person["joint_names"][parent]
    heads = np.array([bones[name].head_local for name in person["joint_names"]])
    expected = joints(person) @ ARMATURE_FROM_BODY.T
    shift = heads - expected
    assert np.abs(shift[:, :2]).max() < 1e-5 and np.ptp(shift[:, 2]) < 1e-5  # the same, but raised to the ground


def test_bones_run_along_limbs_and_bend_alike_on_both_sides(result: dict[str, Any], scene: Any) -> None:
    (rig,) = imported(result, scene).rigs
    bones = rig.data.bones
    for upper, lower in (
        ("left_shoulder", "left_elbow"),
        ("right_hip", "right_knee"),
        ("spine1", "spine2"),
        ("left_wrist", "left_hand"),
    ):
        assert (bones[upper].tail_local - bones[lower].head_local).length < 1e-5
        assert bones[lower].use_connect
    assert (
        bones["head"].length > 0.1 and bones["left_hand"].length > 0.05
    )  # the last bones reach the crown and the fingertips
    for bone in bones:
        x, y, z = (np.array(axis) for axis in bone.matrix_local.to_3x3().col)
        forward = np.array((0, 0, 1)) if "foot" in bone.name or "ankle" in bone.name else np.array((0, -1, 0))
        assert z @ forward > 0.3 and abs(x @ forward) < 1e-4
        if bone.name.startswith("left_"):
            other = bones[bone.name.replace("left_", "right_")].matrix_local.to_3x3()
            mirrored = np.array(other.col[1]) * (-1, 1, 1)
            assert y @ mirrored > 0.99


def test_a_positive_turn_about_x_bends_elbows_hips_and_spine_forward(result: dict[str, Any], scene: Any) -> None:
    (rig,) = imported(result, scene, photo_pose=False).rigs
    for name in ("left_elbow", "right_elbow", "left_hip", "right_hip", "spine2"):
        bone = rig.pose.bones[name]
        before = bone.tail.copy()
        bone.rotation_quaternion = (np.cos(0.25), np.sin(0.25), 0, 0)
        bpy.context.view_layer.update()
        assert (bone.tail - before).y < -0.02, name
        bone.rotation_quaternion = (1, 0, 0, 0)


def test_at_most_four_weights_per_vertex_as_given(result: dict[str, Any], scene: Any) -> None:
    person = result["people"][0]
    (rig,) = imported(result, scene).rigs
    body = rigs.find_body(rig)
    names = [group.name for group in body.vertex_groups]
    assert names == person["joint_names"]
    for index in range(0, len(person["template"]), 97):
        groups = {group.group: group.weight for group in body.data.vertices[index].groups}
        expected = {
            int(j): float(w)
            for j, w in zip(person["skin_joints"][index], person["skin_weights"][index], strict=True)
            if w > 0
        }
        assert len(groups) <= 4
        assert groups == pytest.approx(expected, abs=1e-6)


def test_mesh_keeps_quads_and_the_uv_atlas(result: dict[str, Any], scene: Any) -> None:
    person = result["people"][0]
    (rig,) = imported(result, scene).rigs
    mesh = rigs.find_body(rig).data
    faces = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", faces)
    uv = np.empty(2 * len(mesh.loops), np.float32)
    mesh.uv_layers["UVMap"].uv.foreach_get("vector", uv)
    assert np.array_equal(faces.reshape(-1, 4), person["quads"])
    assert np.allclose(uv.reshape(-1, 4, 2), person["uv"][person["quad_uv"]])
    assert not mesh.validate(verbose=True)  # True: something had to be repaired


def test_shape_keys_are_the_betas_and_the_clothes(result: dict[str, Any], scene: Any) -> None:
    person = result["people"][0]
    (rig,) = imported(result, scene).rigs
    body = rigs.find_body(rig)
    keys = body.data.shape_keys.key_blocks
    shapes = ["Basis", *person["beta_names"], CLOTHING_KEY]
    assert [key.name for key in keys if not is_corrective(key)] == shapes
    assert [keys[name].value for name in person["beta_names"]] == pytest.approx(person["betas"].tolist())
    assert all(keys[name].slider_min <= -5 and keys[name].slider_max >= 5 for name in person["beta_names"])
    assert np.ptp(mixed_vertices(body)[:, 2]) == pytest.approx(np.ptp(rest_vertices(person)[:, 1]), abs=1e-5)
    keys[CLOTHING_KEY].value = 0
    naked = {**person, "offsets": np.zeros_like(person["offsets"])}
    assert np.ptp(mixed_vertices(body)[:, 2]) == pytest.approx(np.ptp(rest_vertices(naked)[:, 1]), abs=1e-5)


def test_a_beta_beyond_the_sliders_range_is_not_clipped(result: dict[str, Any], scene: Any) -> None:
    wide = copy.deepcopy(result)
    wide["people"][0]["betas"][1] = 6.4
    (rig,) = imported(wide, scene).rigs
    assert rigs.find_body(rig).data.shape_keys.key_blocks[wide["people"][0]["beta_names"][1]].value == pytest.approx(
        6.4
    )


def test_joints_follow_the_shape_and_the_pose_stays(result: dict[str, Any], scene: Any) -> None:
    person = copy.deepcopy(result["people"][0])
    made = imported(result, scene)
    (rig,) = made.rigs
    keys = rigs.find_body(rig).data.shape_keys.key_blocks
    person["betas"] = person["betas"].copy()
    person["betas"][:3] = (3.5, -2.0, 1.0)
    for name, beta in zip(person["beta_names"], person["betas"].tolist(), strict=True):
        keys[name].value = beta
    refresh_joints(rig)
    heads = np.array([rig.data.bones[name].head_local for name in person["joint_names"]])
    expected = joints(person) @ ARMATURE_FROM_BODY.T
    expected[:, 2] -= (rest_vertices(person) @ ARMATURE_FROM_BODY.T)[:, 2].min()  # soles back on the ground
    assert np.abs(heads - expected).max() < 1e-5
    # Posed as in the photo, the new shape is what SMPL makes of these betas, up to where the body stands.
    difference = shown_linear(rig) - world_of(posed_vertices(person))
    assert np.ptp(difference, axis=0).max() < 1e-4


def test_refresh_says_what_to_do_when_the_sliders_are_gone(result: dict[str, Any], scene: Any) -> None:
    (rig,) = imported(result, scene).rigs
    rigs.find_body(rig).shape_key_clear()
    with pytest.raises(rigs.RigError, match="import the avatar again"):
        refresh_joints(rig)


def test_camera_projects_the_avatar_where_the_photo_shows_it(two_people: dict[str, Any], scene: Any) -> None:
    made = imported(two_people, scene)
    camera = two_people["camera"]
    assert scene.camera == made.camera
    assert (scene.render.resolution_x, scene.render.resolution_y) == (camera["width"], camera["height"])
    for rig, person in zip(made.rigs, two_people["people"], strict=True):
        seen = np.array(
            [world_to_camera_view(scene, made.camera, Vector(point)) for point in shown_linear(rig)[::50].tolist()]
        )
        pixels = np.stack([seen[:, 0] * camera["width"], (1 - seen[:, 1]) * camera["height"]], -1)
        assert np.abs(pixels - pixels_of(camera, posed_vertices(person)[::50])).max() < 0.05


def test_photo_lies_behind_the_camera_view_packed(result: dict[str, Any], scene: Any) -> None:
    camera = imported(result, scene).camera
    (background,) = camera.data.background_images
    assert camera.data.show_background_images and tuple(background.image.size) == (300, 400)
    assert bytes(background.image.packed_file.data) == result["photo"]["jpeg"]


def test_material_shows_the_packed_texture(result: dict[str, Any], scene: Any) -> None:
    (rig,) = imported(result, scene).rigs
    (material,) = rigs.find_body(rig).data.materials
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    (link,) = shader.inputs["Base Color"].links
    image = link.from_node.image
    assert bytes(image.packed_file.data) == result["people"][0]["texture_png"]
    assert image.colorspace_settings.name == "sRGB"
    red, green, _blue, _ = image.pixels[0:4]  # bottom-left: row 0 of the PNG is v = 1
    assert red < 0.1 and green > 0.9


def test_provenance_is_kept(result: dict[str, Any], scene: Any) -> None:
    (rig,) = imported(result, scene).rigs
    assert (
        rig["uvatar_photo_digest"] == "d1"
        and rig["uvatar_body_model"] == "open_body"
        and rig["uvatar_version"] == "0.1.0"
    )
    assert json.loads(rig["uvatar_licence"]) == {"body_model": "CC0-1.0"}
    assert list(rig["uvatar_betas"]) == pytest.approx(result["people"][0]["betas"].tolist())


def test_triangles_and_bodies_without_texture_coordinates_import(result: dict[str, Any], scene: Any) -> None:
    plain = copy.deepcopy(result)
    plain["people"][0] |= {
        "quads": None,
        "quad_uv": None,
        "uv": np.zeros((0, 2), np.float32),
        "triangle_uv": np.zeros((0, 3), np.int32),
    }
    (rig,) = imported(plain, scene).rigs
    mesh = rigs.find_body(rig).data
    assert len(mesh.polygons) == len(plain["people"][0]["triangles"]) and not mesh.uv_layers


@pytest.mark.parametrize("picture", ["texture_png", "source_png", "jpeg"])
def test_a_broken_picture_leaves_nothing_behind(result: dict[str, Any], scene: Any, picture: str) -> None:
    broken = copy.deepcopy(result)
    (broken["photo"] if picture == "jpeg" else broken["people"][0])[picture] = b"no picture"
    with pytest.raises(ResultError, match="not a picture"):
        imported(broken, scene)
    data = bpy.data
    for kind in (
        data.objects,
        data.meshes,
        data.shape_keys,
        data.armatures,
        data.cameras,
        data.materials,
        data.images,
        data.collections,
    ):
        assert not list(kind)


def test_a_full_avatar_is_three_objects(scene: Any) -> None:
    imported(sample_result(texture=1024), scene)
    assert len(bpy.data.objects) == 3
