"""The vertical of a photo: bodies and edges whose gravity is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.fitting.people import CAMERA, fitting_model, person_of, standing
from uvatar.body import BodyModel
from uvatar.data.arrays import Floats
from uvatar.data.fit import BodyParameters
from uvatar.data.gravity import PRIOR_ERROR, Gravity, GravityEvidence
from uvatar.fitting.chain import State
from uvatar.fitting.gravity import candidates, estimate, stances_of
from uvatar.geometry import rotations
from uvatar.protocol.levelling import levelling, pitch_and_roll, up_of

NOTHING = GravityEvidence()


def degrees_off(gravity: Gravity, up: Floats) -> float:
    return float(np.degrees(np.arccos(np.clip(np.array(gravity.up) @ up, -1, 1))))


def seen_by(bodies: Sequence[BodyParameters], up: Floats, body: BodyModel) -> list[BodyParameters]:
    """Bodies of a level camera's frame as the camera sees them that is tilted so that ``up`` is up."""
    tilt = levelling(up).T
    tilted = []
    for one in bodies:
        orient = rotations.log(tilt @ rotations.exp(one.global_orient.astype(float)))
        pelvis = body.posed(replace(one, transl=np.zeros(3, np.float32)))[1][0]
        transl = tilt @ (pelvis + one.transl) - pelvis
        tilted.append(replace(one, global_orient=orient.astype(np.float32), transl=transl.astype(np.float32)))
    return tilted


def estimated(bodies: Sequence[BodyParameters], body: BodyModel, evidence: GravityEvidence = NOTHING) -> Gravity:
    people = [person_of(body, one) for one in bodies]
    stances = stances_of(people, State.of(bodies), CAMERA, fitting_model()) if bodies else []
    return estimate(candidates(evidence, CAMERA), stances)


def posts(up: Floats) -> GravityEvidence:
    """Vertical posts, as a camera sees them in whose frame ``up`` is up."""
    tilt, segments = levelling(up).T, []
    for x in np.linspace(-1.4, 1.4, 9):
        ends = CAMERA.project(np.array([[x, -1.2, 4.0], [x, 1.0, 4.0]]) @ tilt.T)
        segments.append(ends.ravel())
    return GravityEvidence(np.array(segments, np.float32))


def test_of_nobody_nothing_is_known_but_that_cameras_are_level_or_look_down_a_little() -> None:
    gravity = estimate(candidates(NOTHING, CAMERA))
    pitch, roll = np.degrees(pitch_and_roll(np.array(gravity.up)))
    assert 0 <= pitch <= 8 and abs(roll) < 0.5
    assert gravity.confidence < 0.1 and gravity.sources == () and gravity.ground is None
    assert Gravity().confidence == 0 and np.isclose(PRIOR_ERROR, gravity.error, rtol=0.05)


@pytest.mark.parametrize("pitch", [-8, 4, 16])
def test_who_stands_says_where_down_is(pitch: float, body: BodyModel) -> None:
    up = up_of(np.radians(pitch), 0.0)
    one = seen_by([standing(global_orient=[np.pi, 0, 0])], up, body)
    alone = estimated(one, body)
    assert degrees_off(alone, up) < 0.6 * abs(pitch - 5) + 2
    assert alone.confidence > 0.25 and alone.sources == ("people",)
    many = [standing(global_orient=[np.pi, 0, 0], transl=[0.5 * i, -0.4, 3.4 + i % 2]) for i in range(-1, 3)]
    together = estimated(seen_by(many, up, body), body)
    assert degrees_off(together, up) < 4 and together.error < alone.error


def test_the_ground_is_under_the_feet_of_those_who_stand(body: BodyModel) -> None:
    up = up_of(np.radians(10), 0.0)
    level = standing(global_orient=[np.pi, 0, 0])
    soles = float(body.posed(level)[0][:, 1].max())
    jumping = standing(global_orient=[np.pi, 0, 0], transl=[-0.6, -0.65, 3.2])
    others = [replace(level, transl=level.transl + np.array([0.4 * i, 0, 0], np.float32)) for i in (1, 2)]
    gravity = estimated(seen_by([level, jumping, *others], up, body), body, GravityEvidence(up=tuple(up)))
    assert gravity.ground is not None and abs(gravity.ground - soles) < 0.03


def test_the_accelerometer_is_believed_whatever_the_tilt(body: BodyModel) -> None:
    up = up_of(np.radians(-28), np.radians(31))
    evidence = GravityEvidence(up=(float(up[0]), float(up[1]), float(up[2])))
    for bodies in ([], [standing()]):
        gravity = estimated(bodies, body, evidence)
        assert degrees_off(gravity, up) < 3 and gravity.confidence > 0.7
        assert gravity.sources[0] == "accelerometer"


