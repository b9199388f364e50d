"""Motion from FBX files with Mixamo's names, read back from the add-on's own export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.blender_addon.in_blender.helpers import data_names, imported
from tests.blender_addon.sample import with_fingers
from uvatar_blender.core import retarget_fingers
from uvatar_blender.core.export_presets import Target
from uvatar_blender.core.motion import MotionError
from uvatar_blender.protocol.bone_names import Naming
from uvatar_blender.protocol.clips import Clip
from uvatar_blender.protocol.rig import RIG_NAMES
from uvatar_blender.scene import compat
from uvatar_blender.scene import rig as rigs
from uvatar_blender.scene.clips import apply_clip
from uvatar_blender.scene.export import export_avatar
from uvatar_blender.scene.fingers import key_fingers, pose_fingers
from uvatar_blender.scene.motion import apply_motion, load_motion


def places(rig: bpy.types.Object, frames: range) -> NDArray[Any]:
    found = []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        found.append([rig.pose.bones[name].head for name in rigs.joint_names(rig)[:22]])
    return np.array(found)


@pytest.mark.parametrize("rest", ["T", "A"])
def test_a_mixamo_fbx_moves_the_avatar_as_it_was(result: dict[str, Any], scene: Any, tmp_path: Path, rest: str) -> None:
    rig = imported(result, scene, rest_pose=rest, photo_pose=False)
    scene.render.fps = 30
    apply_clip(rig, Clip.WALK, in_place=True)
    scene.frame_start, scene.frame_end = 0, 30
    expected = places(rig, range(31))
    export_avatar(rig, tmp_path / "walk.fbx", Target.UNITY, Naming.MIXAMO, animation=True)
    rig.animation_data.action = None
    scene.frame_start, scene.frame_end = 5, 77
    names = data_names()
    motion = load_motion(rig, tmp_path / "walk.fbx")
    assert data_names() == names  # nothing of the importer's is left
    assert (scene.render.fps, scene.frame_start, scene.frame_end) == (30, 5, 77)
    assert len(motion) == 31 and motion.rate == pytest.approx(30)
    apply_motion(rig, motion, "walk", rate=30.0, ground=False)
    made = places(rig, range(31))
    made -= made[0, 0] - expected[0, 0]
    assert np.abs(made - expected).max() < 0.02


def test_what_cannot_be_used_says_why(result: dict[str, Any], scene: Any, tmp_path: Path) -> None:
    rig = imported(result, scene)
    export_avatar(rig, tmp_path / "still.fbx", Target.UNITY)
    names = data_names()
    with pytest.raises(MotionError, match=r"still.fbx contains no skeleton that moves"):
        load_motion(rig, tmp_path / "still.fbx")
    (tmp_path / "broken.fbx").write_bytes(b"Kaydara FBX nothing")
    with pytest.raises(MotionError, match=r"broken.fbx (cannot be read|contains no)"):
        load_motion(rig, tmp_path / "broken.fbx")
    with pytest.raises(OSError, match="No such file"):
        load_motion(rig, tmp_path / "missing.fbx")
    assert data_names() == names


def test_fingers_of_a_file_move_ours(result: dict[str, Any], scene: Any, tmp_path: Path) -> None:
    rig = imported(with_fingers(result), scene, photo_pose=False)
    scene.render.fps = 30
    apply_clip(rig, Clip.IDLE)
    pose_fingers(rig, "fist", "LEFT")
    pose_fingers(rig, "point", "RIGHT")
    key_fingers(rig)
    for curve in compat.action_curves(rig):  # for the whole clip
        if any(f'"{name}"' in curve.data_path for name in rigs.joint_names(rig)[25:]):
            value = curve.evaluate(scene.frame_current)
            for point in curve.keyframe_points:
                point.co.y = value
            curve.update()
    scene.frame_start, scene.frame_end = 0, 10

    def fingers() -> NDArray[Any]:
        scene.frame_set(5)
        tips = np.array([rig.pose.bones[name].tail for name in rigs.joint_names(rig)[25:]])
        wrists = np.array([rig.pose.bones[f"{side}_wrist"].head for side in ("left", "right")])
        return tips - np.repeat(wrists, 15, 0)

    expected = fingers()
    export_avatar(rig, tmp_path / "fist.fbx", Target.UNITY, Naming.MIXAMO, animation=True)
    apply_motion(rig, load_motion(rig, tmp_path / "fist.fbx"), "fist", rate=30.0)
    assert np.abs(fingers() - expected).max() < 0.01


@pytest.mark.parametrize(
    "names",
    [
        ["mixamorig:LeftHandThumb2", "mixamorig:LeftHandPinky3", "mixamorig:RightHandIndex1"],
        ["thumb_02_l", "pinky_03_l", "index_01_r"],
        ["DEF-thumb.02.L", "DEF-f_pinky.03.L", "DEF-f_index.01.R"],
        ["LeftThumbIntermediate", "LeftLittleDistal", "RightIndexProximal"],
        ["finger1-2.L", "finger5-3.L", "finger2-1.R"],
    ],
)
def test_names_of_fingers(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retarget_fingers, "_NEEDED", 1)
    left, right = RIG_NAMES.index("left_pinky3"), RIG_NAMES.index("right_index1")
    found = retarget_fingers.match_fingers(names)
    assert found[RIG_NAMES.index("left_thumb2")] == 0 and found[left] == 1 and found[right] == 2
