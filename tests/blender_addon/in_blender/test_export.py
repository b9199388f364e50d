"""Files: headless export, and what comes back when they are opened again."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from tests.blender_addon.sample import gradient, posed_vertices, rest_vertices, world_of
from uvatar.protocol.message_files import dump
from uvatar_blender.core.result import parse_result
from uvatar_blender.headless import EXIT_FAILED, main
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.avatar import import_people
from uvatar_blender.scene.export import export_glb
from uvatar_blender.scene.mesh import evaluated_vertices

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def files(two_people: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the second person's files, written as the command line does it."""
    folder = tmp_path_factory.mktemp("files")
    dump(two_people, folder / "stored")
    command = [
        sys.executable,
        "-m",
        "uvatar_blender.headless",
        "stored",
        "--person",
        "1",
        "--blend",
        "avatar.blend",
        "--glb",
        "avatar.glb",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_blend_holds_the_posed_person_and_the_photos_camera(files: Path, two_people: dict[str, Any]) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(files / "avatar.blend"))
    scene = bpy.context.scene
    (rig,) = (thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    body = rigs.find_body(rig)
    assert body.modifiers["Armature"].use_deform_preserve_volume
    body.modifiers["Armature"].use_deform_preserve_volume = False
    bpy.context.view_layer.update()
    person = two_people["people"][1]
    expected = world_of(posed_vertices(person)) + (0, 0, scene.camera.location.z)
    assert np.abs(evaluated_vertices(body) - expected).max() < 1e-4
    assert {image.name for image in bpy.data.images if image.packed_file} == {
        "me p1 texture.png", "me p1 texture.png as it came", "me p1 texture source.png", "me photo.jpg"}  # fmt: skip
    assert (scene.render.resolution_x, scene.render.resolution_y) == (300, 400)
    keys = body.data.shape_keys.key_blocks
    assert keys["stature"].slider_min == -5 and keys["stature"].slider_max == 5


def test_render_through_the_camera_lays_the_avatar_on_the_photo(
    files: Path, two_people: dict[str, Any], tmp_path: Path
) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(files / "avatar.blend"))
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.device = "CYCLES", 4, "CPU"
    scene.render.resolution_percentage = 50
    scene.render.filepath = str(tmp_path / "render.png")
    bpy.ops.render.render(write_still=True)
    picture = bpy.data.images.load(scene.render.filepath)
    pixels = np.reshape(picture.pixels, (200, 150, 4))[::-1, :, :3]
    photo = bpy.data.images["me photo.jpg"]
    photo_pixels = np.reshape(photo.pixels, (400, 300, 4))[::-2, ::2, :3]
    body = np.abs(pixels - photo_pixels).max(-1) > 0.1
    inside = np.zeros_like(body)
    person = two_people["people"][1]
    camera = two_people["camera"]
    points = posed_vertices(person)
    spots = (points[:, :2] / points[:, 2:] * camera["focal"] + camera["center"]) / 2
    seen = ((spots > 0) & (spots < (150, 200))).all(-1)
    inside[spots[seen, 1].astype(int), spots[seen, 0].astype(int)] = True
    assert body[inside].mean() > 0.8  # the body is where it was fitted
    rows, columns = np.nonzero(inside)
    around = np.ones_like(body)
    around[rows.min() - 2 : rows.max() + 3, columns.min() - 2 : columns.max() + 3] = False
    assert not body[around].any()  # and the photo's colours elsewhere


