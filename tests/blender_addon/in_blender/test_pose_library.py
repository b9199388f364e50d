"""The pose library: a .blend with assets and pictures that fit other avatars, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from tests.blender_addon.in_blender.helpers import data_names, imported
from tests.blender_addon.in_blender.test_control_rig import standing
from tests.blender_addon.in_blender.test_face_board import different, weights
from tests.blender_addon.in_blender.test_panels import addon  # noqa: F401 (a fixture)
from uvatar_blender.protocol.bone_names import Naming, joint_names
from uvatar_blender.protocol.expressions import MOODS
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene import rigify
from uvatar_blender.scene.mesh import evaluated_vertices
from uvatar_blender.scene.pose_library import register_library, write_pose_library

HANDS = {f"{pose}, {side} hand" for pose in ("Relaxed", "Fist", "Point", "Flat") for side in ("left", "right")}
BODY = {"T pose", "A pose", "At ease", "Sitting", "Waving", "Pointing", "Talking", "Walk, contact left",
        "Walk, contact right", "Walk, passing left", "Walk, passing right"}  # fmt: skip


def loaded(folder: Path) -> dict[str, bpy.types.Action]:
    (path,) = folder.glob("*.blend")
    with bpy.data.libraries.load(str(path)) as (there, here):
        here.actions = there.actions
        assert not there.objects and not there.meshes and not there.armatures
    return {action.name: action for action in here.actions}


def picture(action: bpy.types.Action) -> Any:
    width, height = action.preview.image_size
    pixels = np.empty(width * height * 4, np.float32)
    action.preview.image_pixels_float.foreach_get(pixels)
    return pixels.reshape(height, width, 4)


def posed(rig: bpy.types.Object, action: bpy.types.Action) -> Any:
    rigs.clear_pose(rig)
    rig.pose.apply_pose_from_action(action)
    bpy.context.view_layer.update()
    return {name: np.array(rig.pose.bones[name].head) for name in rigs.joint_names(rig)}


def test_assets_with_pictures_and_no_trace(scene: Any, tmp_path: Path) -> None:
    rig = imported(standing(), scene)
    rigify.generate_control_rig(rig)  # it must not stand in the way
    bpy.context.view_layer.update()
    before, names = evaluated_vertices(rigs.find_body(rig)).copy(), data_names()
    assert write_pose_library(rig, tmp_path) == len(HANDS | BODY) + len(MOODS)
    bpy.context.view_layer.update()
    assert data_names() == names and np.array_equal(before, evaluated_vertices(rigs.find_body(rig)))
    actions = loaded(tmp_path)
    assert set(actions) == HANDS | BODY | {mood.capitalize() for mood in MOODS}
    catalogues = (tmp_path / "blender_assets.cats.txt").read_text()
    pictures = {}
    for name, action in actions.items():
        assert action.asset_data.catalog_id in catalogues
        pictures[name] = picture(action)
        assert 0.03 < (pictures[name][..., 3] > 0.5).mean() < 0.8, name
    assert all(
        np.abs(pictures[one] - pictures[other]).max() > 0.1
        for one in pictures for other in pictures if one < other
    )  # fmt: skip


@pytest.mark.parametrize(("rest", "naming"), [("T", Naming.SMPL), ("A", Naming.MIXAMO)])
def test_poses_are_what_their_names_say(scene: Any, tmp_path: Path, rest: str, naming: Naming) -> None:
    """On another avatar than the one that they were made with."""
    first, rig = (imported(standing(), scene, rest_pose=rest) for _ in range(2))
    for one in (first, rig):
        rigs.rename_joints(one, joint_names(naming, 55))
    write_pose_library(first, tmp_path)
    actions = loaded(tmp_path)
    hip, knee, ankle, wrist, shoulder = (rigs.joint_names(rig)[number] for number in (1, 4, 7, 20, 16))
    right_wrist, right_ankle, head = (rigs.joint_names(rig)[number] for number in (21, 8, 15))
    sitting = posed(rig, actions["Sitting"])
    assert abs(sitting[hip][2] - sitting[knee][2]) < 0.08 and sitting[knee][1] < sitting[hip][1] - 0.3
    assert sitting[knee][2] - sitting[ankle][2] > 0.3
    waving = posed(rig, actions["Waving"])
    assert waving[right_wrist][2] > waving[head][2] - 0.1 > waving[wrist][2]
    for step, front, back in (("left", ankle, right_ankle), ("right", right_ankle, ankle)):
        walk = posed(rig, actions[f"Walk, contact {step}"])
        assert walk[front][1] < walk[back][1] - 0.3
    t_pose, a_pose = posed(rig, actions["T pose"]), posed(rig, actions["A pose"])
    assert abs(t_pose[wrist][2] - t_pose[shoulder][2]) < 0.1 < a_pose[shoulder][2] - a_pose[wrist][2]
    # Hands leave the body alone.
    waving = posed(rig, actions["Waving"])
    rig.pose.apply_pose_from_action(actions["Fist, left hand"])
    bpy.context.view_layer.update()
    for name in rigs.joint_names(rig)[:22]:
        assert np.abs(waving[name] - np.array(rig.pose.bones[name].head)).max() < 1e-5


def test_expressions_fit_every_face_board(scene: Any, tmp_path: Path) -> None:
    write_pose_library(imported(standing(), scene), tmp_path)
    other = standing()
    other["people"][0]["betas"][0] -= 1.5  # of another size
    rig = imported(other, scene)
    control = rigify.generate_control_rig(rig)
    actions = loaded(tmp_path)
    # Blender gives a pose to selected bones, also hidden ones, or to all if none is: so none is.
    for mood in ("Happy", "Angry", "Neutral"):
        control.pose.apply_pose_from_action(actions[mood])
        control.update_tag()
        assert different(weights(rig), dict(MOODS[mood.lower()])) < 1e-4


def test_the_button_adds_a_library_once(addon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("UVATAR_DATA", str(tmp_path / "data"))
    rig = imported(standing(), bpy.context.scene)
    bpy.context.view_layer.objects.active = rig
    libraries = bpy.context.preferences.filepaths.asset_libraries
    before = len(libraries)
    for _ in range(2):
        assert bpy.ops.uvatar.add_pose_library() == {"FINISHED"}
    assert len(libraries) == before + 1 and Path(libraries[-1].path) == tmp_path / "data" / "poses"
    register_library(tmp_path / "elsewhere")
    assert len(libraries) == before + 2