@pytest.mark.parametrize("tilt", [(14, 0), (-9, 3), (2, -5)])
def test_posts_settle_the_tilt(tilt: tuple[float, float]) -> None:
    up = up_of(*np.radians(tilt))
    gravity = estimate(candidates(posts(up), CAMERA))
    assert degrees_off(gravity, up) < 1 and gravity.sources == ("lines",) and gravity.confidence > 0.5


def test_edges_that_do_not_agree_are_left_out() -> None:
    rng = np.random.default_rng(0)
    middle, length = rng.uniform((0, 0), (480, 640), (60, 2)), rng.uniform(20, 60, (60, 1))
    angle = rng.uniform(-0.5, 0.5, (60, 1))
    along = np.hstack([np.sin(angle), np.cos(angle)]) * length / 2
    edges = np.hstack([middle - along, middle + along]).astype(np.float32)
    gravity = estimate(candidates(GravityEvidence(edges), CAMERA))
    assert "lines" not in gravity.sources
    assert degrees_off(gravity, up_of(np.radians(5), 0.0)) < 1


def test_edges_at_one_side_that_leave_the_direction_open_are_left_out(body: BodyModel) -> None:
    """Shutters that are propped open lean alike: roll may be why, or pitch, and people must not choose between them."""
    segments = posts(up_of(*np.radians((-2, -4)))).segments
    right = segments[segments[:, 0] > 400]
    evidence = GravityEvidence(np.concatenate([right + [step, 0, step, 0] for step in (0, 6, 12)]).astype(np.float32))
    level = [standing(global_orient=[np.pi, 0, 0], transl=[0.5 * i, -0.4, 3.4]) for i in range(-1, 2)]
    assert estimated(level, body, evidence) == estimated(level, body)


def odd_poses() -> dict[str, BodyParameters]:
    bent = standing().body_pose.copy()
    bent[[0, 1], 0] = -1.5  # thighs
    bent[[3, 4], 0] = 1.5  # shins
    return {
        "on the hands": standing(global_orient=[0, 0, 0], transl=[0, 0.4, 3.2]),
        "from above": standing(global_orient=[np.pi / 2, 0, 0], transl=[0, 0, 4]),
        "on the back": standing(global_orient=[-np.pi / 2, 0, 0], transl=[0, 0, 4]),
        "seated": standing(body_pose=bent),
        "fallen over": standing(global_orient=(np.pi * np.array([1, 1, 0]) / np.sqrt(2)), transl=[0.4, 0, 3.6]),
        "cut at the waist": standing(transl=[0, 0.35, 1.2]),
    }


@pytest.mark.parametrize("pose", [name for name in odd_poses() if name != "seated"])
def test_whoever_is_upside_down_or_lies_leaves_the_camera_level(pose: str, body: BodyModel) -> None:
    gravity = estimated([odd_poses()[pose]], body)
    pitch, roll = np.degrees(pitch_and_roll(np.array(gravity.up)))
    assert abs(roll) < 3 and -5 < pitch < 15 and gravity.up[1] < -0.9
    assert gravity.confidence < 0.25


@pytest.mark.parametrize("pitch", [-6, 10])
def test_who_sits_with_the_soles_on_the_ground_says_something(pitch: float, body: BodyModel) -> None:
    up = up_of(np.radians(pitch), 0.0)
    bent = replace(odd_poses()["seated"], global_orient=np.array([np.pi, 0, 0], np.float32))
    gravity = estimated(seen_by([bent], up, body), body)
    assert degrees_off(gravity, up) < 0.6 * abs(pitch - 5)
    assert 0.2 < gravity.confidence < estimated(seen_by([standing()], up, body), body).confidence
    assert gravity.ground is None


def test_a_reflection_in_water_does_not_turn_the_scene_upside_down(body: BodyModel) -> None:
    above, below = standing(transl=[0, -0.6, 3.6]), replace(odd_poses()["on the hands"], transl=np.array([0, 1.2, 3.6]))
    alone, both = estimated([above], body), estimated([above, below], body)
    assert np.allclose(both.up, alone.up, atol=1e-6) and both.ground == pytest.approx(alone.ground)


@pytest.mark.parametrize("roll", [-20, 12])
def test_a_tilted_photo_whose_accelerometer_tells_is_level(roll: float, body: BodyModel) -> None:
    up = up_of(np.radians(3), np.radians(roll))
    (one,) = seen_by([standing(global_orient=[np.pi, 0, 0])], up, body)
    gravity = estimated([one], body, GravityEvidence(up=(float(up[0]), float(up[1]), float(up[2]))))
    assert degrees_off(gravity, up) < 2 and gravity.sources[0] == "accelerometer"
