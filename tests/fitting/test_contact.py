"""What bears weight rests on the ground; what is lifted stays lifted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fitting.people import CAMERA, fitting_model, person_of, standing
from tests.fitting.test_gravity import odd_poses
from uvatar.body import BodyModel
from uvatar.data.fit import BodyParameters
from uvatar.data.gravity import Gravity
from uvatar.data.joints import Joint
from uvatar.fitting.chain import State
from uvatar.fitting.gravity import stances_of
from uvatar.fitting.objective import Objective
from uvatar.fitting.observations import Observations
from uvatar.fitting.solver import minimise
from uvatar.fitting.terms.base import Stage
from uvatar.fitting.terms.contact import ContactTerm

LEVEL = Gravity(error=np.radians(1))


def term_of(one: BodyParameters, body: BodyModel) -> tuple[ContactTerm, Objective]:
    """The term of somebody seen perfectly, with the vertical known, alone."""
    model, person = fitting_model(), person_of(body, one)
    stances = stances_of([person], State.of([one]), CAMERA, model)
    term = ContactTerm.of(Observations.of([person], CAMERA, model)).on_ground(stances, LEVEL)
    return term, Objective(CAMERA, model, [term])


def soles_of(bodies: State) -> NDArray[np.float64]:
    """(2, 6) heights of points under the left and the right foot, metres, above the lowest of them."""
    model = fitting_model()
    heights = -model.skeleton.pose(bodies).place(model.soles).positions[0, :, 1]
    above: NDArray[np.float64] = (heights - heights.min()).reshape(2, 6)
    return above


def with_left_leg(hip: float, knee: float, ankle: float = 0.0) -> BodyParameters:
    """Somebody who stands, the joints of the left leg bent, radians."""
    pose = standing().body_pose.copy()
    for joint, bend in ((Joint.LEFT_HIP, -hip), (Joint.LEFT_KNEE, knee), (Joint.LEFT_ANKLE, ankle)):
        pose[joint - 1, 0] = bend
    return standing(body_pose=pose, global_orient=[np.pi, 0, 0])


def test_it_has_a_part_in_the_last_stage_alone_and_none_before_the_vertical_is_known(body: BodyModel) -> None:
    term, _ = term_of(standing(), body)
    assert [stage for stage in Stage if term.at(stage) is not None] == [Stage.CLOSE]
    person, model = person_of(body, standing()), fitting_model()
    unknown = Objective(CAMERA, model, [ContactTerm.of(Observations.of([person], CAMERA, model))])
    assert unknown.cost(State.of([standing()])) == 0


def test_a_foot_that_hangs_a_little_above_the_ground_is_put_onto_it(body: BodyModel) -> None:
    one = with_left_leg(0.3, 0.45, -0.15)
    _, objective = term_of(one, body)
    before = State.of([one])
    after, _, _ = minimise(objective, before, 5)
    low = soles_of(before).min(1)
    assert 0.015 < low[0] < 0.04 and low[1] == 0
    assert soles_of(after).min(1).max() < 0.3 * low[0]


def test_soles_become_flat(body: BodyModel) -> None:
    one = with_left_leg(0.0, 0.0, 0.15)
    _, objective = term_of(one, body)
    after, _, _ = minimise(objective, State.of([one]), 5)
    assert np.ptp(soles_of(State.of([one]))[0]) > 0.02
    assert np.ptp(soles_of(after)[0]) < 0.01


def test_a_lifted_leg_stays_lifted(body: BodyModel) -> None:
    one = with_left_leg(1.0, 1.3)
    _, objective = term_of(one, body)
    before = State.of([one])
    after, _, _ = minimise(objective, before, 5)
    assert soles_of(before)[0].min() > 0.12
    assert soles_of(after)[0].min() > 0.95 * soles_of(before)[0].min()


@pytest.mark.parametrize("pose", ["on the hands", "cut at the waist"])
def test_who_shows_no_feet_or_is_upside_down_rests_on_nothing(pose: str, body: BodyModel) -> None:
    one = odd_poses()[pose]
    model, person = fitting_model(), person_of(body, one)
    if pose == "cut at the waist":
        landmarks = person.landmarks.copy()
        landmarks[25:, 2] = 0
        person = replace(person, landmarks=landmarks)
    stances = stances_of([person], State.of([one]), CAMERA, model)
    term = ContactTerm.of(Observations.of([person], CAMERA, model)).on_ground(stances, LEVEL)
    assert not term.weights.any()
