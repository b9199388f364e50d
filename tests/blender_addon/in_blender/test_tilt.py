"""The tilt of the photo's camera: avatars stand upright, and still lie on the photo."""

from __future__ import annotations

import math
from typing import Any

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tests.blender_addon.in_blender.test_panels import addon  # noqa: F401
from tests.blender_addon.sample import joints, pixels_of, posed_vertices, sample_result
from uvatar_blender.core.rest_pose import RestPose
from uvatar_blender.core.result import parse_result
from uvatar_blender.protocol.levelling import up_of
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.avatar import Imported, ImportOptions, import_people, lowest_point
from uvatar_blender.scene.mesh import evaluated_vertices
from uvatar_blender.scene.posing import take_photo_pose, take_pose
from uvatar_blender.scene.tilt import set_tilt, tilt_of

TILTS = [(0.0, 0.0), (14.0, 0.0), (-9.0, 6.0), (35.0, -20.0)]


def tilted(pitch: float, roll: float, people: int = 1, ground: float | None = None) -> dict[str, Any]:
    """A result whose people stand upright in the world of a camera with this tilt in degrees."""
    result = sample_result(people=people)
    up = up_of(math.radians(pitch), math.radians(roll))
    result["camera"] |= {"up": list(up), "ground": ground, "up_confidence": 0.5, "up_from": ["people"]}
    to_camera = Rotation.from_euler("xz", [pitch, roll], degrees=True).as_matrix()
    for person in result["people"]:
        pelvis = joints(person)[0]
        orient = Rotation.from_matrix(to_camera) * Rotation.from_rotvec([np.pi, 0, 0])
        person["pose"][0] = orient.as_rotvec()
        person["transl"] = (to_camera @ (pelvis + person["transl"]) - pelvis).astype(np.float32)
    return result


def made_of(result: dict[str, Any], scene: Any, **options: Any) -> Imported:
    return import_people(parse_result(result), scene, options=ImportOptions(**options))


