"""People who stand are made upright where the photo does not tell, and nobody else is changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.fitting.people import CAMERA, fitting_model, person_of, standing
from tests.fitting.test_gravity import odd_poses
from uvatar.body import BodyModel, measure
from uvatar.data.arrays import Floats
from uvatar.data.fit import BodyParameters
from uvatar.data.gravity import Gravity, GravityEvidence
from uvatar.data.joints import ELBOW_JOINTS, SHOULDER_JOINTS, Joint
from uvatar.fitting.chain import State
from uvatar.fitting.fitter import FitOptions, fit_people
from uvatar.fitting.gravity import stances_of
from uvatar.fitting.upright import on_one_ground, straightened
from uvatar.geometry import rotations

LEVEL = Gravity(error=np.radians(3))
ARMS_AND_HEAD = [Joint.HEAD, *SHOULDER_JOINTS, *ELBOW_JOINTS]


def leaning(degrees: float, yaw: float = 0.0, **changes: Floats) -> BodyParameters:
    """Somebody who stands, leaning forward as a whole, and turned away from facing the camera."""
    turn = rotations.about_y(np.radians(yaw)) @ rotations.exp(np.array([np.pi + np.radians(degrees), 0, 0]))
    return standing(global_orient=rotations.log(turn), transl=[0, -0.4, 4.0], **changes)


def made_upright(one: BodyParameters, body: BodyModel) -> tuple[State, State]:
    model, before = fitting_model(), State.of([one])
    stances = stances_of([person_of(body, one)], before, CAMERA, model)
    return before, straightened(before, stances, LEVEL, model.skeleton)


def lean_of(bodies: State, top: int = Joint.NECK, bottom: int = Joint.PELVIS) -> float:
    joints = fitting_model().skeleton.pose(bodies).joints[0]
    along = joints[top] - joints[bottom]
    return float(np.degrees(np.arctan2(np.hypot(along[0], along[2]), -along[1])))


def test_who_leans_towards_the_camera_is_drawn_upright(body: BodyModel) -> None:
    before, after = made_upright(leaning(12), body)
    assert lean_of(before) > 9 and lean_of(after) < 0.75 * lean_of(before)
    assert lean_of(after, Joint.LEFT_HIP, Joint.LEFT_ANKLE) < 0.6 * lean_of(before, Joint.LEFT_HIP, Joint.LEFT_ANKLE)
    turned = [fitting_model().skeleton.pose(one).rotations[0] for one in (before, after)]
    assert np.allclose(turned[0][ARMS_AND_HEAD], turned[1][ARMS_AND_HEAD], atol=1e-6)
    assert np.allclose(before.transl, after.transl) and np.allclose(before.betas, after.betas)


def test_an_upright_body_hardly_changes(body: BodyModel) -> None:
    before, after = made_upright(leaning(0), body)
    joints = [fitting_model().skeleton.pose(one).joints[0] for one in (before, after)]
    assert np.abs(joints[0] - joints[1]).max() < 0.06


def test_a_lean_that_the_photo_shows_stays(body: BodyModel) -> None:
    before, after = made_upright(leaning(12, yaw=90), body)
    assert lean_of(after) == pytest.approx(lean_of(before), abs=0.2)


@pytest.mark.parametrize("pose", [name for name in odd_poses() if name != "cut at the waist"])
def test_who_does_not_stand_is_left_as_they_are(pose: str, body: BodyModel) -> None:
    before, after = made_upright(odd_poses()[pose], body)
    for one, other in zip(before.arrays, after.arrays, strict=True):
        assert np.allclose(one, other, atol=1e-5)


def test_soles_that_are_nearly_flat_become_flatter(body: BodyModel) -> None:
    tipped = standing().body_pose.copy()
    tipped[[6, 7], 0] = 0.15
    before, after = made_upright(leaning(0, body_pose=tipped), body)

    def tilt(bodies: State) -> float:
        normals = fitting_model().skeleton.pose(bodies).rotations[0, [Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE], :, 1]
        return float(np.degrees(np.arccos(-normals[:, 1])).mean())

    assert tilt(before) > 7 and tilt(after) < 0.7 * tilt(before)


def test_the_photos_own_view_is_kept(body: BodyModel) -> None:
    one = leaning(8)
    person = person_of(body, one)
    for evidence in (None, GravityEvidence(up=(0.0, -1.0, 0.0))):
        (fit,) = fit_people([person], CAMERA, fitting_model(), gravity=evidence)
        assert fit.landmark_error_median < 0.01
    assert replace(fit, notes=()).confidence > 0.5


def ground_under(bodies: State) -> list[float]:
    soles = fitting_model().skeleton.pose(bodies).place(fitting_model().soles).positions
    return [float(one[:, 1].max()) for one in soles]


@pytest.mark.parametrize("known", [None, 1])
def test_people_of_one_photo_stand_on_one_ground_and_look_the_same(known: int | None, body: BodyModel) -> None:
    """Three people, one of whom was taken for 5 % too tall, and so for too far away; and somebody who jumps."""
    model, upright = fitting_model(), [leaning(0), leaning(0), leaning(0), leaning(0)]
    places = [[-0.6, -0.4, 4.0], [0, -0.4, 4.0], [0.6, -0.4, 4.0], [1.0, -0.75, 4.0]]
    true = State.of([replace(one, transl=np.array(at, np.float32)) for one, at in zip(upright, places, strict=True)])
    factor = np.array([1, 1.05, 1, 1])
    seen = replace(
        true, betas=model.stature.changed(true.betas, factor * model.stature.of(true.betas)), transl=true.transl
    )
    pelvis = model.skeleton.pose(seen).joints[:, 0] - seen.transl
    seen = replace(seen, transl=(model.skeleton.pose(true).joints[:, 0]) * factor[:, None] - pelvis)
    people = [person_of(body, replace(upright[i], transl=true.transl[i].astype(np.float32))) for i in range(4)]
    stances = stances_of(people, seen, CAMERA, model)
    gravity = replace(LEVEL, ground=ground_under(true)[0])
    heights = np.full(4, np.nan)
    if known is not None:
        heights[known] = model.stature.of(seen.betas)[known]
    after = on_one_ground(seen, stances, gravity, model, heights, np.zeros(4, bool))
    grounds = ground_under(after)
    assert np.ptp(grounds[:3]) < 0.01
    assert grounds[0] == pytest.approx(ground_under(seen)[known or 0], abs=0.02)
    assert np.allclose(after.betas[3], seen.betas[3])  # who jumps is not made taller
    before, now = (CAMERA.project(model.skeleton.pose(one).joints) for one in (seen, after))
    assert np.abs(before - now).max() < 4  # of 640 pixels: proportions change a little with size


def test_a_typed_height_is_the_bodys(body: BodyModel) -> None:
    one = standing(global_orient=[np.pi, 0, 0])
    person, model = person_of(body, one), fitting_model()
    for height in (1.62, 1.88):
        (fit,) = fit_people([person], CAMERA, model, FitOptions(heights=[height]))
        assert measure(body, fit.body.betas)["stature"] == pytest.approx(100 * height, abs=1)
        assert fit.landmark_error_median < 0.01
    (unknown,) = fit_people([person], CAMERA, model, FitOptions(heights=[None]))
    (plain,) = fit_people([person], CAMERA, model)
    assert np.allclose(unknown.body.betas, plain.body.betas)
