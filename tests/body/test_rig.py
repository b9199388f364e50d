"""What animators rely on in the open body's fingers, jaw and eyes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from uvatar.body import LEFT_EYE, RIGHT_EYE, BodyModel
from uvatar.body.rig import Rig, with_relaxed_hands
from uvatar.data.fit import BodyParameters
from uvatar.data.joints import HAND_JOINTS, WRIST_JOINTS
from uvatar.protocol.rig import (
    ANGLE_LIMITS,
    BODY_JOINTS,
    FINGER_POSES,
    FINGERS,
    LEFT_HAND,
    RIG_NAMES,
    RIG_PARENTS,
    RIGHT_HAND,
    finger_angles,
    hand_pose,
    posed_hands,
)
from uvatar.protocol.rig import LEFT_EYE as LEFT_EYE_JOINT


def rig_of(body: BodyModel) -> Rig:
    assert body.data.rig is not None
    return body.data.rig


def at_rest(**changes: ArrayLike) -> BodyParameters:
    shapes: dict[str, Any] = {"betas": 10, "global_orient": 3, "body_pose": (23, 3), "transl": 3}
    values = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    return BodyParameters(**{**values, **{k: np.asarray(v, np.float32) for k, v in changes.items()}})


def random_person() -> BodyParameters:
    rng = np.random.default_rng(1)
    pose = np.concatenate([rng.normal(0, 0.3, (21, 3)), np.zeros((2, 3))])
    return at_rest(betas=rng.normal(size=10), global_orient=rng.normal(size=3), body_pose=pose, transl=(0.1, 0.2, 3))


def test_joints_are_those_of_smplx() -> None:
    assert len(RIG_NAMES) == len(set(RIG_NAMES)) == len(RIG_PARENTS) == 55
    assert RIG_NAMES[20:28] == (
        "left_wrist", "right_wrist", "jaw", "left_eye_smplhf", "right_eye_smplhf",
        "left_index1", "left_index2", "left_index3",
    )  # fmt: skip
    assert RIG_NAMES[37:43] == (
        "left_thumb1", "left_thumb2", "left_thumb3", "right_index1", "right_index2", "right_index3",
    )  # fmt: skip
    above = {name: RIG_NAMES[parent] for name, parent in zip(RIG_NAMES[1:], RIG_PARENTS[1:], strict=True)}
    assert above["jaw"] == above["left_eye_smplhf"] == "head"
    assert above["right_pinky1"] == "right_wrist"
    assert above["right_pinky3"] == "right_pinky2"


def test_weights_suit_game_engines_and_are_symmetric(body: BodyModel) -> None:
    rig = rig_of(body)
    assert ((rig.weights > 0).sum(1) <= 4).all()
    np.testing.assert_allclose(rig.weights.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(rig.weights[body.data.mirror][:, RIGHT_HAND], rig.weights[:, LEFT_HAND])
    assert (rig.weights[body.data.part == LEFT_EYE, LEFT_EYE_JOINT] == 1).all()


def test_24_joints_are_a_view(body: BodyModel) -> None:
    rig, own = rig_of(body), body.data.weights
    merged = rig.smpl_weights()
    ours, theirs = (np.add(w[:, WRIST_JOINTS], w[:, HAND_JOINTS]) for w in (merged, own))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    others = [k for k in range(24) if k not in (*WRIST_JOINTS, *HAND_JOINTS)]
    np.testing.assert_allclose(merged[:, others], own[:, others], atol=1e-6)
    assert rig.smplh_weights().shape == (len(own), 52)
    np.testing.assert_allclose(rig.smplh_weights().sum(1), 1, atol=1e-6)


def test_straight_fingers_change_nothing(body: BodyModel) -> None:
    person = random_person()
    vertices, joints = body.posed(person)
    straight, joints_too = body.posed(replace(person, hand_pose=np.zeros((30, 3), np.float32)))
    np.testing.assert_allclose(straight, vertices, atol=1e-5)
    np.testing.assert_allclose(joints_too, joints, atol=1e-5)


@pytest.mark.parametrize("name", FINGER_POSES)
def test_finger_poses_keep_to_the_limits_and_to_the_hands(body: BodyModel, name: str) -> None:
    angles = finger_angles(name)
    assert (angles >= ANGLE_LIMITS[..., 0]).all()
    assert (angles <= ANGLE_LIMITS[..., 1]).all()
    person = random_person()
    vertices, _ = body.posed(person)
    moved, _ = body.posed(replace(person, hand_pose=posed_hands(name, rig_of(body).finger_axes).astype(np.float32)))
    hands = (rig_of(body).weights[:, LEFT_HAND.start :] > 0).any(1)
    np.testing.assert_allclose(moved[~hands], vertices[~hands], atol=1e-5)


def test_fingers_curl_towards_the_palm(body: BodyModel) -> None:
    rig = rig_of(body)
    tips = rig.fingertips[: len(FINGERS)]
    straight, curled = (
        body.posed(at_rest(hand_pose=posed_hands(name, rig.finger_axes)))[0] for name in ("flat", "fist")
    )
    palm = rig.joint_template[[20, 25, 31]].mean(0)
    before, after = (np.linalg.norm(v[tips] - palm, axis=1) for v in (straight, curled))
    assert (after < before - 0.01).all()
    relaxed, _ = body.posed(at_rest(hand_pose=posed_hands("relaxed", rig.finger_axes)))
    assert (relaxed[tips[:4], 1] < straight[tips[:4], 1] - 0.01).all()  # the palm faces down
    pointing, _ = body.posed(at_rest(hand_pose=posed_hands("point", rig.finger_axes)))
    assert np.linalg.norm(pointing[tips[0]] - straight[tips[0]]) < 0.02


def test_right_hand_is_the_left_ones_mirror_image(body: BodyModel) -> None:
    vertices, _ = body.posed(at_rest(hand_pose=posed_hands("fist", rig_of(body).finger_axes)))
    np.testing.assert_allclose(vertices[body.data.mirror] * [-1, 1, 1], vertices, atol=1e-4)


@pytest.mark.parametrize("name", ["fist", "point", "relaxed"])
def test_hands_do_not_tear(body: BodyModel, name: str) -> None:
    quads = body.data.quads
    assert quads is not None
    edges = np.unique(np.sort(np.concatenate([quads[:, [i, (i + 1) % 4]] for i in range(4)]), 1), axis=0)
    edges = edges[(rig_of(body).weights[edges][:, :, LEFT_HAND] > 0).any((1, 2))]
    rest = body.data.v_template
    posed, _ = body.posed(at_rest(hand_pose=posed_hands(name, rig_of(body).finger_axes)))
    stretch = np.linalg.norm(posed[edges[:, 0]] - posed[edges[:, 1]], axis=1) / np.linalg.norm(
        rest[edges[:, 0]] - rest[edges[:, 1]], axis=1
    )
    assert np.percentile(stretch, 99) < 1.8
    assert stretch.max() < 2.6


def test_eyes_turn_about_their_centres(body: BodyModel) -> None:
    turned, _ = body.posed(at_rest(eye_pose=np.array([[0, 0.4, 0], [0, 0, 0]])))
    rest = body.data.v_template
    left = body.data.part == LEFT_EYE
    np.testing.assert_allclose(turned[left].mean(0), rest[left].mean(0), atol=1e-4)
    assert np.linalg.norm(turned[left] - rest[left], axis=1).max() > 0.003
    np.testing.assert_allclose(turned[body.data.part == RIGHT_EYE], rest[body.data.part == RIGHT_EYE], atol=1e-5)


def test_jaw_opens_the_mouth(body: BodyModel) -> None:
    opened, _ = body.posed(at_rest(jaw_pose=(0.28, 0, 0)))
    chin = rig_of(body).weights[:, BODY_JOINTS] > 0.9
    assert (opened[chin, 1] < body.data.v_template[chin, 1]).all()


def test_hand_poses_are_computed_for_many_hands_at_once(body: BodyModel) -> None:
    rng = np.random.default_rng(0)
    angles = rng.uniform(ANGLE_LIMITS[..., 0], ANGLE_LIMITS[..., 1], (7, 5, 5))
    axes = rig_of(body).finger_axes
    many = hand_pose(angles, angles[::-1], axes)
    assert many.shape == (7, 30, 3)
    np.testing.assert_allclose(many[2], hand_pose(angles[2], angles[4], axes), atol=1e-9)


def test_unknown_fingers_are_relaxed_and_known_ones_kept(body: BodyModel) -> None:
    rig = rig_of(body)
    relaxed = with_relaxed_hands(at_rest(), rig).hand_pose
    assert relaxed is not None
    np.testing.assert_allclose(relaxed, posed_hands("relaxed", rig.finger_axes), atol=1e-6)
    known = at_rest(hand_pose=np.zeros((30, 3)))
    assert with_relaxed_hands(known, rig) is known
    assert with_relaxed_hands(at_rest(), None).hand_pose is None
