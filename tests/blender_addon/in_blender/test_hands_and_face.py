"""Fingers, jaw, eyes and expressions: bones, shape keys, presets, motions, and what comes back from files."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

import uvatar_blender
from tests.blender_addon.in_blender.helpers import imported, read_file, shown
from tests.blender_addon.sample import sample_result, with_body_once, with_fingers, world_of
from uvatar.files.avatar import Avatar
from uvatar_blender.core.export_presets import Target
from uvatar_blender.protocol.bone_names import Naming, joint_names
from uvatar_blender.protocol.expressions import EXPRESSIONS, VISEMES
from uvatar_blender.protocol.rig import FINGER_POSES, LEFT_HAND, RIG_NAMES, posed_hands
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene import rigify
from uvatar_blender.scene.compat import action_curves
from uvatar_blender.scene.export import export_avatar
from uvatar_blender.scene.expressions import set_expression
from uvatar_blender.scene.fingers import pose_fingers
from uvatar_blender.scene.mesh import expression_keys
from uvatar_blender.scene.motion import apply_motion, load_motion
from uvatar_blender.scene.rig import RigError


@pytest.fixture(scope="module")
def fingered() -> dict[str, Any]:
    return with_fingers(sample_result())


def expected(result: dict[str, Any], **changes: Any) -> NDArray[Any]:
    """The posed vertices by the Python API."""
    changed = {**result, "people": [{**result["people"][0], **changes}]}
    return world_of(Avatar(changed).vertices("photo"))


def difference(made: NDArray[Any], wanted: NDArray[Any]) -> float:
    apart = made - wanted
    return float(np.abs(apart - np.median(apart, axis=0)).max())


def hands_and_face(result: dict[str, Any]) -> NDArray[Any]:
    """The vertices that joints above the neck and below the elbows move."""
    rig = result["body"]["rig"]
    fine = np.isin(rig["skin_joints"], [15, *range(20, 55)]) | (rig["skin_weights"] == 0)
    return np.flatnonzero(fine.all(1))


def test_avatar_has_all_bones_and_keys(fingered: dict[str, Any], scene: Any) -> None:
    rig = imported(fingered, scene)
    assert tuple(rigs.joint_names(rig)) == RIG_NAMES
    assert tuple(key.name for key in expression_keys(rigs.find_body(rig))) == EXPRESSIONS
    assert {c.name: len(c.bones) for c in rig.data.collections} == {
        "Body": 22, "Face": 3, "Left fingers": 15, "Right fingers": 15,
    }  # fmt: skip
    assert rig.data.bones["left_index2"].parent.name == "left_index1"
    assert rig.data.bones["jaw"].parent.name == "head"
    eye = rig.data.bones["left_eye_smplhf"]
    assert (eye.tail_local - eye.head_local).normalized().y < -0.99


@pytest.mark.parametrize("rest", ["T", "A"])
def test_photo_pose_has_the_fingers_and_the_expression(fingered: dict[str, Any], scene: Any, rest: str) -> None:
    smiling = copy.copy(fingered["people"][0])
    smiling["expression"] = np.zeros(52, np.float32)
    smiling["expression"][EXPRESSIONS.index("mouthSmileLeft")] = 0.7
    result = {**fingered, "people": [smiling]}
    made, wanted = shown(imported(result, scene, rest_pose=rest), linear=True), expected(result)
    if rest == "A":  # whose shoulders are those of a posed body
        made, wanted = made[hands_and_face(result)], wanted[hands_and_face(result)]
    assert difference(made, wanted) < 5e-4


@pytest.mark.parametrize("rest", ["T", "A"])
@pytest.mark.parametrize("pose", FINGER_POSES)
def test_finger_presets(fingered: dict[str, Any], scene: Any, pose: str, rest: str) -> None:
    rig = imported(fingered, scene, rest_pose=rest)
    pose_fingers(rig, pose)
    axes = fingered["body"]["rig"]["finger_axes"]
    fine = hands_and_face(fingered)
    wanted = expected(fingered, hand_pose=posed_hands(pose, axes))
    assert difference(shown(rig, linear=True)[fine], wanted[fine]) < 5e-4


def test_a_preset_can_be_for_one_hand(fingered: dict[str, Any], scene: Any) -> None:
    rig = imported(fingered, scene)
    before = rigs.get_rotations(rig)
    pose_fingers(rig, "fist", "LEFT")
    moved = np.abs(rigs.get_rotations(rig) - before).max((1, 2)) > 1e-3
    assert set(np.flatnonzero(moved)) <= set(range(LEFT_HAND.start, LEFT_HAND.stop))
    assert moved.sum() > 10


@pytest.mark.parametrize("rest", ["T", "A"])
def test_turning_finger_bones_about_x_curls_them(fingered: dict[str, Any], scene: Any, rest: str) -> None:
    rig = imported(fingered, scene, rest_pose=rest)
    rigs.clear_pose(rig)
    bpy.context.view_layer.update()
    for side in ("left", "right"):
        palm = np.mean([rig.pose.bones[f"{side}_{f}1"].head for f in ("index", "middle", "pinky")], 0)
        palm = (palm + np.array(rig.pose.bones[f"{side}_wrist"].head)) / 2
        for finger in ("index", "middle", "ring", "pinky", "thumb"):
            bones = [rig.pose.bones[f"{side}_{finger}{k}"] for k in (1, 2, 3)]
            before = np.linalg.norm(np.array(bones[2].tail) - palm)
            for bone in bones:
                bone.rotation_mode, bone.rotation_euler = "XYZ", (0.6, 0, 0)
            bpy.context.view_layer.update()
            assert np.linalg.norm(np.array(bones[2].tail) - palm) < before - 0.005, (side, finger)


def test_rest_pose_has_relaxed_fingers(fingered: dict[str, Any], scene: Any) -> None:
    rig = imported(fingered, scene, photo_pose=False)
    turned = np.abs(rigs.get_rotations(rig) - np.eye(3)).max((1, 2)) > 1e-3
    assert turned[LEFT_HAND.start :].sum() >= 28
    assert not turned[:22].any()


@pytest.mark.parametrize("naming", list(Naming))
def test_every_convention_names_every_bone(fingered: dict[str, Any], scene: Any, naming: Naming) -> None:
    rig = imported(fingered, scene, naming=naming.value)
    names = joint_names(naming, 55)
    assert len(set(names)) == 55
    assert tuple(rigs.joint_names(rig)) == names
    assert set(names) <= set(rigs.find_body(rig).vertex_groups.keys())
    rigs.rename_joints(rig, RIG_NAMES)


def test_finger_names_of_other_programs() -> None:
    def of(naming: Naming) -> dict[str, str]:
        return dict(zip(RIG_NAMES, joint_names(naming, 55), strict=True))

    assert of(Naming.MIXAMO)["left_index1"] == "mixamorig:LeftHandIndex1"
    assert of(Naming.UNREAL)["right_thumb3"] == "thumb_03_r"
    assert of(Naming.RIGIFY)["left_pinky2"] == "DEF-f_pinky.02.L"
    assert of(Naming.VRM)["left_thumb1"] == "leftThumbMetacarpal"
    assert of(Naming.UNITY)["right_pinky3"] == "RightLittleDistal"


def test_older_results_have_no_fingers(scene: Any) -> None:
    rig = imported(with_body_once(sample_result()), scene)
    assert len(rigs.joint_names(rig)) == 24
    for change in (pose_fingers, set_expression):
        with pytest.raises(RigError, match="make the avatar again"):
            change(rig, "relaxed")


def test_a_talking_clip_moves_the_mouth_and_nothing_else(fingered: dict[str, Any], scene: Any) -> None:
    rig = imported(fingered, scene)
    rigs.clear_pose(rig)
    body = rigs.find_body(rig)
    for frame, viseme in enumerate(VISEMES):
        scene.frame_set(frame)
        set_expression(rig, viseme, keyed=True)
    scene.frame_set(0)
    silent = shown(rig, linear=True)
    edges = np.array([edge.vertices for edge in body.data.edges])
    lengths = np.linalg.norm(silent[edges[:, 0]] - silent[edges[:, 1]], axis=1)
    for frame, viseme in enumerate(VISEMES):
        scene.frame_set(frame)
        talking = shown(rig, linear=True)
        assert viseme == "viseme_sil" or np.abs(talking - silent).max() > 0.0005
        below = silent[:, 2] < silent[:, 2].max() - 0.35
        assert np.abs(talking - silent)[below].max() < 1e-5
        apart = np.linalg.norm(talking[edges[:, 0]] - talking[edges[:, 1]], axis=1)
        assert (apart - lengths).max() < 0.008, viseme  # the mouth does not tear


@pytest.mark.parametrize("joints", [52, 55])
def test_motions_with_fingers_move_them(fingered: dict[str, Any], scene: Any, tmp_path: Path, joints: int) -> None:
    rig = imported(fingered, scene)
    random = np.random.default_rng(3)
    fingers = random.normal(0, 0.3, (4, 30, 3))
    poses = np.concatenate([random.normal(0, 0.1, (4, joints - 30, 3)), fingers], 1)
    poses[:, 0] = (np.pi / 2, 0, 0)
    clip = tmp_path / "clip.npz"
    np.savez(clip, poses=poses.reshape(4, -1), trans=np.zeros((4, 3)), mocap_framerate=30.0, betas=np.zeros(16))
    apply_motion(rig, load_motion(rig, clip), "clip")
    scene.frame_set(2)
    axes = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    wanted = axes @ Rotation.from_rotvec(fingers[2]).as_matrix() @ axes.T
    np.testing.assert_allclose(rigs.get_rotations(rig)[LEFT_HAND.start :], wanted, atol=1e-4)


def test_motions_without_fingers_leave_them_relaxed(fingered: dict[str, Any], scene: Any, tmp_path: Path) -> None:
    rig = imported(fingered, scene)
    relaxed = rigs.get_rotations(rig)[LEFT_HAND.start :]
    poses = np.zeros((3, 24, 3))
    poses[:, 0] = (np.pi / 2, 0, 0)
    clip = tmp_path / "clip.npz"
    np.savez(clip, poses=poses.reshape(3, -1), trans=np.zeros((3, 3)), mocap_framerate=30.0)
    apply_motion(rig, load_motion(rig, clip), "clip")
    scene.frame_set(1)
    np.testing.assert_allclose(rigs.get_rotations(rig)[LEFT_HAND.start :], relaxed, atol=1e-4)


@pytest.mark.parametrize("target", list(Target))
def test_files_keep_every_bone_and_key(fingered: dict[str, Any], scene: Any, tmp_path: Path, target: Target) -> None:
    rig = imported(fingered, scene)
    set_expression(rig, "happy")
    path = tmp_path / f"me{target.suffix}"
    export_avatar(rig, path, target)
    if target.suffix == ".glb":
        assert path.stat().st_size < 8_000_000
    jaw = rigs.find_body(rig).data.shape_keys.key_blocks
    reach = {name: _reach(jaw, name) for name in ("jawOpen", "eyeBlinkLeft", "mouthSmileRight")}
    bpy.ops.wm.read_factory_settings(use_empty=True)
    read_file(path)
    (back,) = (thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    (body,) = (thing for thing in bpy.data.objects if thing.type == "MESH" and thing.find_armature() == back)
    wanted = joint_names(Naming.UNREAL if target is Target.UNREAL else Naming.SMPL, 55)
    assert set(wanted) <= set(back.data.bones.keys())
    keys = body.data.shape_keys.key_blocks
    assert set(EXPRESSIONS) <= set(keys.keys())
    scale = body.matrix_world.to_scale()[0]
    for name, distance in reach.items():
        assert _reach(keys, name) * scale == pytest.approx(distance, rel=0.01), name


def _reach(keys: Any, name: str) -> float:
    """How far a key moves a vertex at most."""
    places = np.empty((2, 3 * len(keys[0].points)), np.float32)
    for row, key in zip(places, (keys[0], keys[name]), strict=True):
        key.points.foreach_get("co", row)
    return float(np.linalg.norm((places[1] - places[0]).reshape(-1, 3), axis=1).max())


def test_a_control_rig_has_the_fingers(fingered: dict[str, Any], scene: Any) -> None:
    rig = imported(fingered, scene)
    pose_fingers(rig, "fist", "LEFT")

    def ends() -> NDArray[Any]:
        bpy.context.view_layer.update()
        return np.array([(*rig.pose.bones[name].head, *rig.pose.bones[name].tail) for name in RIG_NAMES])

    before = ends()
    control = rigify.generate_control_rig(rig)
    np.testing.assert_allclose(ends(), before, atol=2e-3)
    for name in ("f_index.02.R", "jaw"):
        control.pose.bones[name].rotation_mode, control.pose.bones[name].rotation_euler = "XYZ", (1.0, 0, 0)
    moved = {RIG_NAMES[joint] for joint in np.flatnonzero(np.abs(ends() - before).max(1) > 0.005)}
    assert moved == {"right_index2", "right_index3", "jaw"}


def test_buttons(fingered: dict[str, Any], scene: Any) -> None:
    uvatar_blender.register()
    try:
        rig = imported(fingered, bpy.context.scene)
        scene.tool_settings.use_keyframe_insert_auto = True
        assert bpy.ops.uvatar.pose_fingers(pose="point", hands="RIGHT") == {"FINISHED"}
        assert len(action_curves(rig)) == 4 * 15
        scene.tool_settings.use_keyframe_insert_auto = False
        rig.animation_data_clear()
        keys = rigs.find_body(rig).data.shape_keys.key_blocks
        assert bpy.ops.uvatar.set_expression(expression="happy") == {"FINISHED"}
        assert keys["mouthSmileLeft"].value > 0.5
        assert bpy.ops.uvatar.set_expression(expression="photo") == {"FINISHED"}
        assert keys["mouthSmileLeft"].value == 0
        for tool in (bpy.ops.uvatar.refresh_joints, bpy.ops.uvatar.apply_shape, bpy.ops.uvatar.refit):
            keys["stature"].value = 1.0
            before = rig.data.bones["left_index3"].tail_local.copy()
            assert tool() == {"FINISHED"}
            assert (rig.data.bones["left_index3"].tail_local - before).length < 0.2
        assert set(EXPRESSIONS) <= set(keys.keys())
        for pose in ("T", "A", "PHOTO", "REST"):
            assert bpy.ops.uvatar.pose(pose=pose) == {"FINISHED"}
    finally:
        uvatar_blender.unregister()
