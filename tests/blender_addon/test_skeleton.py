"""Rotations and rest bones against scipy, without Blender."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.blender_addon.sample import body_arrays
from uvatar_blender.core import skeleton


@pytest.mark.parametrize("length", [0.0, 1e-9, 1e-4, 1.0, np.pi, 6.0])
def test_rotation_matrices_are_scipys(length: float) -> None:
    axes = np.random.default_rng(0).normal(size=(50, 3))
    vectors = axes / np.linalg.norm(axes, axis=1, keepdims=True) * length
    assert np.abs(skeleton.rotation_matrices(vectors) - Rotation.from_rotvec(vectors).as_matrix()).max() < 1e-9


def test_a_person_who_faces_the_camera_upright_faces_minus_y() -> None:
    pose = np.zeros((24, 3))
    pose[0] = (np.pi, 0, 0)
    assert np.allclose(skeleton.armature_rotations(pose), np.eye(3), atol=1e-12)
    pose[0] = Rotation.from_rotvec((0, np.pi, 0)).as_rotvec() * 0  # seen by the camera: upside down, facing away
    assert np.allclose(skeleton.armature_rotations(pose)[0], np.diag((1, -1, -1)))


def test_bone_axes_and_back() -> None:
    random = Rotation.random(24, random_state=1).as_matrix()
    axes = Rotation.random(24, random_state=2).as_matrix()
    local = skeleton.to_bone_axes(random, axes)
    assert np.allclose(skeleton.from_bone_axes(local, axes), random)
    assert np.allclose(np.trace(local, axis1=1, axis2=2), np.trace(random, axis1=1, axis2=2))  # the same angles


def test_tips_are_where_the_mesh_ends() -> None:
    body = body_arrays()
    strongest = body["skin_joints"][np.arange(len(body["template"])), body["skin_weights"].argmax(1)]
    tips = skeleton.tip_vertices(body["joint_template"], body["template"], strongest)
    points, directions = skeleton.skeleton_points(
        body["joint_template"], body["joint_shapedirs"], body["template"], body["shapedirs"], tips
    )
    assert points.shape == (29, 3) and directions.shape == (29, 3, 10)
    bones = skeleton.rest_bones(points, body["parents"])
    names = body["joint_names"]
    top = body["template"][:, 1].max()
    assert bones.tails[names.index("head"), 2] == pytest.approx(top, abs=1e-6)
    assert bones.tails[names.index("left_hand"), 0] == pytest.approx(body["template"][:, 0].max(), abs=0.005)
    assert bones.tails[names.index("right_foot"), 1] == pytest.approx(-body["template"][:, 2].max(), abs=0.02)
    # and stay there when the shape changes
    betas = np.array([3.0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    taller = skeleton.rest_bones(points + directions @ betas, body["parents"])
    assert taller.tails[names.index("head"), 2] == pytest.approx(
        (body["template"] + body["shapedirs"] @ betas)[:, 1].max(), abs=0.005
    )


def test_a_joint_without_vertices_gets_a_bone_of_some_length() -> None:
    body = body_arrays()
    strongest = np.zeros(len(body["template"]), int)
    tips = skeleton.tip_vertices(body["joint_template"], body["template"], strongest)
    points, _ = skeleton.skeleton_points(
        body["joint_template"], body["joint_shapedirs"], body["template"], body["shapedirs"], tips
    )
    bones = skeleton.rest_bones(points, body["parents"])
    assert (np.linalg.norm(bones.tails - bones.heads, axis=1) > 0.005).all()
