"""The objective's cost, gradient and robust weights, against finite differences and closed forms."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.fitting.hands import hand_of_body
from tests.fitting.people import CAMERA, fitting_model, person_of, standing, with_face
from uvatar.body import BodyModel
from uvatar.data.gravity import Gravity
from uvatar.data.joints import Joint
from uvatar.fitting.chain import UNKNOWNS, BodyPoints, State
from uvatar.fitting.gravity import stances_of
from uvatar.fitting.objective import Objective
from uvatar.fitting.observations import Observations
from uvatar.fitting.prior import PosePrior
from uvatar.fitting.solver import minimise
from uvatar.fitting.terms import TERMS, LandmarkTerm
from uvatar.fitting.terms.base import Stage
from uvatar.fitting.terms.held_trunk import HeldTrunkTerm
from uvatar.fitting.terms.outline import OutlinePairs, OutlineSettings, OutlineTerm
from uvatar.fitting.terms.palms import PalmTerm
from uvatar.geometry import rotations


@pytest.fixture(scope="module")
def objective(body: BodyModel) -> Objective:
    """All terms, the outline's with twenty pairs of vertices and pixels that are far apart."""
    model, data = fitting_model(), body.data
    hand = hand_of_body(body, standing(hand_pose=np.zeros((30, 3))), True, CAMERA)
    seen_person = with_face(person_of(body, standing()), body, standing(), larger=1.2)
    person = replace(seen_person, left_hand=replace(hand, points=2 * hand.points - hand.points.mean(0)))
    seen = Observations.of([person], CAMERA, replace(model, lifter=None), heights=[1.8])
    rng = np.random.default_rng(0)
    index = rng.integers(len(data.v_template), size=(1, 20))
    vertices = BodyPoints(*(a.astype(float) for a in (data.v_template, data.shapedirs, data.weights)))
    normals = rng.normal(size=(1, 20, 2))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    pairs = OutlinePairs(vertices.chosen(index), rng.uniform(200, 400, (1, 20, 2)), normals, np.ones((1, 20)))
    terms = [kind.of(seen) for kind in TERMS if kind is not OutlineTerm]
    outline = OutlineTerm.of(seen, OutlineSettings(error=0.01))
    assert outline is not None
    # The palm that was seen, not yet chosen for a body.
    others = [
        replace(term, chosen=np.zeros_like(term.chosen)) if isinstance(term, PalmTerm) else term for term in terms
    ]
    known = [*(term for term in others if term is not None), replace(outline, pairs=pairs)]
    stances = stances_of([person], State.of([standing()]), CAMERA, model)
    return Objective(CAMERA, model, known).on_ground(stances, Gravity(error=np.radians(3)))


@pytest.fixture(scope="module")
def state() -> State:
    rng = np.random.default_rng(3)
    truth = standing()
    pose = truth.body_pose[None, :21] + rng.normal(0, 0.2, (1, 21, 3))
    pose[0, [3, 4], 0] = [-0.3, 2.9]  # both limits of the knees at work
    orient = rotations.exp(truth.global_orient[None].astype(float))
    return State(orient, pose, rng.normal(0, 0.3, (1, 10)), truth.transl[None].astype(float))


def test_gradient_is_that_of_the_cost(objective: Objective, state: State) -> None:
    """Geman-McClure as s^2 d^2 / 2(s^2 + d^2): its slope is d (s^2 / (s^2 + d^2))^2, which is what reweighting must
    give.
    """
    _, gradient, _ = objective.linearised(state)
    for number in range(UNKNOWNS):
        step = np.zeros((1, UNKNOWNS))
        step[0, number] = 1e-6
        slope = (objective.cost(state.stepped(step)) - objective.cost(state.stepped(-step))) / 2e-6
        assert slope[0] == pytest.approx(gradient[0, number], rel=1e-3, abs=1e-2), number


def test_far_outliers_cost_no_more_than_the_width(objective: Objective, state: State) -> None:
    (term,) = (term for term in objective.terms if isinstance(term, LandmarkTerm))
    shifted = replace(term, error=0.01, width=0.05, pixels=term.pixels + 1e5)
    far = shifted.residuals(objective.bodies(state)).cost[0]
    assert far == pytest.approx(0.5 * term.weights.sum() * (0.05 / 0.01) ** 2, rel=1e-3)


def test_cost_never_rises(objective: Objective, state: State) -> None:
    costs, damping = [objective.cost(state)[0]], None
    for _ in range(8):
        state, cost, damping = minimise(objective, state, 1, damping)
        costs.append(cost[0])
    assert all(later <= earlier for earlier, later in itertools.pairwise(costs))
    assert costs[-1] < 0.5 * costs[0]


def test_prior_is_the_gaussian_it_says() -> None:
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(2, 63, 63)) * 0.1 + np.eye(63)
    covariances = factor @ factor.transpose(0, 2, 1)
    means, weights = rng.normal(size=(2, 63)), np.array([0.3, 0.7])
    prior = PosePrior.from_mixture(weights, means, covariances)
    poses = np.stack([means[0] + 0.1, means[1] - 0.2])
    distances = [[(p - m) @ np.linalg.solve(c, p - m) for m, c in zip(means, covariances, strict=True)] for p in poses]
    exact = 0.5 * np.array(distances) + 0.5 * np.linalg.slogdet(covariances)[1] - np.log(weights)
    component, energy = prior.nearest(poses)
    difference = energy - exact.min(1)
    assert difference[0] == pytest.approx(difference[1])  # equal up to a constant
    assert (component == exact.argmin(1)).all()
    residual = prior.residual(poses, component)
    assert 0.5 * (residual**2).sum(1) + prior.costs[component] == pytest.approx(energy)


def test_shipped_prior_knows_how_people_stand_and_sit() -> None:
    prior = PosePrior.load()
    stand = np.zeros((21, 3))
    stand[15], stand[16] = [0, -0.2, -1.2], [0, 0.2, 1.2]
    sit = stand.copy()
    sit[[0, 1], 0], sit[[3, 4], 0] = -1.45, 1.45
    backwards = stand.copy()
    backwards[[3, 4], 0] = -0.8  # knees the wrong way
    broken = stand.copy()
    broken[11] = [0, 2.6, 0]  # the neck turned to the back
    energies = prior.nearest(np.stack([stand, sit, backwards, broken]).reshape(4, 63))[1]
    assert max(energies[:2]) < min(energies[2:]) - 5
    assert energies[3] > 100


def test_the_trunks_bend_is_held_in_the_last_stage_alone(objective: Objective, state: State) -> None:
    (term,) = (term for term in objective.terms if isinstance(term, HeldTrunkTerm))
    assert [stage for stage in Stage if term.at(stage) is not None] == [Stage.CLOSE]
    held = term.held(objective.bodies(state))
    assert held.residuals(objective.bodies(state)).cost == 0
    pose = state.pose.copy()
    pose[0, Joint.LEFT_KNEE - 1, 0] += 0.3
    assert held.residuals(objective.bodies(replace(state, pose=pose))).cost == 0
    pose[0, Joint.SPINE2 - 1, 0] += 0.04
    bent = held.residuals(objective.bodies(replace(state, pose=pose)))
    assert bent.cost[0] == pytest.approx(0.5 * (0.04 / held.settings.error) ** 2)
