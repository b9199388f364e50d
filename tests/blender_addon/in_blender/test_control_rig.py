"""The control rig by its button: it changes nothing at first, reaches, bends the right way, and can be undone."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Euler, Vector
from numpy.typing import NDArray

from tests.blender_addon.in_blender.helpers import data_names, imported
from tests.blender_addon.in_blender.test_panels import addon  # noqa: F401 (a fixture)
from tests.blender_addon.sample import sample_result, with_fingers
from uvatar_blender.core.result import parse_result
from uvatar_blender.protocol.bone_names import Naming, joint_names
from uvatar_blender.scene import compat, rigify
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.avatar import import_people
from uvatar_blender.scene.control_rig_limbs import bending
from uvatar_blender.scene.mesh import evaluated_vertices

LIMBS = {
    "hand_ik.L": ("left_shoulder", "left_elbow", "left_wrist"),
    "hand_ik.R": ("right_shoulder", "right_elbow", "right_wrist"),
    "foot_ik.L": ("left_hip", "left_knee", "left_ankle"),
    "foot_ik.R": ("right_hip", "right_knee", "right_ankle"),
}


def standing() -> dict[str, Any]:
    """A person whose limbs are bent as people bend them: `sample_result` bends them anywhere."""
    result = with_fingers(sample_result())
    pose = result["people"][0]["pose"]
    pose[1:] *= 0.3
    pose[16, 2], pose[17, 2] = -1.1, 1.1
    pose[18], pose[19] = (0.1, -0.5, 0.05), (0, 0.6, 0)
    pose[4], pose[5] = (0.3, 0, 0.03), (0.05, 0.02, 0)
    return result


def skin(rig: bpy.types.Object) -> NDArray[Any]:
    bpy.context.view_layer.update()
    return evaluated_vertices(rigs.find_body(rig)).copy()


def head(rig: bpy.types.Object, joint: str) -> NDArray[Any]:
    bpy.context.view_layer.update()
    return np.array(rig.pose.bones[joint].head)


def move(control: bpy.types.Object, name: str, step: tuple[float, float, float]) -> None:
    bpy.context.view_layer.update()
    bone = control.pose.bones[name]
    matrix = bone.matrix.copy()
    matrix.translation += Vector(step)
    bone.matrix = matrix
    bpy.context.view_layer.update()


@pytest.fixture
def rig(addon: Any) -> Any:  # noqa: F811
    return import_people(parse_result(standing()), bpy.context.scene).rigs[0]


@pytest.mark.parametrize(
    ("how", "turned", "naming"),
    [
        ({}, (0, 0, 0), None),
        ({"rest_pose": "A"}, (0.2, -0.1, 2.0), Naming.UNREAL),
        ({"photo_pose": False}, (0, 0, 0), None),
        ({"level": False}, (0, 0, 0), Naming.MIXAMO),
    ],
)
def test_the_avatar_does_not_move(scene: Any, how: dict[str, Any], turned: Any, naming: Naming | None) -> None:
    rig = imported(standing(), scene, **how)
    rig.rotation_euler, rig.location = Euler(turned), (1, 2, 0.5)
    if naming is not None:
        rigs.rename_joints(rig, joint_names(naming, 55))
    before = skin(rig)
    control = rigify.generate_control_rig(rig)
    assert np.abs(skin(rig) - before).max() < 1e-4
    assert all(control.pose.bones[f"{limb}_parent.L"]["IK_FK"] == 0 for limb in ("upper_arm", "thigh"))


def test_any_pose_is_taken_over(result: dict[str, Any], scene: Any) -> None:
    """Also one that nobody can take: where a limb bends backward, only FK can lead it."""
    rig = imported(with_fingers(result), scene)
    before = skin(rig)
    control = rigify.generate_control_rig(rig)
    assert np.abs(skin(rig) - before).max() < 1e-4
    assert control.pose.bones["thigh_parent.L"]["IK_FK"] == 1


@pytest.mark.parametrize("posed", [True, False])
def test_hands_and_feet_reach_and_limbs_bend_the_right_way(scene: Any, posed: bool) -> None:
    rig = imported(standing(), scene, photo_pose=posed)
    control = rigify.generate_control_rig(rig)
    steps = {
        "hand_ik.L": (-0.03, -0.12, 0.1) if posed else (-0.25, -0.2, -0.1),
        "hand_ik.R": (0.03, -0.1, 0.12) if posed else (0.25, -0.2, 0.05),
        "foot_ik.L": (0.02, -0.25, 0.35),
        "foot_ik.R": (-0.05, 0.15, 0.25),
    }
    for name, step in steps.items():
        first, middle, last = LIMBS[name]
        before = head(rig, last)
        move(control, name, step)
        assert np.linalg.norm(head(rig, last) - before - step) < 1e-3, name
        start, joint, end = (head(rig, bone) for bone in (first, middle, last))
        off = joint - start - (joint - start) @ (end - start) * (end - start) / ((end - start) @ (end - start))
        forward = -1 if name.startswith("foot") else 1  # the person faces -y; knees bend forward, elbows back
        assert forward * off[1] > 0.02, (name, off)
        assert np.linalg.norm(joint - np.array(rig.pose.bones[first].tail)) < 0.01  # the limb stays in one piece
    # Out of reach nothing stretches, and the hand stays on the arm.
    arm = ("left_shoulder", "left_elbow", "left_wrist")
    lengths = [np.linalg.norm(head(rig, lower) - head(rig, upper)) for upper, lower in pairwise(arm)]
    move(control, "hand_ik.L", (2.0, 0, 0))
    for (upper, lower), length in zip(pairwise(arm), lengths, strict=True):
        assert np.linalg.norm(head(rig, lower) - head(rig, upper)) == pytest.approx(length, abs=2e-3)


def test_the_way_a_limb_bends() -> None:
    hip, ankle, front = Vector((0, 0, 1)), Vector((0, 0, 0)), Vector((0, -1, 0))
    plainly, aside = Vector((0, -0.2, 0.5)), Vector((0.1, -0.1, 0.5))
    assert bending(hip, plainly, ankle, front) == (front, False)
    direction, backward = bending(hip, aside, ankle, front)
    assert not backward and direction.angle(Vector((1, -1, 0))) < 1e-4
    straight = bending(hip, Vector((0.001, 0, 0.5)), ankle, front)
    assert straight[0].angle(front) < 0.1 and not straight[1]
    assert bending(hip, Vector((0, 0.1, 0.5)), ankle, front) == (front, True)


def test_fingers_head_jaw_and_eyes_have_controls(rig: bpy.types.Object) -> None:
    assert bpy.ops.uvatar.generate_control_rig() == {"FINISHED"}
    control = rigify.control_rig(rig)
    assert control is not None and bpy.context.mode == "POSE" and bpy.context.object == control
    for name in ("f_index.01.L", "f_index.01_master.R", "thumb.02.R", "jaw", "eye.L", "head", "chest", "torso"):
        assert control.pose.bones[name].custom_shape is not None, name
    shown = {folder.name: folder.is_visible for folder in control.data.collections_all}
    assert shown["Fingers.L"] and shown["Face"] and shown["Arm.L (IK)"]
    assert not shown["Arm.L (FK)"] and not shown["Arm.L (Tweak)"] and not shown["DEF"]
    before = head(rig, "left_index3")
    control.pose.bones["f_index.01_master.L"].scale = (1, 0.6, 1)
    assert np.linalg.norm(head(rig, "left_index3") - before) > 0.005


def test_one_undo_step(rig: bpy.types.Object) -> None:
    name, before = rig.name, skin(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.uvatar.generate_control_rig("EXEC_DEFAULT", True)
    assert f"{name} control" in bpy.data.objects
    bpy.ops.ed.undo()
    assert f"{name} control" not in bpy.data.objects and not any("metarig" in thing.name for thing in bpy.data.objects)
    rig = bpy.data.objects[name]
    assert rigs.LED_BY not in rig and np.abs(skin(rig) - before).max() < 1e-4


def test_removing_it_leaves_nothing_behind(rig: bpy.types.Object) -> None:
    before, names, texts = skin(rig), data_names(), set(bpy.data.texts.keys())
    connected = [bone.use_connect for bone in rig.data.bones]
    bpy.context.view_layer.objects.active = rig
    with pytest.raises(RuntimeError, match="follows no control rig; press Control Rig"):
        bpy.ops.uvatar.remove_control_rig()
    bpy.ops.uvatar.generate_control_rig()
    move(bpy.context.object, "torso", (0, 0, -0.2))
    assert bpy.ops.uvatar.remove_control_rig() == {"FINISHED"}
    assert bpy.context.object == rig and bpy.context.mode == "OBJECT" and not rig.hide_get()
    assert np.abs(skin(rig) - before).max() < 1e-5
    assert data_names() == names and set(bpy.data.texts.keys()) == texts
    assert [bone.use_connect for bone in rig.data.bones] == connected


def test_a_pose_is_baked(rig: bpy.types.Object) -> None:
    bpy.context.view_layer.objects.active = rig
    bpy.ops.uvatar.generate_control_rig()
    control = bpy.context.object
    for name, step in {"foot_ik.L": (0, -0.2, 0.3), "hand_ik.R": (0.05, -0.1, 0.1), "torso": (0.02, 0, -0.1)}.items():
        move(control, name, step)
    shown = skin(rig)
    with pytest.raises(RuntimeError, match="pose the control rig, or remove it"):
        bpy.ops.uvatar.pose(pose="T")
    assert bpy.ops.uvatar.bake_control_rig() == {"FINISHED"}
    assert np.abs(skin(rig) - shown).max() < 2e-3 and not compat.action_curves(rig)
    assert not [c for bone in rig.pose.bones for c in bone.constraints] and len(bpy.data.armatures) == 1


def test_a_motion_is_baked_and_the_control_rig_may_stay(rig: bpy.types.Object) -> None:
    scene = bpy.context.scene
    bpy.context.view_layer.objects.active = rig
    bpy.ops.uvatar.generate_control_rig()
    control = bpy.context.object
    for frame, height in ((1, 0.0), (20, 0.3)):
        scene.frame_set(frame)
        bone = control.pose.bones["foot_ik.L"]
        bone.location = Vector((0, 0, height))
        bone.keyframe_insert("location")
    shown = {}
    for frame in (1, 10, 20):
        scene.frame_set(frame)
        shown[frame] = skin(rig)
    assert np.abs(shown[20] - shown[1]).max() > 0.2
    assert bpy.ops.uvatar.bake_control_rig(keep=True) == {"FINISHED"}
    assert control.name in bpy.data.objects and rigify.control_rig(rig) is None
    for frame, vertices in shown.items():
        scene.frame_set(frame)
        assert np.abs(skin(rig) - vertices).max() < 2e-3
    assert tuple(rig.animation_data.action.frame_range) == (1, 20)


def walk(scene: Any, rig: bpy.types.Object, joints: tuple[str, ...]) -> NDArray[Any]:
    """(F, J, 3) places in the world."""
    places = []
    for frame in range(scene.frame_start, scene.frame_end + 1):
        scene.frame_set(frame)
        places.append([rig.matrix_world @ rig.pose.bones[joint].head for joint in joints])
    return np.array(places)


@pytest.mark.parametrize("led", [False, True])
def test_walking_at_a_click(rig: bpy.types.Object, led: bool) -> None:
    scene = bpy.context.scene
    scene.render.fps = 30
    bpy.context.view_layer.objects.active = rig
    if led:
        bpy.ops.uvatar.generate_control_rig()
    assert bpy.ops.uvatar.play_clip(clip="WALK") == {"FINISHED"}
    assert bpy.context.mode == ("POSE" if led else "OBJECT")  # it left Pose Mode for the work, and came back
    names = ("pelvis", "left_hip", "left_knee", "left_ankle", "left_foot", "right_hip", "right_knee", "right_ankle")
    places = walk(scene, rig, names)
    assert 3 < places[0, 0, 1] - places[-1, 0, 1] < 8  # metres, towards -y
    ankle, ball = places[:, 3], places[:, 4]
    flat = ankle[:, 2] < ankle[:, 2].min() + 0.002
    slides = np.linalg.norm(np.diff(ball, axis=0), axis=1)[flat[1:] & flat[:-1]]
    assert flat.mean() > 0.15 and slides.max() < 0.004 and np.ptp(ankle[:, 2]) > 0.05
    for hip, knee, foot in ((1, 2, 3), (5, 6, 7)):
        middle = (places[:, hip] + places[:, foot]) / 2
        assert (places[:, knee, 1] < middle[:, 1] + 0.05).all()  # knees are never behind
    vertices = skin(rig)
    assert abs(vertices[:, 2].min()) < 0.03  # on the ground
    if led:
        assert rigify.control_rig(rig) is not None
        before = places
        assert bpy.ops.uvatar.bake_control_rig() == {"FINISHED"}
        np.testing.assert_allclose(walk(scene, rig, names), before, atol=3e-3)


def test_clips_that_loop(rig: bpy.types.Object) -> None:
    scene = bpy.context.scene
    scene.render.fps = 24
    bpy.context.view_layer.objects.active = rig
    for clip, place in (("WALK", True), ("IDLE", False), ("TALK", False)):
        assert bpy.ops.uvatar.play_clip(clip=clip, in_place=place) == {"FINISHED"}
        scene.frame_set(scene.frame_start)
        first = skin(rig)
        scene.frame_set(scene.frame_end // 2)
        assert np.abs(skin(rig) - first).max() > 0.005
        scene.frame_set(scene.frame_end + 1)
        assert np.abs(skin(rig) - first).max() < 0.02, clip


def test_the_talk_moves_the_mouth_and_the_next_clip_ends_it(rig: bpy.types.Object) -> None:
    scene, keys = bpy.context.scene, rigs.find_body(rig).data.shape_keys
    bpy.context.view_layer.objects.active = rig
    own = bpy.data.actions.new("mine")
    keys.animation_data_create().action = own
    bpy.ops.uvatar.play_clip(clip="TALK")
    opened = []
    for frame in range(0, scene.frame_end, 2):
        scene.frame_set(frame)
        opened.append(keys.key_blocks["jawOpen"].value)
    assert max(opened) > 0.3 and min(opened) < 0.05 and np.count_nonzero(np.diff(np.sign(np.diff(opened)))) > 8
    assert own.use_fake_user  # the user's own is kept
    scene.frame_set(20)
    bpy.ops.uvatar.play_clip(clip="IDLE")
    scene.frame_set(10)
    assert keys.key_blocks["jawOpen"].value == 0
    closed = []
    for frame in range(scene.frame_end):
        scene.frame_set(frame)
        closed.append(keys.key_blocks["eyeBlinkLeft"].value)
    assert max(closed) > 0.7 and min(closed) == 0
    assert math.isclose(scene.frame_end, 6 * scene.render.fps - 1, abs_tol=1)


def test_a_control_rig_that_was_deleted_by_hand_can_be_removed(rig: bpy.types.Object) -> None:
    bpy.context.view_layer.objects.active = rig
    bpy.ops.uvatar.generate_control_rig()
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.data.objects.remove(bpy.context.object)
    rig.hide_set(False)
    bpy.context.view_layer.objects.active = rig
    with pytest.raises(RuntimeError, match="is gone; press Remove Control Rig"):
        bpy.ops.uvatar.bake_control_rig()
    assert bpy.ops.uvatar.remove_control_rig() == {"FINISHED"}
    assert rigs.LED_BY not in rig and not [c for bone in rig.pose.bones for c in bone.constraints]
    assert bpy.ops.uvatar.generate_control_rig() == {"FINISHED"}


def test_a_hand_that_follows_something_is_baked(rig: bpy.types.Object) -> None:
    scene = bpy.context.scene
    bpy.context.view_layer.objects.active = rig
    bpy.ops.uvatar.generate_control_rig()
    control = bpy.context.object
    prop = bpy.data.objects.new("Prop", None)
    scene.collection.objects.link(prop)
    scene.frame_start, scene.frame_end = 1, 12
    prop.location = control.matrix_world @ control.pose.bones["hand_ik.L"].head
    prop.keyframe_insert("location", frame=1)
    prop.location.z += 0.2
    prop.keyframe_insert("location", frame=12)
    held = control.pose.bones["hand_ik.L"].constraints.new("COPY_LOCATION")
    held.target = prop
    scene.frame_set(12)
    shown = skin(rig)
    assert bpy.ops.uvatar.bake_control_rig() == {"FINISHED"}
    scene.frame_set(1)
    assert np.abs(skin(rig) - shown).max() > 0.1
    scene.frame_set(12)
    assert np.abs(skin(rig) - shown).max() < 3e-3


def test_actions_that_are_replaced_stay_in_the_file(rig: bpy.types.Object) -> None:
    bpy.context.view_layer.objects.active = rig
    rig.pose.bones["head"].keyframe_insert("rotation_quaternion", frame=1)
    own = rig.animation_data.action
    assert bpy.ops.uvatar.play_clip(clip="IDLE") == {"FINISHED"}
    assert rig.animation_data.action != own and own.use_fake_user
