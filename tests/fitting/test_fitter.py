"""Bodies that are known, seen perfectly, in part, or wrongly: what comes back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fitting.people import CAMERA, fitting_model, person_of, standing
from uvatar.body import BodyModel
from uvatar.data.fit import BodyParameters, Fit
from uvatar.data.landmarks import HIPS, Landmark
from uvatar.data.person import Hand, Person
from uvatar.data.start import Start
from uvatar.fitting.chain import State
from uvatar.fitting.fitter import FitOptions, fit_people
from uvatar.fitting.hypotheses import Hypotheses
from uvatar.fitting.shape import ShapeGroup, ShapeSettings
from uvatar.fitting.starts import landmark_start
from uvatar.geometry import rotations


def fit(*people: Person, **options: object) -> list[Fit]:
    return fit_people(list(people), CAMERA, fitting_model(), FitOptions(**options))  # type: ignore[arg-type]


def joint_error(body: BodyModel, found: Fit, truth: BodyParameters) -> NDArray[Any]:
    """(24,) metres, pelvis on pelvis."""
    a, b = body.posed(found.body)[1], body.posed(truth)[1]
    return np.linalg.norm((a - a[0]) - (b - b[0]), axis=-1)


def walking() -> BodyParameters:
    pose = standing().body_pose.copy()
    pose[0], pose[1], pose[3], pose[4] = [-0.5, 0, 0], [0.3, 0, 0], [0.3, 0, 0], [0.5, 0, 0]
    pose[17], pose[18] = [0, -1.2, 0], [0, 0.4, 0]
    turn = rotations.log(rotations.exp(np.array([0, -0.6, 0])) @ rotations.exp(standing().global_orient.astype(float)))
    return standing(body_pose=pose, global_orient=turn)


@pytest.mark.parametrize("truth", [standing(), walking()], ids=["standing", "walking"])
def test_a_body_seen_perfectly_is_recovered(body: BodyModel, truth: BodyParameters) -> None:
    found = fit(person_of(body, truth))[0]
    assert joint_error(body, found, truth)[:22].mean() < 0.05
    assert found.landmark_error_median < 0.006
    assert found.landmark_error_p95 < 0.02
    assert found.confidence > 0.8
    assert found.start in ("landmarks", "lifter")


def test_fast_is_nearly_as_good(body: BodyModel) -> None:
    found = fit(person_of(body, walking()), fast=True)[0]
    assert joint_error(body, found, walking())[:22].mean() < 0.07
    assert found.landmark_error_p95 < 0.03


def test_people_do_not_disturb_each_other(body: BodyModel) -> None:
    people = [person_of(body, standing()), person_of(body, walking())]
    together = fit(*people)
    for person, mine in zip(people, together, strict=True):
        alone = fit(person)[0]
        assert np.abs(alone.body.body_pose - mine.body.body_pose).max() < 1e-3
        assert np.abs(alone.body.transl - mine.body.transl).max() < 1e-3


def test_nobody(body: BodyModel) -> None:
    assert fit() == []


def test_legs_outside_the_photo_stay_plausible_and_are_told(body: BodyModel) -> None:
    truth = standing(transl=np.array([0.0, 0.35, 1.5]))  # the photo ends at the thighs
    person = person_of(body, truth)
    wild = person.landmarks.copy()
    wild[25:] += np.array([150.0, 40.0, 0.0])  # guesses about what is outside the photo must not matter
    found = fit(replace(person, landmarks=wild.astype(np.float32)))[0]
    knees = found.body.body_pose[[3, 4], 0]
    assert (knees > -0.1).all() and (knees < 1.0).all()
    assert joint_error(body, found, truth)[[7, 8]].max() < 0.3
    assert any("Outside the photo" in note and "left leg" in note for note in found.notes)


def test_a_child_gets_a_childs_proportions(body: BodyModel) -> None:
    betas = body.data.shape_prior["child"].mean.copy()
    betas[[0, 3]] -= 1.6  # about three years old
    truth = standing(betas=betas, transl=np.array([0.0, -0.2, 2.2]))
    found = fit(person_of(body, truth))[0]
    head = lambda p: np.ptp(body.posed(p)[0][body.data.weights[:, 15] > 0.9][:, 1]) / np.ptp(body.posed(p)[0][:, 1])  # noqa: E731
    adult = replace(truth, betas=np.zeros(10, np.float32))
    assert abs(head(found.body) - head(truth)) < 0.4 * abs(head(adult) - head(truth))
    assert "Given a child's proportions." in found.notes


def test_a_known_shape_is_kept(body: BodyModel) -> None:
    betas = np.linspace(-1, 1, 10).astype(np.float32)
    found = fit(person_of(body, standing()), betas=betas)[0]
    assert np.allclose(found.body.betas, betas, atol=1e-6)


def test_the_better_start_wins(body: BodyModel) -> None:
    truth = walking()
    person = person_of(body, truth)
    # The landmarks in space are of someone else, facing away: only the other start is right.
    turned = person.world_landmarks * np.array([-1, 1, -1], np.float32)
    misled = replace(person, world_landmarks=turned, landmarks=person.landmarks)
    start = Start("learned", rotations.exp(truth.global_orient.astype(float)), truth.body_pose[:21].astype(float))
    found = fit_people([misled], CAMERA, fitting_model(), starts=[[start]])[0]
    assert found.start == "learned"
    assert joint_error(body, found, truth)[:22].mean() < 0.12


def test_hand_landmarks_turn_the_palm(body: BodyModel) -> None:
    truth = standing()
    pose = truth.body_pose.copy()
    pose[19, 0] = 1.0  # the left hand twisted
    truth = replace(truth, body_pose=pose)
    person = person_of(body, truth)
    points = body.landmarks_of(truth)
    world = np.zeros((21, 3), np.float32)
    world[5], world[17] = points[19] - points[15], points[17] - points[15]
    hand = Hand(points=np.zeros((21, 2), np.float32), world=world, score=0.95)
    across = lambda p: (lambda q: (q[19] - q[17]) / np.linalg.norm(q[19] - q[17]))(body.landmarks_of(p))  # noqa: E731
    found = fit(replace(person, left_hand=hand))[0]
    assert across(found.body) @ across(truth) > 0.9


def test_start_reads_the_pose_off_the_landmarks(body: BodyModel) -> None:
    truth = walking()
    start = landmark_start(body.landmarks_of(truth).astype(float), body.data.landmark_template.astype(float))
    guess = replace(truth, global_orient=rotations.log(start.orient).astype(np.float32))
    guess = replace(guess, body_pose=np.concatenate([start.pose, np.zeros((2, 3))]).astype(np.float32))
    a, b = body.posed(guess)[1], body.posed(truth)[1]
    assert np.linalg.norm((a - a[0]) - (b - b[0]), axis=-1)[:22].mean() < 0.06


def test_a_hidden_mask_is_no_disaster(body: BodyModel) -> None:
    person = person_of(body, standing())
    found = fit(replace(person, mask=np.zeros_like(person.mask)))[0]
    assert joint_error(body, found, standing())[:22].mean() < 0.06


def test_legs_that_nobody_sees_hang_and_head_and_trunk_alone_are_no_child(body: BodyModel) -> None:
    kicking = walking()
    kicking.body_pose[0] = [-0.3, 0, 0.8]
    whole = person_of(body, kicking)
    landmarks = whole.landmarks.copy()
    landmarks[Landmark.LEFT_KNEE :, 2] = 0.1
    hips = int(landmarks[HIPS, 1].max() - whole.window[1])
    mask = whole.mask.copy()
    mask[hips:] = 0
    found = fit(replace(whole, landmarks=landmarks, mask=mask), silhouette=False)[0]
    assert np.linalg.norm(found.body.body_pose[[0, 1, 3, 4]], axis=1).max() < 0.3
    assert not any("child" in note for note in found.notes)


@pytest.mark.parametrize(
    ("costs", "group", "is_open"),
    [
        ({"adult": 200.0, "female": 202.0, "child": 210.0}, "adult", False),
        ({"adult": 202.0, "female": 201.5, "child": 201.0}, "female", True),
        ({"adult": 201.2, "female": 208.0, "child": 200.0}, "adult", True),
        ({"adult": 202.0, "female": 203.0, "child": 200.0}, "child", False),
        (
            {"adult": 402.0, "female": 420.0, "child": 400.0},
            "adult",
            True,
        ),  # much is left unexplained: 2 nats say little
        ({"child": 200.0}, "child", False),  # nothing else came near
        ({"all": 200.0}, "all", False),
    ],
)
def test_only_who_is_a_child_by_far_gets_a_childs_proportions(
    costs: dict[str, float], group: str, is_open: bool
) -> None:
    count = len(costs)
    groups = [ShapeGroup(name, np.zeros(10), np.eye(10)) for name in costs]
    start = Start("landmarks", np.eye(3), np.zeros((21, 3)))
    state = State(
        np.tile(np.eye(3), (2 * count, 1, 1)),
        np.zeros((2 * count, 21, 3)),
        np.zeros((2 * count, 10)),
        np.zeros((2 * count, 3)),
    )
    owners = np.repeat([0, 1], count)  # somebody else beside the person, who is as certain
    hypotheses = Hypotheses(owners, [start] * (2 * count), groups * 2, state, np.array(list(costs.values()) * 2))
    decided, open_age = hypotheses.decided(np.zeros(2), ShapeSettings())
    assert [one.name for one in decided.groups] == [group] * 2 and list(decided.owners) == [0, 1]
    assert open_age == ({0, 1} if is_open else set())
    assert list(decided.costs) == [costs[group]] * 2


def test_a_face_that_is_seen_decides_sooner() -> None:
    groups = [ShapeGroup(name, np.zeros(10), np.eye(10)) for name in ("adult", "child")]
    start = Start("landmarks", np.eye(3), np.zeros((21, 3)))
    rest = np.tile(np.eye(3), (2, 1, 1)), np.zeros((2, 21, 3)), np.zeros((2, 10)), np.zeros((2, 3))
    hypotheses = Hypotheses(np.zeros(2, int), [start] * 2, groups, State(*rest), np.array([201.0, 200.0]))
    assert [hypotheses.decided(np.array([face]), ShapeSettings())[0].groups[0].name for face in (0.0, 1.0)] == [
        "adult",
        "child",
    ]


def test_progress_is_told_step_by_step(body: BodyModel) -> None:
    told: list[float] = []
    options = FitOptions(fast=True)
    fit_people(
        [person_of(body, standing())],
        CAMERA,
        fitting_model(),
        options,
        report=lambda fraction, _: told.append(fraction),
    )
    assert len(told) > 10
    assert told == sorted(told)
    assert told[-1] == 1.0