def in_photo(scene: Any, camera: bpy.types.Object, points: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Where the scene's camera shows points (N, 3) of the world, pixels of the photo."""
    bpy.context.view_layer.update()
    seen = np.array([world_to_camera_view(scene, camera, Vector(point)) for point in points.tolist()])
    return np.stack([seen[:, 0] * size[0], (1 - seen[:, 1]) * size[1]], -1)


def worst_off(result: dict[str, Any], made: Imported, scene: Any) -> float:
    """How far avatars are from where the photo has them, pixels, at most: vertices and joints."""
    camera, worst = result["camera"], 0.0
    for rig, person in zip(made.rigs, result["people"], strict=True):
        body = rigs.find_body(rig)
        body.modifiers["Armature"].use_deform_preserve_volume = False
        bpy.context.view_layer.update()
        shown = in_photo(scene, made.camera, evaluated_vertices(body)[::50], (camera["width"], camera["height"]))
        worst = max(worst, float(np.abs(shown - pixels_of(camera, posed_vertices(person)[::50])).max()))
        pelvis = rig.matrix_world @ rig.pose.bones[rigs.joint_names(rig)[0]].head
        expected = pixels_of(camera, (joints(person)[0] + person["transl"])[None])
        at = in_photo(scene, made.camera, np.array(pelvis)[None], (camera["width"], camera["height"]))
        worst = max(worst, float(np.abs(at - expected).max()))
    return worst


@pytest.mark.parametrize("tilt", TILTS)
def test_who_stands_in_the_photo_stands_in_the_scene_and_the_camera_is_tilted(
    tilt: tuple[float, float], scene: Any
) -> None:
    result = tilted(*tilt, people=2)
    made = made_of(result, scene)
    for rig in made.rigs:
        upright = np.array(rig.pose.bones[rigs.joint_names(rig)[0]].matrix.to_3x3()) @ np.linalg.inv(
            np.array(rig.data.bones[rigs.joint_names(rig)[0]].matrix_local.to_3x3())
        )
        assert np.allclose(upright, np.eye(3), atol=1e-4)  # facing the camera, as the sample's people do
    assert min(lowest_point(rig) for rig in made.rigs) == pytest.approx(0, abs=1e-4)
    assert np.allclose(np.degrees(tilt_of(made.camera)), tilt, atol=1e-4)
    down = made.camera.matrix_world.to_3x3() @ Vector((0, 0, -1))
    assert math.degrees(math.asin(-down.z)) == pytest.approx(tilt[0], abs=1e-3) and down.y > 0
    assert worst_off(result, made, scene) < 0.1


def test_without_levelling_the_camera_is_level(scene: Any) -> None:
    result = tilted(14, 5)
    made = made_of(result, scene, level=False)
    assert np.allclose(np.array(made.camera.rotation_euler), (math.pi / 2, 0, 0), atol=1e-6)
    assert worst_off(result, made, scene) < 0.1


@pytest.mark.parametrize(
    "up", [None, [0, 0, 0], [0, 1, 0], [0.1, 0.4, -0.9], [float("nan"), -1, 0], [0, -1], [float("inf"), -1, 0]]
)
def test_a_result_that_does_not_say_what_is_up_or_says_nonsense_counts_as_level(up: Any, scene: Any) -> None:
    result = sample_result()
    result["camera"] |= {} if up is None else {"up": up, "ground": -3.0}
    made = made_of(result, scene)
    assert np.allclose(np.array(made.camera.rotation_euler), (math.pi / 2, 0, 0), atol=1e-6)
    assert worst_off(result, made, scene) < 0.1 and lowest_point(made.rigs[0]) == pytest.approx(0, abs=1e-4)


def test_whoever_jumps_above_a_known_ground_floats(scene: Any) -> None:
    result = tilted(10, 0)
    feet = float((posed_vertices(result["people"][0]) @ -np.array(result["camera"]["up"])).max())
    result["camera"]["ground"] = feet + 0.4
    made = made_of(result, scene)
    assert lowest_point(made.rigs[0]) == pytest.approx(0.4, abs=1e-3)
    assert worst_off(result, made, scene) < 0.1


def test_moving_the_tilt_keeps_the_avatars_on_the_photo_and_the_ground(scene: Any) -> None:
    result = tilted(12, 3, people=2)
    made = made_of(result, scene)
    set_tilt(made.camera, math.radians(4), math.radians(-2))
    assert worst_off(result, made, scene) < 0.1
    assert min(lowest_point(rig) for rig in made.rigs) == pytest.approx(0, abs=1e-4)
    for rig in made.rigs:
        take_pose(rig, RestPose.T)
        take_photo_pose(rig)
    assert worst_off(result, made, scene) < 0.1
    set_tilt(made.camera, math.radians(12), math.radians(3))
    again = made_of(result, scene)
    for old, new in zip(made.rigs, again.rigs, strict=True):
        assert np.allclose(rigs.get_rotations(old), rigs.get_rotations(new), atol=1e-4)
        assert np.allclose(rigs.root_offset(old), rigs.root_offset(new), atol=1e-4)


def test_who_is_in_another_pose_stays_upright(scene: Any) -> None:
    result = tilted(12, 0)
    made = made_of(result, scene)
    (rig,) = made.rigs
    take_pose(rig, RestPose.T)
    set_tilt(made.camera, math.radians(-10), 0.0)
    assert np.allclose(rigs.get_rotations(rig)[0], np.eye(3), atol=1e-4)
    take_photo_pose(rig)
    assert worst_off(result, made, scene) < 0.1


def test_what_is_animated_or_was_turned_stays(scene: Any) -> None:
    result = tilted(12, 0, people=2)
    made = made_of(result, scene)
    first, second = made.rigs
    first.rotation_euler.z = 0.5
    second.pose.bones[rigs.joint_names(second)[0]].keyframe_insert("location", frame=1)
    bpy.context.view_layer.update()
    before = [np.array(rig.matrix_world @ rig.pose.bones[0].matrix) for rig in made.rigs]
    set_tilt(made.camera, 0.0, 0.0)
    bpy.context.view_layer.update()
    assert np.allclose([np.array(rig.matrix_world @ rig.pose.bones[0].matrix) for rig in made.rigs], before, atol=1e-6)


def test_in_a_scene_in_centimetres(scene: Any) -> None:
    scene.unit_settings.system, scene.unit_settings.scale_length = "METRIC", 0.01
    result = tilted(12, -4)
    made = made_of(result, scene)
    assert worst_off(result, made, scene) < 0.1
    set_tilt(made.camera, 0.1, 0.0)
    assert worst_off(result, made, scene) < 0.1
    assert lowest_point(made.rigs[0]) == pytest.approx(0, abs=1e-2)


def test_the_sliders_show_and_change_the_tilt(addon: Any) -> None:  # noqa: F811
    made = made_of(tilted(12, 3), bpy.context.scene)
    tilt = made.camera.uvatar_tilt
    assert math.degrees(tilt.pitch) == pytest.approx(12, abs=1e-3)
    tilt.roll = 0.0
    assert np.allclose(np.degrees(tilt_of(made.camera)), (12, 0), atol=1e-3)
