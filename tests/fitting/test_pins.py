"""Corrections by hand: the body comes to lie where somebody has put its joints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fitting.people import CAMERA, fitting_model, person_of, standing
from uvatar.body import BodyModel
from uvatar.data.landmarks import Landmark
from uvatar.data.person import Hand
from uvatar.engine.pins import pinned
from uvatar.fitting.fitter import FitOptions, fit_people

ELBOW, WRIST = Landmark.LEFT_ELBOW, Landmark.LEFT_WRIST
ARM = [Landmark.LEFT_ELBOW, Landmark.LEFT_WRIST, Landmark.LEFT_PINKY, Landmark.LEFT_INDEX, Landmark.LEFT_THUMB]


def raised() -> NDArray[np.float32]:
    """The pose of `standing` with the left arm to the side."""
    pose: NDArray[np.float32] = standing().body_pose.copy()
    pose[15] = (0, -0.2, -0.2)
    return pose


def pin(person: object, landmark: int, place: object) -> list[float]:
    return [*map(float, person.box), landmark, *map(float, place)]  # type: ignore[attr-defined, call-overload]


def test_a_wrong_arm_is_put_right(body: BodyModel) -> None:
    truth = standing(body_pose=raised())
    true, wrong = person_of(body, truth), person_of(body, standing())
    seen = replace(true, landmarks=true.landmarks.copy(), world_landmarks=true.world_landmarks.copy())
    seen.landmarks[ARM], seen.world_landmarks[ARM] = wrong.landmarks[ARM], wrong.world_landmarks[ARM]
    pins = [pin(true, landmark, true.landmarks[landmark, :2]) for landmark in (ELBOW, WRIST)]
    (corrected,) = pinned([seen], pins)
    assert corrected.pinned == (ELBOW, WRIST) and not seen.pinned
    off = []
    for person in (seen, corrected):
        (found,) = fit_people([person], CAMERA, fitting_model(), FitOptions(fast=True))
        there = CAMERA.project(body.landmarks_of(found.body))
        off.append(np.linalg.norm(there - true.landmarks[:, :2], axis=-1) / true.side)
    assert off[0][WRIST] > 0.1  # as perception saw it
    assert off[1][[ELBOW, WRIST]].max() < 0.01 and off[1].max() < 0.05


def test_fingers_and_feet_go_along_and_the_rest_stays(body: BodyModel) -> None:
    person = person_of(body, standing())
    places = {number: person.landmarks[number, :2] + (40, -30) for number in (WRIST, Landmark.RIGHT_ANKLE)}
    (moved,) = pinned([person], [pin(person, number, place) for number, place in places.items()])
    steps = moved.landmarks[:, :2] - person.landmarks[:, :2]
    along = {WRIST, 17, 19, 21, 28, 30, 32}
    for number in range(33):
        assert np.allclose(steps[number], (40, -30) if number in along else 0, atol=1e-3)
    depth = moved.world_landmarks[:, 2] - person.world_landmarks[:, 2]
    assert np.abs(depth).max() < 1e-6
    shift = (moved.world_landmarks - person.world_landmarks)[WRIST, :2]
    pixel = np.linalg.norm(shift) / 50  # metres; a pixel at the person's distance
    assert pixel == pytest.approx(3.2 / CAMERA.focal, rel=0.25)


def test_a_correction_is_for_the_person_whose_box_it_names(body: BodyModel) -> None:
    person = person_of(body, standing())
    other = replace(person, box=person.box + 1000, landmarks=person.landmarks + 1000)
    one, two = pinned([other, person], [pin(person, WRIST, (5, 6))])
    assert not one.pinned and two.pinned == (WRIST,)
    elsewhere = [[5000.0, 5000.0, 5100.0, 5100.0, float(WRIST), 1.0, 2.0]]
    assert all(not somebody.pinned for somebody in pinned([other, person], elsewhere))
    assert pinned([], elsewhere) == [] and pinned([person], []) == [person]


def test_a_hand_that_was_seen_elsewhere_is_another_one(body: BodyModel) -> None:
    person = person_of(body, standing())
    hand = Hand(np.zeros((21, 2), np.float32), np.zeros((21, 3), np.float32), 0.95)
    person = replace(person, left_hand=hand, right_hand=hand)
    near, far = person.landmarks[WRIST, :2] + (2, 0), person.landmarks[WRIST, :2] + (90, 0)
    for place, kept in ((near, True), (far, False)):
        (moved,) = pinned([person], [pin(person, WRIST, place)])
        assert (moved.left_hand is not None) == kept and moved.right_hand is not None
