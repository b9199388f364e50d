"""Hands: known poses are found again, implausible ones are refused, and bodies take what is believed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tests.fitting.hands import hand_of_angles, hand_of_body, skeleton
from tests.fitting.people import CAMERA, fitting_model, person_of, standing
from uvatar.body import BodyModel
from uvatar.data.camera import Camera
from uvatar.data.fit import BodyParameters
from uvatar.data.joints import ELBOW_JOINTS, PARENTS, WRIST_JOINTS
from uvatar.data.landmarks import Landmark
from uvatar.data.person import Hand, Person
from uvatar.fitting.fitter import fit_people
from uvatar.fitting.hand_correction import FREE_ANGLES, HandCorrection
from uvatar.fitting.hand_solver import HandPose, HandSettings, solve_hands
from uvatar.fitting.hands import DEFAULT_GATE, chosen_candidate, finger_poses, seen_hands, with_twist_shared
from uvatar.fitting.observations import image_landmarks, with_seen_hands
from uvatar.geometry import rotations
from uvatar.protocol.rig import FINGER_POSES, FLEXION_2, finger_angles

# Without the prior, so that the solution is the truth.
EXACT = HandSettings(prior=1e-4, turn_weight=1e-3, steps=30, least_gain=0.0)
LARGE = Camera.for_photo(960, 1280)
ASIDE = Rotation.from_euler("xyz", [160, 25, -40], degrees=True).as_matrix()


def solved(hand: Hand, left: bool = True, settings: HandSettings = EXACT) -> HandPose:
    return solve_hands([hand], [left], skeleton(), settings=settings)[0][0]


def person_with(body: BodyModel, truth: BodyParameters, left: Hand | None, right: Hand | None = None) -> Person:
    return replace(person_of(body, truth, LARGE), left_hand=left, right_hand=right)


def wrist_of(parameters: BodyParameters, side: int) -> NDArray[np.float64]:
    local = rotations.exp(np.concatenate([parameters.global_orient[None], parameters.body_pose]).astype(float))
    joint, turned = int(WRIST_JOINTS[side]), np.eye(3)
    while joint >= 0:
        turned, joint = local[joint] @ turned, PARENTS[joint]
    return turned


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("name", FINGER_POSES)
def test_known_poses_are_found_again(name: str, left: bool) -> None:
    angles = np.clip(finger_angles(name), skeleton().low, skeleton().high)
    pose = solved(hand_of_angles(angles, ASIDE, left), left)
    assert np.degrees(rotations.angle(pose.palm, ASIDE)) < 0.5
    assert np.degrees(np.abs(pose.angles - angles)).max() < 2
    assert np.abs(pose.pose - skeleton().pose(angles, left)).max() < 0.05
    assert pose.picture_error < 1e-3


def test_right_hand_is_the_mirror_image_of_the_left() -> None:
    angles, mirror = finger_angles("point"), np.diag([-1.0, 1, 1])
    left = solved(hand_of_angles(angles, ASIDE), settings=HandSettings())
    right = solved(hand_of_angles(angles, mirror @ ASIDE @ mirror, left=False), False, HandSettings())
    np.testing.assert_allclose(right.pose, left.pose * [1, -1, -1], atol=1e-4)
    np.testing.assert_allclose(right.palm, mirror @ left.palm @ mirror, atol=1e-4)


def test_hands_are_solved_together_as_alone() -> None:
    hands = [hand_of_angles(finger_angles(name), ASIDE) for name in FINGER_POSES]
    together = solve_hands(hands, [True] * len(hands), skeleton(), settings=EXACT)
    for hand, (pose, _) in zip(hands, together, strict=True):
        np.testing.assert_allclose(pose.pose, solved(hand).pose, atol=1e-3)
    assert solve_hands([], [], skeleton()) == []


def inputs_kept(turned: NDArray[np.float64], curled: float = 0.0) -> HandCorrection:
    """A correction that turns the palm and curls what flexes in the second joint, and believes all else."""
    free = len(FREE_ANGLES)
    shares, constants = np.zeros((free + 3, free + 2 * 60 + 3)), np.zeros(free + 3)
    shares[:free, :free] = np.eye(free)
    constants[:free][FREE_ANGLES % 5 == FLEXION_2] = curled
    constants[free:] = turned
    return HandCorrection(shares, constants)


@pytest.mark.parametrize("left", [True, False])
def test_known_errors_of_landmarks_are_undone(left: bool) -> None:
    """What is turned and straightened, as the hand model sees it, is turned back and curled."""
    angles = finger_angles("relaxed")
    straighter = angles.copy()
    straighter[:, FLEXION_2] -= 0.15
    turn = np.array([0.0, 0.0, 0.2])
    hand = hand_of_angles(straighter, ASIDE, left)
    [(pose, _)] = solve_hands([hand], [left], skeleton(), inputs_kept(turn, 0.15), EXACT)
    [(plain, _)] = solve_hands([hand], [left], skeleton(), settings=EXACT)
    moved = np.degrees(rotations.log(plain.palm.T @ pose.palm)) * ([1, 1, 1] if left else [1, -1, -1])
    assert 3 < moved[2] < 12 and np.abs(moved[:2]).max() < 3  # the picture holds the palm back
    assert (pose.angles - plain.angles)[:, FLEXION_2].mean() > 0.05
    assert pose.picture_error == plain.picture_error and pose.cost == plain.cost


def test_what_is_believed_of_landmarks_stays() -> None:
    hand = hand_of_angles(finger_angles("point"), ASIDE)
    [(pose, _)] = solve_hands([hand], [True], skeleton(), inputs_kept(np.zeros(3)), EXACT)
    assert np.degrees(rotations.angle(pose.palm, ASIDE)) < 1
    assert np.degrees(np.abs(pose.angles - finger_angles("point"))).max() < 4


def test_shipped_correction_moves_what_the_hand_model_never_mistakes_only_a_little() -> None:
    """Landmarks without any error: what is undone that is not there stays small beside a finger's range."""
    hands = [hand_of_angles(finger_angles(name), ASIDE) for name in ("flat", "relaxed")]
    for (pose, _), name in zip(
        solve_hands(hands, [True, True], skeleton(), HandCorrection.load()), ("flat", "relaxed"), strict=True
    ):
        off = rotations.exp(pose.pose).swapaxes(1, 2) @ rotations.exp(skeleton().pose(finger_angles(name), True))
        assert np.degrees(np.linalg.norm(rotations.log(off), axis=1)).mean() < 15
        assert np.degrees(rotations.angle(pose.palm, ASIDE)) < 15