def test_glb_is_the_rest_pose_with_skin_texture_and_morphs(files: Path, two_people: dict[str, Any], scene: Any) -> None:
    person = two_people["people"][1]
    bpy.ops.import_scene.gltf(filepath=str(files / "avatar.glb"))
    (rig,) = (thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    (body,) = (thing for thing in bpy.data.objects if thing.type == "MESH" and thing.find_armature() == rig)
    assert {bone.name for bone in rig.data.bones} == set(person["joint_names"])
    assert [bone.name for bone in rig.data.bones if bone.parent is None] == ["pelvis"]
    vertices = evaluated_vertices(body)
    expected = rest_vertices(person)
    assert np.ptp(vertices[:, 2]) == pytest.approx(np.ptp(expected[:, 1]), abs=1e-3)  # stature
    assert np.ptp(vertices[:, 0]) == pytest.approx(np.ptp(expected[:, 0]), abs=1e-3)  # arm span: a T
    assert vertices[:, 2].min() == pytest.approx(0, abs=1e-3)
    assert [key.name for key in body.data.shape_keys.key_blocks[1:]] == person["beta_names"]
    assert all(key.value == 0 for key in body.data.shape_keys.key_blocks[1:])
    assert not [thing for thing in bpy.data.objects if thing.type == "CAMERA"]
    image = next(image for image in bpy.data.images if image.size[0] == 64)
    assert np.abs(np.reshape(image.pixels, (64, 64, 4))[::-1, :, :3] - gradient(64) / 255).max() < 0.01


def test_glb_weights_sum_to_one_over_at_most_four_joints(files: Path) -> None:
    data = (files / "avatar.glb").read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    document = json.loads(data[20 : 20 + length])
    attributes = document["meshes"][0]["primitives"][0]["attributes"]
    assert "WEIGHTS_0" in attributes and "WEIGHTS_1" not in attributes
    assert len(document["skins"][0]["joints"]) == 24
    accessor = document["accessors"][attributes["WEIGHTS_0"]]
    view = document["bufferViews"][accessor["bufferView"]]
    start = 20 + length + 8 + view.get("byteOffset", 0)
    weights = np.frombuffer(data, "<f4", accessor["count"] * 4, start).reshape(-1, 4)
    assert np.abs(weights.sum(1) - 1).max() < 1e-5


def test_export_leaves_the_scene_as_it_was(two_people: dict[str, Any], scene: Any, tmp_path: Path) -> None:
    made = import_people(parse_result(two_people), scene)
    names = {thing.name for thing in (*bpy.data.objects, *bpy.data.meshes, *bpy.data.armatures, *bpy.data.shape_keys)}
    before = evaluated_vertices(rigs.find_body(made.rigs[0]))
    export_glb(made.rigs[0], tmp_path / "a.glb")
    bpy.context.view_layer.update()
    assert {
        thing.name for thing in (*bpy.data.objects, *bpy.data.meshes, *bpy.data.armatures, *bpy.data.shape_keys)
    } == names
    assert np.array_equal(evaluated_vertices(rigs.find_body(made.rigs[0])), before)
    assert bpy.context.view_layer.objects.active == made.rigs[0] and all(rig.select_get() for rig in made.rigs)


def test_unlit_blend_shows_the_texture_as_it_is(files: Path, tmp_path: Path) -> None:
    assert main([str(files / "stored"), "--blend", str(tmp_path / "unlit.blend"), "--unlit"]) == 0
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "unlit.blend"))
    (material,) = bpy.data.materials
    assert "EMISSION" in {node.type for node in material.node_tree.nodes}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["stored", "--person", "7", "--blend", "x.blend"], "there is no person 7"),
        (["nothing", "--blend", "x.blend"], "No such file"),
        (["torn", "--blend", "x.blend"], "damaged"),
        (["stored", "--blend", "missing/x.blend"], "could not be written"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(files)
    (files / "torn").write_bytes((files / "stored").read_bytes()[:-100])
    assert main(arguments) == EXIT_FAILED
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert sentence in told and told.startswith("Error: ")
    assert not (files / "x.blend").exists()


def test_runs_as_a_script_too(files: Path, tmp_path: Path) -> None:
    """As `blender -b --python headless.py -- ...` runs it: no package, arguments after two dashes."""
    script = ROOT / "blender_addon" / "uvatar_blender" / "headless.py"
    command = [sys.executable, str(script), "-b", "--", str(files / "stored"), "--glb", str(tmp_path / "a.glb")]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=100, env=_environment_without_path()
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "a.glb").stat().st_size > 100_000


def _environment_without_path() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
