"""The face board of the control rig: it changes nothing at first, drives every key, and is baked or leaves no trace."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import pytest

from tests.blender_addon.in_blender.helpers import imported
from tests.blender_addon.in_blender.test_control_rig import skin, standing
from uvatar_blender.core.export_presets import Target
from uvatar_blender.core.face_layout import CONTROLS, GAZE_KEYS, TRAVEL, sign_of
from uvatar_blender.protocol.clips import Clip
from uvatar_blender.protocol.expressions import EXPRESSIONS, MOODS
from uvatar_blender.scene import compat, rigify
from uvatar_blender.scene.clips import apply_clip
from uvatar_blender.scene.control_rig_end import bake_to_avatar, remove_control_rig
from uvatar_blender.scene.export import export_avatar
from uvatar_blender.scene.expressions import set_expression
from uvatar_blender.scene.face_board import BOARD, LIDS, LOOK, LOOK_AT, has_board
from uvatar_blender.scene.face_drive import free_face, key_board, set_board
from uvatar_blender.scene.mesh import expression_keys
from uvatar_blender.scene.rig import find_body

SMILING = {"mouthSmileLeft": 0.7, "mouthFrownLeft": 0.2, "jawOpen": 0.3, "mouthClose": 0.1, "eyeLookUpLeft": 0.4}


def person(turned_eyes: bool = False) -> dict[str, Any]:
    """Somebody who smiles and frowns at once, as capture software sees it, and may look to the side."""
    result = standing()
    for name, weight in SMILING.items():
        result["people"][0]["expression"][EXPRESSIONS.index(name)] = weight
    if turned_eyes:
        result["people"][0]["eye_pose"][:] = (0.2, 0.25, 0.02)
    return result


def weights(rig: bpy.types.Object) -> dict[str, float]:
    bpy.context.view_layer.update()
    return {key.name: key.value for key in expression_keys(find_body(rig))}


def different(a: dict[str, float], b: dict[str, float]) -> float:
    return max(abs(a[name] - b.get(name, 0.0)) for name in a)


@pytest.mark.parametrize("turned", [False, True])
def test_nothing_moves_until_a_control_does(scene: Any, turned: bool) -> None:
    rig = imported(person(turned), scene)
    before, shape = weights(rig), skin(rig)
    assert different(before, SMILING) < 1e-6
    control = rigify.generate_control_rig(rig)
    assert different(weights(rig), before) < 1e-4
    assert np.abs(skin(rig) - shape).max() < 1e-4
    assert all(not bone.bone.use_deform for bone in control.pose.bones if bone.name.startswith("face_"))
    assert control.pose.bones[LOOK][LOOK_AT] == control.pose.bones[LOOK][LIDS] == 1.0


def test_every_key_has_a_control_and_nothing_else_moves(scene: Any) -> None:
    rig = imported(standing(), scene)
    control = rigify.generate_control_rig(rig)
    driven = set()
    for one in CONTROLS:
        bone = control.pose.bones[one.name]
        for way, key in one.keys.items():
            axis, sign = sign_of(way)
            bone.location[axis] = 0.5 * sign * TRAVEL * bone.bone.length
            assert different(weights(rig), {key: 0.5}) < 1e-4, key
            bone.location[axis] = 9 * sign  # the limit holds it
            assert different(weights(rig), {key: 1.0}) < 1e-4, key
            bone.location[axis] = 0
            driven.add(key)
    assert driven | set(GAZE_KEYS) == set(EXPRESSIONS)


def test_eyes_look_at_the_target_and_lids_follow(scene: Any) -> None:
    rig = imported(standing(), scene)
    control = rigify.generate_control_rig(rig)
    look = control.pose.bones[LOOK]
    for step, eye_keys in (
        ((0.25, 0, 0), {"eyeLookOutLeft", "eyeLookInRight"}),
        ((-0.25, 0, 0), {"eyeLookInLeft", "eyeLookOutRight"}),
        ((0, 0.2, 0), {"eyeLookUpLeft", "eyeLookUpRight"}),
        ((0, -0.2, 0), {"eyeLookDownLeft", "eyeLookDownRight"}),
    ):
        look.location = step
        moved = {name for name, value in weights(rig).items() if value > 0.05}
        assert moved == eye_keys, step
        for side, name in (("left", "face_look.L"), ("right", "face_look.R")):
            eye = rig.pose.bones[f"{side}_eye_smplhf"]
            gaze = np.array(eye.y_axis)
            there = np.array(control.pose.bones[name].head - eye.head)
            assert gaze @ there / np.linalg.norm(there) > 0.9999
    look[LIDS] = 0.0
    control.update_tag()
    assert max(weights(rig).values()) < 1e-4
    # The target goes with the head, or stays where it is.
    look.location, head = (0, 0, 0), control.pose.bones["head"]
    head.rotation_mode = "XYZ"
    steps = []
    for share in (1.0, 0.0):
        look["with_head"] = share
        control.update_tag()
        places = []
        for angle in (0.0, 0.5):
            head.rotation_euler.y = angle
            bpy.context.view_layer.update()
            places.append(look.matrix.translation.copy())
        steps.append((places[1] - places[0]).length)
    assert steps[0] > 0.1 and steps[1] < 1e-4


def test_moods_and_keyframes_go_to_the_board(scene: Any) -> None:
    rig = imported(person(), scene)
    control = rigify.generate_control_rig(rig)
    for mood in ("happy", "doubtful", "sad"):
        set_expression(rig, mood)
        assert different(weights(rig), dict(MOODS[mood])) < 1e-4, mood
    corner = control.pose.bones["face_corner.L"]
    assert corner.location.y < -0.001 and corner["mouthFrownLeft"] == 0
    scene.frame_set(1)
    set_expression(rig, "neutral", keyed=True)
    scene.frame_set(11)
    set_expression(rig, "happy", keyed=True)
    scene.frame_set(6)
    assert 0.1 < weights(rig)["mouthSmileLeft"] < 0.6


@pytest.mark.parametrize("first", [True, False])
def test_a_talking_face_moves_the_controls_and_is_baked(scene: Any, first: bool) -> None:
    """Whether the clip comes before the control rig or after it."""
    rig = imported(standing(), scene)
    plain = imported(standing(), scene)
    apply_clip(plain, Clip.TALK)
    if first:
        apply_clip(rig, Clip.TALK)
    control = rigify.generate_control_rig(rig)
    if not first:
        apply_clip(rig, Clip.TALK)
        rigify.unfollow(rig)
        rigify.lead(rig, control)
    lips = []
    for frame in (0, 9, 17, 40, 63):
        scene.frame_set(frame)
        assert different(weights(rig), weights(plain)) < 1e-4
        lips.append(control.pose.bones["face_jaw"].location.y)
    assert np.ptp(lips) > 1e-3
    wanted = [weights(plain) for frame in (0, 30, 77) if not scene.frame_set(frame)]
    bake_to_avatar(rig)
    for frame, there in zip((0, 30, 77), wanted, strict=True):
        scene.frame_set(frame)
        assert different(weights(rig), there) < 1e-4
    assert not face_drivers(rig)


def face_drivers(rig: Any) -> list[str]:
    """What is driven on the body's shape keys, but for pose correctives."""
    drivers = find_body(rig).data.shape_keys.animation_data.drivers
    return [curve.data_path for curve in drivers if '["Pose ' not in curve.data_path]


