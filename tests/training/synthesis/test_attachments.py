"""Skirts, hair and things carried, as meshes on a posed body."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from uvatar.body import load_open_body
from uvatar.data.joints import Joint
from uvatar.data.parsing import ParseClass
from uvatar.evaluation.sampling import parameters_of
from uvatar.geometry.raster import RayScene
from uvatar_training.synthesis.attachments import HairMesh, Tube, random_carried, similarity, worn
from uvatar_training.synthesis.fabrics import plain


def test_similarity_recovers_scale_rotation_and_shift() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20, 3))
    turn, shift = Rotation.random(random_state=1).as_matrix(), np.array([1.0, -2.0, 3.0])
    found, moved = similarity(points, points @ (0.1 * turn).T + shift)
    np.testing.assert_allclose(found, 0.1 * turn, atol=1e-9)
    np.testing.assert_allclose(moved, shift, atol=1e-9)


@pytest.mark.parametrize("walking", [0.0, 0.5])
def test_a_skirt_holds_both_legs(walking: float) -> None:
    """From its top to its hem, rays from inside the thighs outwards meet the skirt, and it keeps its label."""
    body = load_open_body()
    pose = np.zeros((24, 3))
    pose[Joint.LEFT_HIP, 0], pose[Joint.RIGHT_HIP, 0] = -walking, walking
    vertices, joints = body.posed(parameters_of(np.zeros(10), pose, np.zeros(3)))
    skirt = Tube(ParseClass.SKIRT, plain(np.full(3, 0.3, np.float32)), -0.15, -0.6, 0.3, 0.0, 0)
    (piece,) = worn([skirt], vertices, joints, body.data)
    assert piece.label is ParseClass.SKIRT and np.isfinite(piece.vertices).all()
    np.testing.assert_allclose(piece.colours, 0.3, atol=1e-6)
    rest = body.data.v_template
    on_thigh = (rest[:, 1] < -0.3) & (rest[:, 1] > -0.5) & (np.abs(rest[:, 0]) < 0.3)
    start = vertices[on_thigh].astype(np.float32)
    outwards = start - vertices[on_thigh].mean(0)
    outwards[:, 1] = 0
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    face, _, distance = RayScene(piece.vertices, piece.faces).first_hits(start, outwards.astype(np.float32))
    assert (face >= 0).mean() > 0.97 and np.median(distance[face >= 0]) < 0.15


def test_hair_follows_the_head() -> None:
    body = load_open_body()
    pose = np.zeros((24, 3))
    pose[0] = 0, np.pi / 2, 0
    vertices, joints = body.posed(parameters_of(np.zeros(10), pose, np.zeros(3)))
    crown = body.data.v_template[body.data.v_template[:, 1].argmax()]
    hair = HairMesh(
        crown + np.eye(3, dtype=np.float32) * 0.01, np.array([[0, 1, 2]], np.int32), np.ones((3, 3), np.float32)
    )
    (piece,) = worn([hair], vertices, joints, body.data)
    assert piece.label is ParseClass.HAIR
    highest = vertices[body.data.v_template[:, 1].argmax()]
    assert np.linalg.norm(piece.vertices - highest, axis=1).max() < 0.03


def test_what_is_carried_is_near_hands_or_back() -> None:
    body = load_open_body()
    _, joints = body.posed(parameters_of(np.zeros(10), np.zeros((24, 3)), np.zeros(3)))
    for seed in range(30):
        for thing in random_carried(joints, np.random.default_rng(seed)):
            assert thing.label is ParseClass.CARRIED and thing.faces.max() < len(thing.vertices)
            places = joints[[Joint.LEFT_HAND, Joint.RIGHT_HAND, Joint.SPINE3]]
            nearest = np.linalg.norm(thing.vertices[:, None] - places, axis=2).min()
            assert nearest < 0.35
