"""What exported clips hold: they begin at 0, key bones and nothing else, and the root goes the way over the ground
where asked to.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.blender_addon.in_blender.helpers import imported
from uvatar_blender.core.export_presets import Target
from uvatar_blender.scene import compat
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.export import export_avatar
from uvatar_blender.scene.mesh import evaluated_vertices
from uvatar_blender.scene.motion import apply_motion, load_motion

FRAMES, RATE = 25, 24
WAY = np.stack(
    [np.linspace(0, 1, FRAMES), np.linspace(0, -2, FRAMES), 0.05 * np.sin(np.arange(FRAMES))], -1
)  # metres, z up


@pytest.fixture
def walker(result: dict[str, Any], scene: bpy.types.Scene, tmp_path: Path) -> bpy.types.Object:
    """An avatar that walks off, its scene playing just that; shape sliders are not 0."""
    scene.render.fps, scene.render.fps_base = RATE, 1.0
    rig = imported(result, scene, photo_pose=False)
    rig.location = (0, 0, 0)
    poses = np.zeros((FRAMES, 24, 3))
    poses[:, 0, 0] = np.pi / 2  # stands in a z-up world
    poses[:, 1, 0] = 0.4 * np.sin(np.arange(FRAMES))
    np.savez(tmp_path / "walk.npz", poses=poses.reshape(FRAMES, 72), trans=WAY, mocap_framerate=float(RATE))
    action = apply_motion(rig, load_motion(rig, tmp_path / "walk.npz"), "walk", ground=False)
    assert tuple(action.frame_range) == (0, FRAMES - 1)
    scene.frame_start, scene.frame_end = 0, FRAMES - 1
    return rig


def glb(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def numbers(document: dict[str, Any], binary: bytes, accessor: int) -> NDArray[Any]:
    told = document["accessors"][accessor]
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[told["type"]]
    start = document["bufferViews"][told["bufferView"]].get("byteOffset", 0) + told.get("byteOffset", 0)
    return np.frombuffer(binary, "<f4", told["count"] * width, start).reshape(told["count"], width)


@pytest.mark.parametrize("start", [0, 1, 101])
def test_a_glb_s_clip_begins_at_0_and_keys_no_shapes(
    walker: bpy.types.Object, scene: Any, tmp_path: Path, start: int
) -> None:
    """Wherever the motion lies in the scene: else a loop stands still until its first key."""
    action = walker.animation_data.action
    for curve in compat.action_curves(walker):
        for point in curve.keyframe_points:
            point.co.x += start
    scene.frame_start, scene.frame_end = start, start + FRAMES - 1
    assert action.frame_range[0] == start
    export_avatar(walker, tmp_path / "a.glb", Target.GLTF, animation=True)
    document, binary = glb(tmp_path / "a.glb")
    (animation,) = document["animations"]
    paths = {channel["target"]["path"] for channel in animation["channels"]}
    assert paths <= {"translation", "rotation", "scale"} and "rotation" in paths
    times = [numbers(document, binary, sampler["input"]).ravel() for sampler in animation["samplers"]]
    assert {float(time[0]) for time in times} == {0.0}
    assert max(time[-1] for time in times) == pytest.approx((FRAMES - 1) / RATE)
    assert document["meshes"][0]["primitives"][0]["targets"]  # the sliders are there, only not keyed
    assert (scene.frame_start, scene.frame_end) == (start, start + FRAMES - 1)


def fbx_animated(path: Path) -> list[str]:
    """What an FBX file has curves for, by the ids that its curve nodes are connected to: the kinds of things
    they move.
    """
    from io_scene_fbx import parse_fbx  # Blender's own

    tree, _ = parse_fbx.parse(str(path), use_namedtuple=True)
    parts = {element.id.decode(): element for element in tree.elems}
    kinds = {element.props[0]: element.id.decode() for element in parts["Objects"].elems}
    links = [
        (element.props[1], element.props[2]) for element in parts["Connections"].elems if element.props[0] == b"OP"
    ]
    nodes = {child for child, _ in links if kinds.get(child) == "AnimationCurveNode"}
    return [kinds[parent] for child, parent in links if child in nodes]


@pytest.mark.parametrize("target", [Target.UNITY, Target.UNREAL])
def test_an_fbx_s_clip_begins_at_0_and_keys_no_shapes(
    walker: bpy.types.Object, scene: Any, tmp_path: Path, target: Target
) -> None:
    scene.frame_start, scene.frame_end = 0, FRAMES - 1
    export_avatar(walker, tmp_path / "a.fbx", target, animation=True)
    moved = fbx_animated(tmp_path / "a.fbx")
    assert set(moved) == {"Model"} and len(moved) >= 24  # no Deformer: those are shape keys
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.render.fps = RATE
    bpy.ops.import_scene.fbx(filepath=str(tmp_path / "a.fbx"), anim_offset=0.0)
    rig = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    assert tuple(rig.animation_data.action.frame_range) == (0, FRAMES - 1)


def bone_way(rig: bpy.types.Object, bone: str) -> NDArray[Any]:
    """(F, 3) where a bone is in the world on every frame, from where it is on the first."""
    scene = bpy.context.scene
    places = []
    first = int(rig.animation_data.action.frame_range[0])
    for frame in range(FRAMES):
        scene.frame_set(first + frame)
        bpy.context.view_layer.update()
        places.append((rig.matrix_world @ rig.pose.bones[bone].matrix).translation)
    return np.array(places) - np.array(places[0])


@pytest.mark.parametrize("root_motion", [False, True])
def test_unreal_s_root_bone_goes_the_way_where_asked_to(
    walker: bpy.types.Object, scene: Any, tmp_path: Path, root_motion: bool
) -> None:
    body = rigs.find_body(walker)
    body.modifiers["Armature"].use_deform_preserve_volume = False
    scene.frame_set(FRAMES - 1)
    bpy.context.view_layer.update()
    last = evaluated_vertices(body)
    export_avatar(walker, tmp_path / "a.fbx", Target.UNREAL, animation=True, root_motion=root_motion)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.fbx(filepath=str(tmp_path / "a.fbx"))
    rig = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    body = next(thing for thing in bpy.data.objects if thing.type == "MESH" and thing.parent == rig)
    over_ground = WAY - WAY[0]
    root = bone_way(rig, "root")
    assert np.abs(root - (over_ground * (1, 1, 0) if root_motion else 0)).max() < 1e-3
    assert np.abs(bone_way(rig, "pelvis") - over_ground).max() < 1e-3  # the character goes the same way in both
    for modifier in body.modifiers:
        modifier.use_deform_preserve_volume = False
    bpy.context.view_layer.update()
    assert np.abs(np.sort(evaluated_vertices(body)[:, 1])[::500] - np.sort(last[:, 1])[::500]).max() < 0.02


def test_without_a_root_bone_the_armature_goes_the_way(walker: bpy.types.Object, tmp_path: Path) -> None:
    told: list[float] = []
    export_avatar(walker, tmp_path / "a.glb", Target.GLTF, animation=True, root_motion=True, progress=told.append)
    assert len(told) == FRAMES and told == sorted(told) and told[-1] == 1.0
    document, binary = glb(tmp_path / "a.glb")
    names = [node.get("name") for node in document["nodes"]]
    ways = {}
    for channel in document["animations"][0]["channels"]:
        if channel["target"]["path"] == "translation":
            sampler = document["animations"][0]["samplers"][channel["sampler"]]
            ways[names[channel["target"]["node"]]] = numbers(document, binary, sampler["output"])
    over_ground = np.stack([WAY[:, 0], np.zeros(FRAMES), -WAY[:, 1]], -1)  # y up
    assert np.abs(ways[walker.name] - ways[walker.name][0] - (over_ground - over_ground[0])).max() < 1e-4
    pelvis = ways["pelvis"]
    assert np.ptp(pelvis[:, [0, 2]], axis=0).max() < 1e-4 and np.ptp(pelvis[:, 1]) == pytest.approx(
        np.ptp(WAY[:, 2]), abs=1e-4
    )