def test_removal_brings_the_face_back(scene: Any) -> None:
    rig = imported(person(), scene)
    before = weights(rig)
    control = rigify.generate_control_rig(rig)
    set_board(control, MOODS["angry"])
    remove_control_rig(rig)
    assert different(weights(rig), before) < 1e-6
    assert not face_drivers(rig)
    assert not [thing.name for thing in bpy.data.objects if thing.name.startswith("WGT-")]
    assert not [mesh.name for mesh in bpy.data.meshes if mesh.name.startswith("WGT-")]


def test_a_posed_face_is_baked(scene: Any) -> None:
    rig = imported(standing(), scene)
    control = rigify.generate_control_rig(rig)
    set_board(control, MOODS["laughing"])
    control.pose.bones[LOOK].location.x = 0.2
    shape = skin(rig)
    bake_to_avatar(rig)
    assert weights(rig)["eyeLookOutLeft"] > 0.1
    assert np.abs(skin(rig) - shape).max() < 1e-4


def test_the_users_own_drivers_stay(scene: Any) -> None:
    rig = imported(standing(), scene)
    key = find_body(rig).data.shape_keys.key_blocks["jawOpen"]
    driver = key.driver_add("value").driver
    driver.type, driver.expression = "SCRIPTED", "0.25"
    control = rigify.generate_control_rig(rig)
    control.pose.bones["face_jaw"].location.y = -1
    assert weights(rig)["jawOpen"] == pytest.approx(0.25)
    remove_control_rig(rig)
    assert len(face_drivers(rig)) == 1


