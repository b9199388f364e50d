"""Bones that the artist has renamed, duplicated or deleted: every tool finds them by what they carry, or says what is
missing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from tests.blender_addon.in_blender.helpers import imported, shown
from uvatar_blender.core.export_presets import Target
from uvatar_blender.core.rest_pose import RestPose
from uvatar_blender.protocol.bone_names import Naming, joint_names
from uvatar_blender.scene import posing
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.export import export_avatar
from uvatar_blender.scene.ground import snap_to_ground
from uvatar_blender.scene.measures import measurements
from uvatar_blender.scene.mesh import set_slider
from uvatar_blender.scene.metarig import make_metarig
from uvatar_blender.scene.shape import apply_shape, refit, refresh_joints

TOOLS: dict[str, Callable[[bpy.types.Object, Path], object]] = {
    "T": lambda rig, folder: posing.take_pose(rig, RestPose.T),
    "A": lambda rig, folder: posing.take_pose(rig, RestPose.A),
    "photo": lambda rig, folder: posing.take_photo_pose(rig),
    "rest": lambda rig, folder: rigs.clear_pose(rig),
    "fit joints": lambda rig, folder: refresh_joints(rig),
    "apply shape": lambda rig, folder: apply_shape(rig),
    "refit": lambda rig, folder: refit(rig),
    "ground": lambda rig, folder: snap_to_ground(rig),
    "bone names": lambda rig, folder: rigs.rename_joints(rig, joint_names(Naming.MIXAMO)),
    "metarig": lambda rig, folder: make_metarig(rig),
    "glTF": lambda rig, folder: export_avatar(rig, folder / "a.glb", Target.GLTF),
    "Unity": lambda rig, folder: export_avatar(rig, folder / "a.fbx", Target.UNITY, Naming.MIXAMO),
    "Unreal": lambda rig, folder: export_avatar(rig, folder / "a.fbx", Target.UNREAL, Naming.UNREAL),
}
# How the artist's renaming may look: one bone, two that change their names, all of them, up to Blender's 63 bytes.
RENAMINGS: dict[str, Callable[[bpy.types.Object], dict[str, str]]] = {
    "pelvis": lambda rig: {"pelvis": "Hüfte"},
    "swapped": lambda rig: {"left_knee": "x", "right_knee": "left_knee", "x": "right_knee"},
    "all": lambda rig: {name: f"{name} " + "骨" * 14 for name in rigs.joint_names(rig)},
}


def rename(rig: bpy.types.Object, names: dict[str, str]) -> None:
    for old, new in names.items():
        rig.data.bones[old].name = new


def delete(rig: bpy.types.Object, name: str) -> None:
    with rigs.edit_mode(rig):
        rig.data.edit_bones.remove(rig.data.edit_bones[name])


@pytest.mark.parametrize("renaming", RENAMINGS)
def test_renamed_bones_are_still_the_joints(result: dict[str, Any], scene: Any, renaming: str) -> None:
    """Whatever is done to the renamed avatar looks as it does to another one."""
    plain, renamed = imported(result, scene), imported(result, scene)
    joints = rigs.rest_joints(renamed)
    rename(renamed, RENAMINGS[renaming](renamed))
    assert np.array_equal(rigs.rest_joints(renamed), joints)
    for rig in (plain, renamed):
        posing.take_pose(rig, RestPose.A)
        set_slider(rigs.find_body(rig).data.shape_keys.key_blocks["stature"], 2.0)
        refresh_joints(rig)
    shift = np.array(renamed.location - plain.location)  # they stand side by side
    assert np.abs(shown(plain) + shift - shown(renamed)).max() < 1e-5
    assert measurements(plain) == measurements(renamed)


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_works_with_renamed_bones(result: dict[str, Any], scene: Any, tmp_path: Path, tool: str) -> None:
    rig = imported(result, scene)
    rename(rig, RENAMINGS["all"](rig))
    TOOLS[tool](rig, tmp_path)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_deleted_bone_is_told_in_a_sentence(result: dict[str, Any], scene: Any, tmp_path: Path, tool: str) -> None:
    rig = imported(result, scene)
    delete(rig, "left_knee")
    with pytest.raises(rigs.RigError, match="no longer has a bone for the left knee"):
        TOOLS[tool](rig, tmp_path)


def test_a_duplicate_of_a_bone_is_not_the_joint(result: dict[str, Any], scene: Any) -> None:
    rig = imported(result, scene)
    with rigs.edit_mode(rig):
        bones = rig.data.edit_bones
        copy = bones.new("a copy")  # as Shift D makes it: with the custom properties
        copy.head, copy.tail, copy[rigs.JOINT] = (1, 1, 1), (1, 1, 2), bones["left_knee"][rigs.JOINT]
        assert rigs.joint_names(rig)[4] == "left_knee"
    assert rigs.joint_names(rig)[4] == "left_knee"


def test_avatars_of_older_versions_are_known_by_names_until_they_are_renamed_by_us(
    result: dict[str, Any], scene: Any
) -> None:
    rig = imported(result, scene)
    for bone in rig.data.bones:
        del bone[rigs.JOINT]
    rigs.rename_joints(rig, joint_names(Naming.UNREAL))
    assert tuple(rigs.joint_names(rig)) == joint_names(Naming.UNREAL)
    rename(rig, {"calf_l": "Wade"})
    assert rigs.joint_names(rig)[4] == "Wade"


def test_a_stored_name_that_is_another_joint_now_is_not_taken(result: dict[str, Any], scene: Any) -> None:
    rig = imported(result, scene)
    delete(rig, "left_knee")
    rename(rig, {"right_knee": "left_knee"})
    with pytest.raises(rigs.RigError, match="left knee"):
        rigs.joint_names(rig)


@pytest.mark.parametrize("naming", list(Naming))
def test_bones_keep_their_numbers_under_every_naming(result: dict[str, Any], scene: Any, naming: Naming) -> None:
    rig = imported(result, scene, naming=naming.value)
    assert [rig.data.bones[name][rigs.JOINT] for name in joint_names(naming)] == list(range(24))
    with rigs.edit_mode(rig):
        assert tuple(rigs.joint_names(rig)) == joint_names(naming)
