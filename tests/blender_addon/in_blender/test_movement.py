"""What makes an avatar move, and what moving does to it: correctives, motion files, Rigify."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tests.blender_addon.in_blender.helpers import ARMATURE_FROM_BODY, imported, shown
from tests.blender_addon.sample import joints, posed_vertices, smpl_sized, world_of
from tests.blender_addon.test_motion import write_bvh
from uvatar_blender.core.motion import MotionError
from uvatar_blender.protocol.bone_names import Naming, joint_names
from uvatar_blender.scene import compat, correctives, rigify
from uvatar_blender.scene import metarig as metarigs
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.motion import apply_motion, load_motion
from uvatar_blender.scene.shape import refresh_joints


def corrected(result: dict[str, Any]) -> tuple[dict[str, Any], NDArray[Any]]:
    """The result of a body with 207 pose blend shapes, smooth enough to be of a real body's kind."""
    person = result["people"][0]
    posedirs = np.random.default_rng(5).normal(0, 0.004, (len(person["template"]), 3, 207)).astype(np.float32)
    return {**result, "people": [{**person, "posedirs": posedirs}]}, posedirs


@pytest.mark.parametrize("rest", ["T", "A"])
def test_correctives_are_smpls_in_any_pose_and_after_joints_moved(
    result: dict[str, Any], scene: Any, rest: str
) -> None:
    with_correctives, posedirs = corrected(result)
    rig = imported(with_correctives, scene, rest_pose=rest)
    body = rigs.find_body(rig)
    assert len(correctives.correctives(body)) == 207
    person = copy.copy(with_correctives["people"][0])
    for change in (0.0, 2.0):
        person["betas"] = person["betas"].copy()
        person["betas"][0] += change
        body.data.shape_keys.key_blocks[person["beta_names"][0]].value = float(person["betas"][0])
        if change:
            rigs.rename_joints(rig, joint_names(Naming.UNREAL))  # the drivers follow
        refresh_joints(rig)
        turns = Rotation.from_rotvec(person["pose"][1:]).as_matrix() - np.eye(3)
        expected = world_of(posed_vertices({**person, "template": person["template"] + posedirs @ turns.ravel()}))
        made = shown(rig, linear=True)
        difference = made - expected
        difference -= np.median(difference, axis=0)
        assert np.median(np.abs(difference)) < 2e-4
        if rest == "T":
            assert np.abs(difference).max() < 5e-4
    correctives.set_live(body, False)
    off = shown(rig, linear=True)
    assert np.abs(off - made).max() > 0.003
    rigs.clear_pose(rig)
    correctives.set_live(body, True)
    assert all(
        abs(key.value) < 1e-6
        for key in body.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.shape_keys.key_blocks
        if key.name.startswith("Pose ")
    )


def test_207_live_correctives_play_a_motion(result: dict[str, Any], scene: Any) -> None:
    """How long a frame takes is measured by benchmarks/blender.py."""
    rig = imported(smpl_sized(result), scene)
    assert len(correctives.correctives(rigs.find_body(rig))) == 207
    folder = Path(bpy.app.tempdir)
    poses = np.random.default_rng(1).normal(0, 0.3, (40, 72))
    np.savez(folder / "clip.npz", poses=poses, trans=np.zeros((40, 3)), mocap_framerate=24.0)
    apply_motion(rig, load_motion(rig, folder / "clip.npz"), "clip")
    shown = []
    for frame in (3, 30):
        scene.frame_set(frame)
        keys = rigs.find_body(rig).evaluated_get(bpy.context.evaluated_depsgraph_get()).data.shape_keys.key_blocks
        shown.append([key.value for key in keys if key.name.startswith("Pose ")])
    assert (
        len(shown[0]) == 207 and np.abs(np.subtract(shown[0], shown[1])).max() > 0.01
    )  # they follow the pose of the frame