def test_a_body_without_fingers_gets_no_board(result: dict[str, Any], scene: Any) -> None:
    control = rigify.generate_control_rig(imported(result, scene))
    assert BOARD not in control.pose.bones


def test_keyframes_of_the_board_only(scene: Any) -> None:
    """A face that moves while the body stands still is baked as well."""
    rig = imported(standing(), scene)
    control = rigify.generate_control_rig(rig)
    for frame, mood in ((1, "neutral"), (10, "surprised")):
        scene.frame_set(frame)
        set_board(control, MOODS[mood])
        key_board(control)
    bake_to_avatar(rig)
    moving = {curve.data_path for curve in compat.action_curves(find_body(rig).data.shape_keys)}
    assert moving == {f'key_blocks["{name}"].value' for name in MOODS["surprised"]}


def test_files_have_the_expression_of_the_board_and_nothing_of_it(scene: Any, tmp_path: Any) -> None:
    rig = imported(standing(), scene)
    control = rigify.generate_control_rig(rig)
    set_board(control, MOODS["happy"])
    bpy.context.view_layer.update()
    path = tmp_path / "me.glb"
    export_avatar(rig, path, Target.GLTF)
    assert different(weights(rig), dict(MOODS["happy"])) < 1e-4  # the board still drives the avatar
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(path))
    (back,) = (thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    assert not any(bone.name.startswith("face_") for bone in back.data.bones)
    bodies = [thing for thing in bpy.data.objects if thing.type == "MESH" and thing.data.shape_keys is not None]
    smiles = [body.data.shape_keys.key_blocks["mouthSmileLeft"].value for body in bodies
              if "mouthSmileLeft" in body.data.shape_keys.key_blocks]  # fmt: skip
    assert smiles and max(smiles) == pytest.approx(MOODS["happy"]["mouthSmileLeft"], abs=1e-3)


def test_a_control_rig_whose_avatar_lost_its_body_is_removed(scene: Any) -> None:
    rig = imported(standing(), scene)
    rigify.generate_control_rig(rig)
    bpy.data.objects.remove(find_body(rig))
    remove_control_rig(rig)
    assert rigify.control_rig(rig) is None and not any(bone.constraints for bone in rig.pose.bones)


def test_a_board_without_one_of_its_bones_is_left_alone(scene: Any) -> None:
    rig = imported(standing(), scene)
    control = rigify.generate_control_rig(rig)
    control.data.bones["face_jaw"].name = "jaw of mine"
    assert not has_board(control)
    set_expression(rig, "happy")  # nothing to set, and no error
    remove_control_rig(rig)
    assert max(weights(rig).values()) < 1e-6


def test_baking_keeps_motion_of_keys_that_no_board_drives(scene: Any) -> None:
    rig = imported(standing(), scene)
    shapes = find_body(rig).data.shape_keys
    shapes.key_blocks["jawOpen"].keyframe_insert("value", frame=1)
    action = shapes.animation_data.action
    rigify.generate_control_rig(rig)
    free_face(rig)
    bake_to_avatar(rig)
    assert shapes.animation_data.action == action
