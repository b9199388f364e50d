"""Shoulders and elbows keep their volume in Blender: the shape keys, their drivers, and what does without them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from benchmarks.deformation import POSES, REACH, Pose, corrected, mean_body, volume
from tests.blender_addon.in_blender.helpers import ARMATURE_FROM_BODY, imported, shown
from tests.blender_addon.in_blender.test_panels import addon  # noqa: F401 (a fixture)
from uvatar.protocol.rig import RIG_NAMES
from uvatar_blender.core.export_presets import Target
from uvatar_blender.scene import correctives, rigify
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.export import export_avatar
from uvatar_blender.scene.mesh import key_vertices
from uvatar_blender.scene.shape import refresh_joints

LIMIT = 0.08  # of the volume around a joint
ARMS = [name for name, (joint, _) in POSES.items() if joint in ("left_shoulder", "left_elbow")]

body_at_rest = cache(mean_body)


def mean_person(result: dict[str, Any], **changes: Any) -> dict[str, Any]:
    person = result["people"][0]
    nothing = {"betas": np.zeros_like(person["betas"]), "offsets": np.zeros_like(person["offsets"])}
    return {**result, "people": [{**person, **nothing, "pose": np.zeros_like(person["pose"]), **changes}]}


def pose(rig: bpy.types.Object, turned: Pose, side: str = "left") -> None:
    """Turn joints relative to the T pose; the right side's poses mirror the left's."""
    names = RIG_NAMES[: len(rigs.parents(rig))]
    rotations = np.tile(np.eye(3), (len(names), 1, 1))
    for name, vector in turned.items():
        mirror = np.array((1, 1, 1) if side == "left" else (1, -1, -1))
        joint = names.index(name.replace("left", side))
        turn = Rotation.from_rotvec(vector * mirror, degrees=True).as_matrix()
        rotations[joint] = ARMATURE_FROM_BODY @ turn @ ARMATURE_FROM_BODY.T
    rigs.set_rotations(rig, rotations)
    bpy.context.view_layer.update()


def change(rig: bpy.types.Object, name: str, side: str = "left") -> float:
    """How the volume around the joint changes from the T pose to a pose."""
    surface, _, skeleton = body_at_rest()
    joint, turned = POSES[name]
    head = skeleton.heads[RIG_NAMES.index(joint)] * ((1, 1, 1) if side == "left" else (-1, 1, 1))
    inside = np.linalg.norm(surface.positions - head, axis=1) < REACH[joint.removeprefix("left_")]
    region = surface.triangles[inside[surface.triangles].all(1)].astype(np.int64)
    pose(rig, {})
    rest = volume(shown(rig).astype(float), region, surface.sources)
    pose(rig, turned, side)
    return volume(shown(rig).astype(float), region, surface.sources) / rest - 1


def values(rig: bpy.types.Object) -> NDArray[Any]:
    bpy.context.view_layer.update()
    body = rigs.find_body(rig).evaluated_get(bpy.context.evaluated_depsgraph_get())
    return np.array([key.value for key in body.data.shape_keys.key_blocks if key.name.startswith("Pose ")])


@pytest.mark.parametrize("side", ["left", "right"])
def test_arms_keep_their_volume(result: dict[str, Any], scene: Any, side: str) -> None:
    rig = imported(mean_person(result), scene)
    for name in ARMS:
        assert abs(change(rig, name, side)) < LIMIT, name
    body = rigs.find_body(rig)
    correctives.set_live(body, False)
    assert change(rig, "arm up 80", side) > 0.2 and change(rig, "elbow 140", side) < -LIMIT


def test_the_keys_are_what_the_benchmark_measures(result: dict[str, Any], scene: Any) -> None:
    rig = imported(mean_person(result), scene)
    body = rigs.find_body(rig)
    assert len(correctives.correctives(body)) == 6
    assert all(len(curve.driver.expression) < 255 for curve in body.data.shape_keys.animation_data.drivers)
    _, surface, _ = body_at_rest()
    basis = key_vertices(body.data.shape_keys.key_blocks[0])
    for name in ("arm up 80", "arm down 75", "elbow 140", "arm and collar bone up 120"):
        pose(rig, POSES[name][1])
        made = np.zeros((len(surface.positions), 3))
        for key, value in zip(correctives.correctives(body), values(rig), strict=True):
            made += value * (key_vertices(key) - basis)
        wanted = (corrected(surface, POSES[name][1]).positions - surface.positions) @ ARMATURE_FROM_BODY.T
        assert np.abs(made - wanted).max() < 0.002 and np.abs(wanted).max() > 0.003, name


@pytest.mark.parametrize("rest", ["T", "A"])
def test_nothing_is_added_at_rest_or_to_linear_skinning(result: dict[str, Any], scene: Any, rest: str) -> None:
    rig = imported(mean_person(result), scene, rest_pose=rest)
    rigs.clear_pose(rig)
    assert np.abs(values(rig)).max() < 2e-3
    refresh_joints(rig)
    assert np.abs(values(rig)).max() < 2e-3
    pose(rig, POSES["arm up 80"][1])
    assert np.abs(values(rig)).max() > 0.9
    shown(rig, linear=True)
    assert np.abs(values(rig)).max() == 0


def test_arms_that_rest_in_an_a(result: dict[str, Any], scene: Any) -> None:
    rig = imported(mean_person(result), scene, rest_pose="A")
    for name in ARMS:
        assert abs(change(rig, name)) < LIMIT, name


def test_they_follow_a_control_rig(result: dict[str, Any], addon: Any) -> None:  # noqa: F811
    rig = imported(mean_person(result), bpy.context.scene)
    pose(rig, POSES["arm up 80"][1])
    before = values(rig)
    control = rigify.generate_control_rig(rig)
    assert np.abs(values(rig) - before).max() < 0.01
    control.pose.bones["shoulder.L"].rotation_mode = "XYZ"
    control.pose.bones["shoulder.L"].rotation_euler = (0.3, 0, 0)
    assert np.abs(values(rig) - before).max() > 0.2


def test_exported_files_do_not_have_them(result: dict[str, Any], scene: Any, tmp_path: Path) -> None:
    rig = imported(mean_person(result), scene)
    files = []
    for live in (True, False):
        correctives.set_live(rigs.find_body(rig), live)
        pose(rig, POSES["arm up 80"][1])
        export_avatar(rig, tmp_path / "me.glb", Target.GLTF)
        files.append((tmp_path / "me.glb").read_bytes())
    assert files[0] == files[1] and b"Pose left" not in files[0]


def test_other_bodies_have_none(result: dict[str, Any], scene: Any) -> None:
    rig = imported(mean_person(result, body_model="smpl"), scene)
    assert not correctives.correctives(rigs.find_body(rig))