def smpl_file(path: Path, poses: NDArray[Any], **more: Any) -> Path:
    turned = poses.copy()
    to_z_up = Rotation.from_euler("x", 90, degrees=True)
    turned[:, :3] = (to_z_up * Rotation.from_rotvec(poses[:, :3])).as_rotvec()
    np.savez(path, poses=turned, **{"trans": np.zeros((len(poses), 3)), "mocap_framerate": 60.0, **more})
    return path


@pytest.mark.parametrize("rest", ["T", "A"])
def test_amass_motion_is_lbs_of_its_poses(result: dict[str, Any], scene: Any, tmp_path: Path, rest: str) -> None:
    person = result["people"][0]
    rig = imported(result, scene, rest_pose=rest, naming="MIXAMO", photo_pose=False)
    poses = np.random.default_rng(2).normal(0, 0.3, (6, 72))
    poses[:, 66:] = 0
    file = smpl_file(tmp_path / "a.npz", poses, trans=np.linspace(0, 1, 18).reshape(6, 3))
    action = apply_motion(rig, load_motion(rig, file), "walk", start=10, rate=30.0, ground=False, here=False)
    assert tuple(action.frame_range) == (10, 12) and len(compat.action_curves(rig)) == 24 * 4 + 3
    for frame, row in ((10, 0), (11, 2), (12, 4)):
        scene.frame_set(frame)
        bpy.context.view_layer.update()
        expected = (
            posed_vertices({**person, "pose": poses[row].reshape(24, 3), "transl": np.zeros(3)}) @ ARMATURE_FROM_BODY.T
        )
        made = shown(rig, linear=True)
        difference = made - expected - np.median(made - expected, axis=0)
        assert np.median(np.abs(difference)) < 1e-4 and np.abs(difference).max() < (2e-4 if rest == "T" else 0.08)
    # The first frame's place and the file's own travel
    scene.frame_set(10)
    first = np.array(rig.pose.bones[rigs.joint_names(rig)[0]].head)
    scene.frame_set(12)
    travel = np.array(rig.pose.bones[rigs.joint_names(rig)[0]].head) - first
    assert np.allclose(
        travel, np.linspace(0, 1, 18).reshape(6, 3)[4] - np.linspace(0, 1, 18).reshape(6, 3)[0], atol=1e-4
    )


def test_motion_on_the_ground_from_here(result: dict[str, Any], scene: Any, tmp_path: Path) -> None:
    rig = imported(result, scene, photo_pose=False)
    rig.location = (2, 1, 0)
    file = smpl_file(tmp_path / "a.npz", np.zeros((3, 72)), trans=np.array([[5, 5, 3.0], [5, 6, 3.2], [5, 7, 3.1]]))
    apply_motion(rig, load_motion(rig, file), "hop")
    for frame, (y, z) in enumerate(((1, 0), (2, 0.2), (3, 0.1))):
        scene.frame_set(frame)
        vertices = shown(rig)
        assert vertices[:, 2].min() == pytest.approx(z, abs=0.01)
        assert vertices[:, 1].mean() == pytest.approx(y - 0.1, abs=0.1) and vertices[:, 0].mean() == pytest.approx(
            2, abs=0.05
        )


def test_shape_of_a_motion_only_for_smpls_bodies(result: dict[str, Any], scene: Any, tmp_path: Path) -> None:
    file = smpl_file(tmp_path / "a.npz", np.zeros((2, 72)), betas=np.arange(16) / 10)
    rig = imported(result, scene)
    with pytest.raises(MotionError, match="another body"):
        apply_motion(rig, load_motion(rig, file), "x", shape=True)
    assert rig.animation_data is None
    official = imported(smpl_sized(result), scene)
    apply_motion(official, load_motion(official, file), "x", shape=True)
    keys = rigs.find_body(official).data.shape_keys.key_blocks
    assert [keys[name].value for name in rigs.beta_names(official)] == pytest.approx((np.arange(10) / 10).tolist())


