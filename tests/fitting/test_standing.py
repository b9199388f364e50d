"""People whose legs the photo does not show stand on them; nobody else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.fitting.people import CAMERA, fitting_model, person_of, standing
from uvatar.body import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.fit import BodyParameters
from uvatar.data.gravity import GravityEvidence
from uvatar.data.joints import ANKLE_JOINTS, ELBOW_JOINTS, HIP_JOINTS, SHOULDER_JOINTS, Joint
from uvatar.data.landmarks import ANKLES, KNEES
from uvatar.fitting.chain import State
from uvatar.fitting.fitter import fit_people
from uvatar.fitting.observations import unseen_legs
from uvatar.fitting.standing import stood_up
from uvatar.geometry import rotations

UP = np.array([0.0, -1.0, 0.0])
UNSEEN = np.ones((1, 2))


def askew(lean: float) -> BodyParameters:
    """Somebody who leans towards the camera by ``lean`` degrees, with a twisted pelvis and lifted legs."""
    turn = rotations.exp(np.array([np.pi + np.radians(lean), 0, 0])) @ rotations.exp(np.array([0, 0.2, 0.15]))
    one = standing(global_orient=rotations.log(turn))
    pose = one.body_pose.copy()
    pose[Joint.LEFT_HIP - 1], pose[Joint.RIGHT_HIP - 1] = [-0.5, 0, 0.2], [0.3, 0.1, 0]
    pose[Joint.SPINE2 - 1] = [0, 0, -0.15]
    return replace(one, body_pose=pose)


def joints_of(bodies: State) -> Floats:
    return fitting_model().skeleton.pose(bodies).joints[0]


def off_vertical(top: Floats, bottom: Floats) -> float:
    along = (top - bottom) / np.linalg.norm(top - bottom)
    return float(np.degrees(np.arccos(np.clip(along @ UP, -1, 1))))


@pytest.mark.parametrize("lean", [-15.0, 0.0, 20.0])
def test_unseen_legs_are_straight_below_the_body(lean: float) -> None:
    before = State.of([askew(lean)])
    after = stood_up(before, UNSEEN, UP, fitting_model().skeleton)
    joints = joints_of(after)
    assert off_vertical(joints[HIP_JOINTS].mean(0), joints[ANKLE_JOINTS].mean(0)) < 3
    assert np.ptp(joints[ANKLE_JOINTS] @ UP) < 0.01
    assert off_vertical(joints[Joint.NECK], joints[Joint.PELVIS]) < 12
    rotation = fitting_model().skeleton.pose(after).rotations[0]
    assert np.allclose(rotation[Joint.PELVIS, :, 1], UP, atol=1e-6)


def test_what_the_photo_shows_stays() -> None:
    before = State.of([askew(20)])
    after = stood_up(before, UNSEEN, UP, fitting_model().skeleton)
    poses = [fitting_model().skeleton.pose(one) for one in (before, after)]
    assert np.allclose(poses[0].joints[0, Joint.HEAD], poses[1].joints[0, Joint.HEAD], atol=1e-6)
    kept = [Joint.NECK, Joint.HEAD, *SHOULDER_JOINTS, *ELBOW_JOINTS]
    assert np.allclose(poses[0].rotations[0][kept], poses[1].rotations[0][kept], atol=1e-6)
    pixels = [CAMERA.project(pose.joints[0, SHOULDER_JOINTS]) for pose in poses]
    assert np.abs(pixels[0] - pixels[1]).max() < 0.03 * 640


@pytest.mark.parametrize("unseen", [(0.0, 0.0), (1.0, 0.0)])
def test_legs_that_are_seen_stay(unseen: tuple[float, float]) -> None:
    before = State.of([askew(20)])
    after = stood_up(before, np.array([unseen]), UP, fitting_model().skeleton)
    assert np.allclose(joints_of(before), joints_of(after), atol=1e-6)


def test_who_lies_is_not_stood_up() -> None:
    before = State.of([askew(80)])
    after = stood_up(before, UNSEEN, UP, fitting_model().skeleton)
    assert np.allclose(joints_of(before), joints_of(after), atol=1e-6)


def test_a_portrait_stands(body: BodyModel) -> None:
    """As far as the photo shows them, people are where it shows them, and below they stand."""
    truth = standing()
    person = person_of(body, truth)
    bottom = int(person.landmarks[KNEES, 1].min()) - 60
    camera = replace(CAMERA, height=bottom)
    x0, y0, x1, _ = person.window
    cut = slice(0, bottom - y0)
    person = replace(
        person,
        window=(x0, y0, x1, bottom),
        box=np.minimum(person.box, [np.inf, np.inf, np.inf, bottom]).astype(np.float32),
        mask=person.mask[cut],
        others=person.others[cut],
    )
    assert unseen_legs(person.landmarks, camera).all()
    [fit] = fit_people([person], camera, fitting_model(), gravity=GravityEvidence(np.zeros((0, 4), np.float32)))
    joints = body.posed(fit.body)[1]
    assert (
        off_vertical(joints[HIP_JOINTS].mean(0), joints[ANKLE_JOINTS].mean(0)) < 8
    )  # the camera is taken to look down
    expected = CAMERA.project(body.posed(truth)[1][SHOULDER_JOINTS])
    assert np.abs(CAMERA.project(joints[SHOULDER_JOINTS]) - expected).max() < 0.03 * person.side


def test_a_knee_that_can_be_guessed_counts() -> None:
    landmarks = np.full((33, 3), 100.0)
    landmarks[:, 2] = 1
    landmarks[[*KNEES, *ANKLES], 2] = 0.3, 0.05, 0.1, 0.1
    assert unseen_legs(landmarks, CAMERA).tolist() == [0, 1]
    landmarks[KNEES[0], 1] = 2000  # outside the photo
    assert unseen_legs(landmarks, CAMERA).tolist() == [1, 1]