def test_unsure_landmarks_must_fit_a_hand_better() -> None:
    gate = DEFAULT_GATE
    assert gate.allowed_error(gate.score) == gate.unsure_error < gate.allowed_error(0.5 * (gate.score + gate.sure))
    assert gate.allowed_error(gate.sure) == gate.allowed_error(1.0) == gate.picture_error


def test_fingers_keep_within_their_limits() -> None:
    """Landmarks of fingers bent backwards, as a mistaken model gives them."""
    angles = finger_angles("flat")
    angles[:4, 0], angles[:4, 3] = -1.2, -0.8
    pose = solved(hand_of_angles(angles, ASIDE))
    assert (pose.angles >= skeleton().low - 1e-9).all() and (pose.angles <= skeleton().high + 1e-9).all()


def test_points_move_as_their_derivatives_say() -> None:
    rng, hand = np.random.default_rng(0), skeleton()
    angles = rng.uniform(hand.low, hand.high, (2, 5, 5))
    points, derivative = hand.posed(angles)
    for number in range(5):
        step = np.zeros(5)
        step[number] = 1e-6
        moved = (hand.posed(angles + step)[0] - hand.posed(angles - step)[0]) / 2e-6
        np.testing.assert_allclose(derivative[..., number], moved, atol=1e-6)
    assert points.shape == (2, 5, 4, 3)