def test_bvh_motion_is_lbs_of_its_rotations(result: dict[str, Any], scene: Any, tmp_path: Path) -> None:
    person = result["people"][0]
    names, rest = joint_names(Naming.MIXAMO), joints(person)
    offsets = 100 * np.array(
        [rest[joint] - (rest[parent] if parent >= 0 else 0) for joint, parent in enumerate(person["parents"])]
    )
    poses = np.random.default_rng(4).normal(0, 0.3, (3, 24, 3))
    poses[:, 22:] = 0  # the fingers' roots: their tips say nothing of a turn
    turns = Rotation.from_rotvec(poses.reshape(-1, 3)).as_matrix().reshape(3, 24, 3, 3)
    places = 100 * (rest[0] + np.arange(3)[:, None] * (0.1, 0.05, 0.2))
    write_bvh(tmp_path / "a.bvh", names, offsets, turns, places)  # y-up centimetres: the body frame
    rig = imported(result, scene, photo_pose=False)
    apply_motion(rig, load_motion(rig, tmp_path / "a.bvh"), "a", ground=False)
    pelvis = []
    for frame in range(3):
        scene.frame_set(frame)
        expected = posed_vertices({**person, "pose": poses[frame], "transl": np.zeros(3)}) @ ARMATURE_FROM_BODY.T
        difference = shown(rig, linear=True) - expected
        assert np.abs(difference - np.median(difference, axis=0)).max() < 2e-4
        pelvis.append(np.array(rig.pose.bones["pelvis"].head))
    assert np.allclose(
        np.diff(pelvis, axis=0), (0.1, -0.2, 0.05), atol=1e-4
    )  # as far as in the file, for somebody as tall


def test_bvh_poses_of_makehuman_look_like_themselves(result: dict[str, Any], scene: Any, shared_assets: Path) -> None:
    folder = shared_assets / "makehuman" / "poses"
    rig = imported(result, scene, photo_pose=False)
    heights = {}
    for name in ("standing01", "sit01", "gym01"):
        apply_motion(rig, load_motion(rig, folder / f"{name}.bvh"), name)
        scene.frame_set(0)
        bones = rig.pose.bones
        heights[name] = {
            bone: bones[bone].head.z for bone in ("head", "left_ankle", "left_knee", "pelvis", "left_wrist")
        }
        # knees and elbows bend the way that they do: never further forward, or backward, than straight
        for upper, lower in (("left_hip", "left_knee"), ("right_hip", "right_knee")):
            front = bones[upper].matrix.to_3x3().col[2]
            assert bones[lower].vector.dot(front) < 0.2 * bones[lower].length, (name, upper)
    standing, sitting, handstand = (heights[name] for name in ("standing01", "sit01", "gym01"))
    assert standing["head"] > 1.3 and standing["left_ankle"] < 0.2
    assert sitting["pelvis"] < 0.3 and sitting["head"] < 1.1
    assert handstand["left_ankle"] > handstand["head"] + 0.8 and handstand["left_wrist"] < 0.2


def test_rigify_generates_from_the_metarig_and_leads_the_avatar(result: dict[str, Any], scene: Any) -> None:
    rig = imported(result, scene, photo_pose=False)
    rig.location = (1, 2, 0)
    rest = shown(rig)
    metarig = metarigs.make_metarig(rig)
    assert metarigs.find_metarig(rig) == metarig
    spots = {"thigh.L": "left_hip", "forearm.R": "right_elbow", "spine": "pelvis", "foot.R": "right_ankle"}
    for theirs, own in spots.items():
        assert (metarig.data.bones[theirs].head_local - rig.data.bones[own].head_local).length < 0.01
    control = rigify.generate_control_rig(rig, metarig)
    assert np.abs(shown(rig) - rest).max() < 1e-4  # taking over changes nothing
    control.pose.bones["hand_ik.L"].location = (0, -0.3, 0.1)
    control.pose.bones["torso"].location = (0, 0, -0.1)
    led = shown(rig)
    assert np.abs(led - rest).max() > 0.2
    with pytest.raises(rigs.RigError, match="remove the control rig"):
        refresh_joints(rig)
    rigify.unfollow(rig)
    assert np.abs(shown(rig) - rest).max() < 1e-4
