"""Limbs keep their girth where programs skin linearly: weights of all files, helper bones of VRM files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmarks.deformation import changes, skinned, transforms
from uvatar.gltf.helper_bones import helper_bones, with_weights
from uvatar.gltf.presets import PRESETS
from uvatar.gltf.surface import body_at_rest, with_bones
from uvatar.protocol.bone_names import Naming, joint_names
from uvatar.protocol.linear_skinning import Settings, narrowed
from uvatar.protocol.rig import RIG_NAMES, RIG_PARENTS

Read = Callable[..., dict[str, Any]]
SHOULDER, ELBOW, WRIST = (RIG_NAMES.index(f"left_{name}") for name in ("shoulder", "elbow", "wrist"))


def test_transitions_become_narrower_and_nothing_jumps() -> None:
    shares = np.linspace(0, 1, 101)
    joints = np.tile([SHOULDER, ELBOW, 0, 0], (101, 1))
    weights = np.stack([1 - shares, shares, 0 * shares, 0 * shares], 1)
    narrow = narrowed(joints, weights, RIG_PARENTS)
    assert np.allclose(narrow.sum(1), 1) and np.allclose(narrow[[0, 50, 100]], weights[[0, 50, 100]])
    assert (narrow[1:50, 1] < weights[1:50, 1]).all() and (np.diff(narrow[:, 1]) > 0).all()
    assert np.allclose(narrowed(joints, weights, RIG_PARENTS, Settings({})), weights)
    near = narrowed(np.array([[SHOULDER, ELBOW, WRIST, 0]]), np.array([[0.3, 0.7 - 1e-6, 1e-6, 0]]), RIG_PARENTS)
    assert np.allclose(near[0, :2], narrowed(joints, weights, RIG_PARENTS)[70, :2], atol=1e-4)


def test_other_joints_weights_stay() -> None:
    joints, weights = np.array([[9, 6, 0, 0], [22, 15, 12, 0]]), np.array([[0.4, 0.6, 0, 0], [0.5, 0.3, 0.2, 0]])
    assert np.allclose(narrowed(joints, weights, RIG_PARENTS), weights)


def test_limbs_keep_their_volume() -> None:
    """See docs/exports.md for the figures."""
    rows = {str(row["pose"]): row for row in changes()}

    def loss(pose: str, way: str) -> float:
        return -float(str(rows[pose][f"{way} (%)"]))

    for pose in ("elbow 140", "knee 130", "hip flexed 110", "arm forward 90", "arm twisted 80", "hand twisted 150"):
        assert loss(pose, "body") > loss(pose, "files") > loss(pose, "vrm") or pose == "elbow 140"
    for pose in ("elbow 90", "knee 130", "hip flexed 90", "hand twisted 90", "hand twisted 150"):
        assert loss(pose, "vrm") < 8
    assert loss("elbow 140", "files") < 10 and loss("elbow 140", "vrm") < 10
    assert all(abs(loss(pose, "blender")) < 8 for pose in rows)
    assert loss("arm up 80", "dual quaternions") < -20  # without the corrective shapes


@pytest.mark.parametrize("twist", [90.0, 150.0])
def test_a_forearm_in_a_vrm_program_does_not_wring(person: dict[str, Any], read: Read, twist: float) -> None:
    """Its thinnest cross-section keeps its width; helper bones turn as NumPy says."""
    smooth = {**person, "offsets": np.zeros_like(person["offsets"])}
    surface, skeleton = body_at_rest(smooth, False)
    bones = helper_bones(skeleton)
    along = surface.positions[:, 0] - skeleton.heads[ELBOW, 0]
    length = skeleton.heads[WRIST, 0] - skeleton.heads[ELBOW, 0]
    forearm = np.flatnonzero((along > 0.3 * length) & (along < 1.1 * length))
    names = joint_names(Naming.VRM, 55)
    turn = {names[WRIST]: (np.radians(twist), 0.0, 0.0)}
    answer = read(smooth, PRESETS["vrm"], "Body", turn, None, [int(vertex) for vertex in forearm])
    posed = np.array(answer["vertices"])
    turns = {
        len(RIG_NAMES) + number: Rotation.from_rotvec((bone.share * twist, 0, 0), degrees=True)
        for number, bone in enumerate(bones)
        if bone.twist and bone.source == WRIST
    }
    ours = with_weights(surface, skeleton, bones)
    matrices = transforms(with_bones(skeleton, bones), {"left_wrist": (twist, 0, 0)}, turns)
    assert np.abs(posed - skinned(ours, *matrices)[forearm]).max() < 1e-4

    def widths(points: Any) -> Any:
        places = (surface.positions[forearm, 0] - skeleton.heads[ELBOW, 0]) / length
        slices = [points[np.abs(places - place) < 0.06] for place in np.arange(0.4, 1.05, 0.1)]
        return np.array([np.linalg.norm(part[:, 1:] - part[:, 1:].mean(0), axis=1).mean() for part in slices])

    assert (widths(posed) / widths(surface.positions[forearm])).min() > 0.85
    plain = skinned(surface, *transforms(skeleton, {"left_wrist": (twist, 0, 0)}))[forearm]
    assert (widths(plain) / widths(surface.positions[forearm])).min() < 0.85


def test_bones_between_bones_turn_half_as_far(person: dict[str, Any], read: Read) -> None:
    surface, skeleton = body_at_rest(person, False)
    bones = helper_bones(skeleton)
    chosen = np.arange(0, len(surface.positions), 40)
    names = joint_names(Naming.VRM, 55)
    pose = {"left_elbow": (0.0, -120.0, 0.0), "right_knee": (100.0, 0.0, 0.0), "left_hip": (-80.0, 0.0, 0.0)}
    wanted = {names[RIG_NAMES.index(joint)]: np.radians(angles).tolist() for joint, angles in pose.items()}
    answer = read(person, PRESETS["vrm"], "Body", wanted, None, [int(vertex) for vertex in chosen])
    turns = {
        len(RIG_NAMES) + number: Rotation.from_rotvec(0.5 * np.array(pose[RIG_NAMES[bone.source]]), degrees=True)
        for number, bone in enumerate(bones)
        if not bone.twist and RIG_NAMES[bone.source] in pose
    }
    posed = skinned(with_weights(surface, skeleton, bones), *transforms(with_bones(skeleton, bones), pose, turns))
    assert np.abs(np.array(answer["vertices"]) - posed[chosen]).max() < 1e-4
