"""Bodies that are not fitted: the pose lifter's pose and another predictor's as one, where the landmarks are seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.fitting.people import CAMERA, fitting_model, person_of, standing
from uvatar.body import BodyModel, load_open_body
from uvatar.data.fit import BodyParameters
from uvatar.data.joints import Joint
from uvatar.data.start import Start
from uvatar.fitting.blending import BlendSettings, blended, blended_bodies, starts_of
from uvatar.fitting.chain import State
from uvatar.fitting.hypotheses import Hypotheses
from uvatar.fitting.lifter import Lifted
from uvatar.fitting.shape import ShapeGroup
from uvatar.geometry import rotations
from uvatar.mesh_predictor.prediction import OPEN_BODY, Prediction
from uvatar.mesh_predictor.weak_perspective import PaddedSquare


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def start_of(truth: BodyParameters) -> Start:
    return Start("other", rotations.exp(truth.global_orient.astype(float)), truth.body_pose[:21].astype(float))


def lifted_of(truth: BodyParameters) -> Lifted:
    start = start_of(truth)
    return Lifted(start.orient, start.pose, np.zeros(10), np.ones(22), np.ones(19), np.ones(10))


def apart(one: BodyParameters, other: BodyParameters, body: BodyModel) -> float:
    """Mean distance of the landmarks in the picture, pixels."""
    seen, true = (CAMERA.project(body.landmarks_of(parameters)) for parameters in (one, other))
    return float(np.linalg.norm(seen - true, axis=-1).mean())


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_pose_lies_between_both_by_the_share(share: float) -> None:
    lifted, start = lifted_of(standing()), start_of(standing(global_orient=[np.pi - 0.05, 0.0, 0.42]))
    mean = blended(lifted, start, BlendSettings(share=share))
    whole = rotations.angle(lifted.orient, start.orient)
    assert rotations.angle(lifted.orient, mean.orient) / whole == pytest.approx(share, abs=0.03)
    np.testing.assert_allclose(mean.orient @ mean.orient.T, np.eye(3), atol=1e-9)
    np.testing.assert_array_equal(mean.betas, lifted.betas)


def test_an_arm_stays_where_both_see_it_however_the_trunk_is_turned() -> None:
    """The start's pelvis leans, and its left shoulder makes up for it: relative to the camera the arm is the same."""
    truth = standing()
    lean = rotations.exp(np.array([0.3, 0.0, 0.0]))
    pose = truth.body_pose[:21].astype(float)
    upright = rotations.exp(truth.global_orient.astype(float))
    pose[Joint.LEFT_COLLAR - 1] = rotations.log(lean.T)
    start = Start("other", upright @ lean, pose)
    mean = blended(lifted_of(truth), start, BlendSettings(share=0.5))
    local = rotations.exp(mean.pose)
    to_arm = [Joint.SPINE1, Joint.SPINE2, Joint.SPINE3, Joint.LEFT_COLLAR, Joint.LEFT_SHOULDER]
    arm = np.linalg.multi_dot([mean.orient, *(local[joint - 1] for joint in to_arm)])
    expected = upright @ rotations.exp(truth.body_pose[Joint.LEFT_SHOULDER - 1].astype(float))
    np.testing.assert_allclose(arm, expected, atol=1e-6)
    assert rotations.angle(mean.orient, upright) == pytest.approx(0.15, abs=0.01)


def test_a_body_is_put_where_its_landmarks_are_seen_even_if_the_other_pose_is_wrong(body: BodyModel) -> None:
    truth = standing()
    person = person_of(body, truth)
    turned = start_of(standing(global_orient=[0.1, 0.0, 0.0], body_pose=np.zeros((23, 3))))
    (right,), (wrong,) = (
        blended_bodies([person], [start], CAMERA, fitting_model()) for start in (start_of(truth), turned)
    )
    assert apart(right, truth, body) < 0.03 * person.side
    assert apart(wrong, truth, body) < 0.06 * person.side
    assert np.linalg.norm(right.transl - truth.transl) < 0.5


def test_a_known_shape_is_kept_and_the_body_farther_away_for_it(body: BodyModel) -> None:
    truth = standing()
    person = person_of(body, truth)
    large = np.zeros(10, np.float32)
    large[0] = 2.0
    sizes = {name: float(np.ptp(body.posed(standing(betas=betas))[0][:, 1])) for name, betas in
             (("mean", np.zeros(10)), ("changed", large))}  # fmt: skip
    people = [person, person]
    starts = [start_of(truth)] * 2
    plain = blended_bodies(people, starts, CAMERA, fitting_model(), np.zeros(10, np.float32))
    changed = blended_bodies(people, starts, CAMERA, fitting_model(), large)
    assert len(plain) == len(changed) == 2
    np.testing.assert_array_equal(changed[1].betas, large)
    assert (changed[0].transl[2] > plain[0].transl[2]) == (sizes["changed"] > sizes["mean"])


def predicted(truth: BodyParameters, coarse: bool) -> Prediction:
    pose = np.concatenate([truth.global_orient[None], truth.body_pose]).astype(float)
    none = np.zeros((1, 10), np.float32)
    square = PaddedSquare.around(CAMERA.width, CAMERA.height)
    return Prediction(
        none[:, 0], none[:, :2], none[:, :3], rotations.exp(pose)[None].astype(np.float32), none, OPEN_BODY, square,
        coarse=coarse,
    )  # fmt: skip


def test_only_a_coarse_prediction_s_start_is_blended(body: BodyModel) -> None:
    truth = standing()
    person, away = person_of(body, truth), standing(global_orient=[np.pi - 0.05, 0.0, 0.8])
    (fine,), (coarse,) = (
        starts_of(predicted(away, is_coarse), [person], CAMERA, fitting_model()) for is_coarse in (False, True)
    )
    upright, leaning = start_of(truth).orient, start_of(away).orient
    np.testing.assert_allclose(fine.orient, leaning, atol=1e-5)
    assert fine.name == coarse.name == "mesh_predictor"
    assert rotations.angle(coarse.orient, upright) < 0.5 * rotations.angle(leaning, upright)


def test_without_a_lifter_there_is_no_blend(body: BodyModel) -> None:
    model, person = replace(fitting_model(), lifter=None), person_of(body, standing())
    assert blended_bodies([person], [start_of(standing())], CAMERA, model) == []
    (start,) = starts_of(predicted(standing(), coarse=True), [person], CAMERA, model)
    np.testing.assert_allclose(start.orient, start_of(standing()).orient, atol=1e-5)


def test_another_start_goes_on_beside_the_landmarks_if_it_is_clearly_better() -> None:
    def kept(cost: float) -> list[tuple[int, str]]:
        starts = [replace(start_of(standing()), name=name) for name in ("landmarks", "other", "other")]
        state = State(np.tile(np.eye(3), (3, 1, 1)), np.zeros((3, 21, 3)), np.zeros((3, 10)), np.zeros((3, 3)))
        groups = [ShapeGroup("all", np.zeros(10), np.eye(10))] * 3
        tried = Hypotheses(np.array([0, 0, 1]), starts, groups, state, np.array([10.0, cost, 20.0]))
        best = tried.clearly_better_than("landmarks", 0.25)
        return [(int(owner), start.name) for owner, start in zip(best.owners, best.starts, strict=True)]

    assert kept(9.8) == [(0, "landmarks"), (1, "other")]  # the second person has no other
    assert kept(9.7) == [(0, "landmarks"), (0, "other"), (1, "other")]