def test_fingers_are_the_photos_where_only_the_wrist_cannot_be(body: BodyModel) -> None:
    hand = hand_of_angles(finger_angles("fist"), ASIDE)
    [hands] = seen_hands([replace(person_of(body, standing()), left_hand=hand)], CAMERA, skeleton())
    assert hands[0] is not None
    palm = hands[0].palms[0]
    relaxed = skeleton().pose(finger_angles("relaxed"), True)

    def fingers(wrist: NDArray[np.float64], forearm: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
        wrists, forearms = np.stack([wrist, np.eye(3)]), np.stack([forearm, [-1.0, 0, 0]])
        found = finger_poses(hands, wrists, forearms, skeleton())
        return found.pose[:15], 0 in found.seen

    straight, across = palm[:, 0], palm[:, 2]
    for wrist, forearm, is_seen, as_photo in (
        (palm, straight, True, True),
        (palm, across, False, True),
        (palm @ Rotation.from_euler("x", 180, degrees=True).as_matrix(), straight, False, False),
    ):
        pose, seen = fingers(wrist, forearm)
        assert seen == is_seen
        np.testing.assert_allclose(pose, hands[0].candidates[0].pose if as_photo else relaxed)


def test_gate_refuses_small_doubtful_scattered_and_shared_hands(body: BodyModel) -> None:
    sure = hand_of_angles(finger_angles("relaxed"), ASIDE)
    person = person_of(body, standing())

    def believed(*pairs: tuple[Hand | None, Hand | None]) -> list[tuple[bool, bool]]:
        people = [replace(person, left_hand=left, right_hand=right) for left, right in pairs]
        return [(left is not None, right is not None) for left, right in seen_hands(people, CAMERA, skeleton())]

    assert believed((sure, None)) == [(True, False)]
    assert believed((replace(sure, score=0.5), None)) == [(False, False)]
    middle = sure.points.mean(0)
    assert believed((replace(sure, points=middle + (sure.points - middle) * 0.2), None)) == [(False, False)]
    scattered = sure.points + np.random.default_rng(0).normal(0, 20, sure.points.shape).astype(np.float32)
    assert believed((replace(sure, points=scattered), None)) == [(False, False)]
    # One hand that is given to two people, or to both sides of one: nobody knows whose it is if both are as sure.
    assert believed((sure, None), (replace(sure, score=0.9), None)) == [(True, False), (False, False)]
    assert believed((sure, sure)) == [(False, False)]
    elsewhere = replace(sure, points=sure.points + 300)
    assert believed((sure, None), (elsewhere, None)) == [(True, False), (True, False)]


def test_palm_that_contradicts_the_arm_is_turned_or_refused() -> None:
    wrist, forearm = np.eye(3), np.array([1.0, 0.0, 0.0])
    near, far = (Rotation.from_euler("x", angle, degrees=True).as_matrix() for angle in (60, 175))
    limit = Rotation.from_euler("x", DEFAULT_GATE.turned + 1, degrees=True).as_matrix()
    assert chosen_candidate(np.stack([near, far]), True, wrist, forearm) == 0
    assert chosen_candidate(np.stack([far, near]), True, wrist, forearm) == 1
    assert chosen_candidate(np.stack([far, near]), False, wrist, forearm) is None
    assert chosen_candidate(np.stack([far, limit]), True, wrist, forearm) is None


@pytest.mark.parametrize("side", [1.0, -1.0], ids=["left", "right"])
def test_a_wrist_bends_far_up_and_down_but_little_to_the_sides(side: float) -> None:
    forearm, wrist = np.array([side, 0.0, 0.0]), np.eye(3)

    def chosen(axis: str, degrees: float, reversed_turn: float = 180.0) -> int | None:
        palms = [Rotation.from_euler(axis, angle, degrees=True).as_matrix() for angle in (degrees, reversed_turn)]
        return chosen_candidate(np.stack(palms), True, wrist, forearm)

    for way in (1, -1):
        assert chosen("z", way * 80) == 0 and chosen("x", way * 80) == 0
        assert chosen("y", way * (DEFAULT_GATE.sideways - 1)) == 0
        assert chosen("y", way * (DEFAULT_GATE.sideways + 1)) is None
        assert chosen("y", way * (DEFAULT_GATE.sideways + 1), reversed_turn=0.0) == 1


def test_twist_is_shared_by_elbow_and_wrist_and_moves_nothing(body: BodyModel) -> None:
    pose = standing().body_pose[:21].astype(float)
    pose[ELBOW_JOINTS[0] - 1] = [0.1, -0.9, 0]
    pose[WRIST_JOINTS[0] - 1] = [1.2, 0.2, 0.3]
    bodies = fitting_model().skeleton
    shared = with_twist_shared(pose, bodies, [0])
    truth, changed = (
        standing(body_pose=np.concatenate([one, np.zeros((2, 3))]).astype(np.float32)) for one in (pose, shared)
    )
    np.testing.assert_allclose(wrist_of(changed, 0), wrist_of(truth, 0), atol=1e-5)
    np.testing.assert_allclose(body.posed(changed)[1], body.posed(truth)[1], atol=2e-4)
    assert np.abs(shared[[k - 1 for k in WRIST_JOINTS[:1]]]).max() < 0.9
    np.testing.assert_allclose(np.delete(shared, [17, 19], 0), np.delete(pose, [17, 19], 0))


def test_fit_takes_palm_and_fingers_from_the_hand_and_relaxes_the_other(body: BodyModel) -> None:
    hands = np.concatenate([skeleton().pose(finger_angles("fist"), True), np.zeros((15, 3))])
    pose = standing().body_pose
    pose[WRIST_JOINTS[0] - 1] = [1.0, 0.1, -0.4]
    truth = standing(body_pose=pose, hand_pose=hands)
    person = person_with(body, truth, hand_of_body(body, truth, True, LARGE))
    found, without = (fit_people([one], LARGE, fitting_model())[0] for one in (person, person_of(body, truth, LARGE)))

    def astray(parameters: BodyParameters) -> float:
        return float(np.degrees(rotations.angle(wrist_of(parameters, 0), wrist_of(truth, 0))))

    assert astray(found.body) < 10  # landmarks without errors are corrected as well
    assert found.body.hand_pose is not None and without.body.hand_pose is not None
    error = rotations.log(rotations.exp(found.body.hand_pose[:15]).swapaxes(1, 2) @ rotations.exp(hands[:15]))
    assert np.degrees(np.linalg.norm(error, axis=1)).mean() < 10
    relaxed = skeleton().pose(finger_angles("relaxed"), False)
    np.testing.assert_allclose(found.body.hand_pose[15:], relaxed, atol=1e-5)
    np.testing.assert_allclose(without.body.hand_pose[15:], relaxed, atol=1e-5)


def test_back_of_a_hanging_hand_taken_for_its_palm_is_caught(body: BodyModel) -> None:
    """Seen from its edge, a hand and its mirror image in depth look the same."""
    truth = standing(hand_pose=np.zeros((30, 3)))
    seen = hand_of_body(body, truth, True, LARGE)
    edge = replace(seen, world=seen.world * np.array([1, 1, -1], np.float32))
    fit = fit_people([person_with(body, truth, edge)], LARGE, fitting_model())[0]
    assert np.degrees(rotations.angle(wrist_of(fit.body, 0), wrist_of(truth, 0))) < 40


def test_wrists_are_judged_where_the_hand_model_sees_them(body: BodyModel) -> None:
    truth = standing(hand_pose=np.zeros((30, 3)))
    hand = hand_of_body(body, truth, True, LARGE)
    person = person_with(body, truth, hand, replace(hand, score=0.1))
    plain, judged = image_landmarks(person), with_seen_hands(image_landmarks(person), person)
    np.testing.assert_allclose(judged[Landmark.LEFT_WRIST, :2], hand.points[0])
    assert judged[[Landmark.LEFT_INDEX, Landmark.LEFT_PINKY, Landmark.LEFT_THUMB], 2].max() == 0
    np.testing.assert_allclose(judged[Landmark.RIGHT_WRIST], plain[Landmark.RIGHT_WRIST])
