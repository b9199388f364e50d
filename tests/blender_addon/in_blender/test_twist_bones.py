"""The mannequin's twist bones in files for Unreal: a hand that is twisted does not wring its forearm."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Quaternion
from numpy.typing import NDArray

from tests.blender_addon.in_blender.test_presets import opened
from tests.blender_addon.sample import sample_result
from uvatar_blender.core.export_presets import Target
from uvatar_blender.core.result import parse_result
from uvatar_blender.protocol.bone_names import Naming, joint_names
from uvatar_blender.scene.avatar import ImportOptions, import_people
from uvatar_blender.scene.export import export_avatar
from uvatar_blender.scene.mesh import evaluated_vertices
from uvatar_blender.scene.twist_bones import TWIST_BONES

Places = NDArray[np.float64]
ANGLES = {1: 0.0, 2: 80.0, 3: 150.0}  # degrees, by frame


@pytest.mark.parametrize("rest", ["T", "A"])
def test_a_twisted_hand_does_not_wring_the_forearm(scene: Any, tmp_path: Path, rest: str) -> None:
    """Beside the same motion with bones of other names, which has no twist bones."""
    options = ImportOptions(photo_pose=False, rest_pose=rest)
    (rig,) = import_people(parse_result(sample_result()), scene, options=options).rigs
    bones, hand = rig.data.bones, rig.pose.bones["left_wrist"]
    along = (bones["left_wrist"].head_local - bones["left_elbow"].head_local).normalized()
    axis = bones["left_wrist"].matrix_local.to_3x3().inverted() @ along
    scene.frame_start, scene.frame_end = 1, len(ANGLES)
    for frame, angle in ANGLES.items():
        hand.rotation_quaternion = Quaternion(axis, math.radians(angle))
        hand.keyframe_insert("rotation_quaternion", frame=frame)
    namings = (Naming.UNREAL, Naming.MIXAMO)
    for naming in namings:
        export_avatar(rig, tmp_path / f"{naming.value}.fbx", Target.UNREAL, naming, animation=True)
    thinnest = []
    for naming in namings:
        read, body = opened(tmp_path / f"{naming.value}.fbx")
        assert set(TWIST_BONES).isdisjoint(read.data.bones.keys()) == (naming is not Naming.UNREAL)
        names = joint_names(naming)
        begin, end = (np.array(read.matrix_world @ read.data.bones[names[joint]].head_local) for joint in (18, 20))
        first = round(read.animation_data.action.frame_range[0])
        moments = []
        for frame in (first, first + 2):
            bpy.context.scene.frame_set(frame)
            bpy.context.view_layer.update()
            moments.append(evaluated_vertices(body).astype(np.float64))
        thinnest.append(thinness(moments[0], moments[1], begin, end))
    assert thinnest[0] > 0.75 and thinnest[1] < 0.6


def thinness(straight: Places, twisted: Places, begin: Places, end: Places) -> float:
    """How wide the thinnest slice of a forearm is after a motion, relative to its width before."""
    along = end - begin
    place = (straight - begin) @ along / (along @ along)
    off = np.linalg.norm(straight - begin - place[:, None] * along, axis=1)
    widths = []
    for middle in np.arange(0.5, 1.1, 0.05):
        rows = (np.abs(place - middle) < 0.05) & (off < 0.08)
        if rows.sum() >= 8:
            before, after = (np.linalg.norm(p[rows] - p[rows].mean(0), axis=1).mean() for p in (straight, twisted))
            widths.append(after / before)
    return float(min(widths))
