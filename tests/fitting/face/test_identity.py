"""The form of a head follows from the landmarks of photos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fitting.face.faces import CAMERA, seen, standing
from uvatar.body import LEFT_EYE, RIGHT_EYE, BodyModel
from uvatar.data.joints import Joint
from uvatar.fitting.face.field import MIRRORED, FaceField
from uvatar.fitting.face.identity import face_evidence, face_form, with_face
from uvatar.fitting.face.settings import DEFAULT_SETTINGS
from uvatar.geometry import rotations
from uvatar.geometry.mesh import vertex_normals


def long_face(field: FaceField, body: BodyModel) -> NDArray[np.float64]:
    """(K, 3) moves of the landmarks to a face that is longer, narrower and flatter; no rotation, size or shift."""
    points = field.points.at(body.data.v_template).astype(np.float64)
    moves = (points - points.mean(0)) * [-0.05, 0.06, -0.06]
    return moves


def in_front(field: FaceField, body: BodyModel) -> NDArray[np.bool_]:
    """(K,) the landmarks that a camera before the face sees."""
    return field.points.at(vertex_normals(body.data.v_template, body.data.faces))[:, 2] > 0.6


@pytest.mark.parametrize("turn", [0, 30, -30])
def test_a_face_like_the_bodys_own_is_left_alone(field: FaceField, body: BodyModel, turn: float) -> None:
    fit = standing(body, turn)
    evidence = face_evidence(fit, seen(fit, body, field), CAMERA, body, field)
    assert evidence is not None
    assert np.linalg.norm(face_form([evidence], field), axis=1).max() < 0.0005
    assert evidence.head.scale == pytest.approx(1, abs=0.005)


@pytest.mark.parametrize("turn", [0, 30])
def test_a_head_that_the_fit_turned_wrongly_is_turned_not_sheared(
    field: FaceField, body: BodyModel, turn: float
) -> None:
    truth, fit = standing(body, turn), standing(body, turn + 8, 6)
    evidence = face_evidence(fit, seen(truth, body, field), CAMERA, body, field)
    assert evidence is not None
    form = face_form([evidence], field)
    assert np.linalg.norm(form, axis=1).max() < 0.001
    made = with_face(fit, evidence, form, evidence.head.scale, body, field)
    true_head = rotations.exp(truth.body.global_orient.astype(float))
    off = rotations.log(true_head.T @ evidence.head.rotation)
    assert np.degrees(np.linalg.norm(off)) < 1
    pixels = CAMERA.project(field.points.at(body.posed(made.body, made.offsets)[0]))
    face = seen(truth, body, field).face
    assert face is not None and np.abs(pixels - face[field.points.index]).mean() < 1.5


@pytest.mark.parametrize("turn", [0, 25])
def test_the_form_is_found_and_is_symmetric(field: FaceField, body: BodyModel, turn: float) -> None:
    fit, true = standing(body, turn), long_face(field, body)
    evidence = face_evidence(fit, seen(fit, body, field, true), CAMERA, body, field)
    assert evidence is not None
    form = face_form([evidence], field)
    assert np.abs(form - form[field.partners] * MIRRORED).max() < 1e-9
    front = in_front(field, body)
    # what is left of the difference between the faces, laid on each other
    wrong = (form - true) - (form - true)[front].mean(0)
    assert np.linalg.norm(wrong[front], axis=1).mean() < 0.6 * np.linalg.norm(true[front], axis=1).mean()


def test_the_other_half_of_a_turned_face_follows_the_seen_one(field: FaceField, body: BodyModel) -> None:
    fit = standing(body, 40)
    wide = np.abs(field.points.at(body.data.v_template)[:, :1]) * np.sign(field.points.at(body.data.v_template)[:, :1])
    true = np.concatenate([0.06 * wide, np.zeros((len(wide), 2))], 1)
    evidence = face_evidence(fit, seen(fit, body, field, true), CAMERA, body, field)
    assert evidence is not None
    form = face_form([evidence], field)
    assert np.abs(form[:, 0] + form[field.partners, 0]).max() < 1e-9


def test_a_second_photo_tells_more_of_the_depth(field: FaceField, body: BodyModel) -> None:
    points = field.points.at(body.data.v_template).astype(np.float64)
    true = np.zeros_like(points)
    true[:, 2] = 0.008 * np.exp(-(((points[:, :2] - points[1, :2]) / 0.015) ** 2).sum(1))  # a longer nose

    def nose(turns: list[float]) -> float:
        evidence = []
        for turn in turns:
            fit = standing(body, turn)
            person = replace(seen(fit, body, field, true), face_depth=seen(fit, body, field).face_depth)
            evidence.append(face_evidence(fit, person, CAMERA, body, field))
        return float(face_form([one for one in evidence if one is not None], field)[1, 2])

    assert nose([0.0]) < 0.25 * true[1, 2]
    assert nose([0.0, 35.0]) > 2 * max(nose([0.0]), 0.0005)


def test_the_depth_of_a_nose_is_believed_less_than_that_of_a_forehead(field: FaceField, body: BodyModel) -> None:
    fit = standing(body)
    points = field.points.at(body.data.v_template).astype(np.float64)

    def gained(landmark: int) -> float:
        true = np.zeros_like(points)
        true[:, 2] = 0.006 * np.exp(-(((points - points[landmark]) / 0.015) ** 2).sum(1))
        person = replace(seen(fit, body, field), face_depth=seen(fit, body, field, true).face_depth)
        evidence = face_evidence(fit, person, CAMERA, body, field)
        assert evidence is not None
        return float(face_form([evidence], field)[landmark, 2])

    tip, forehead = 1, 151
    assert gained(tip) < 0.7 * gained(forehead)


def test_no_landmark_moves_further_than_the_limit(field: FaceField, body: BodyModel) -> None:
    fit = standing(body)
    person = seen(fit, body, field)
    assert person.face is not None
    person.face[1] += 100  # the tip of the nose, 13 cm away
    evidence = face_evidence(fit, person, CAMERA, body, field)
    assert evidence is not None
    assert np.linalg.norm(face_form([evidence], field), axis=1).max() <= DEFAULT_SETTINGS.largest_move + 1e-9


def test_a_larger_head_grows_as_a_whole(field: FaceField, body: BodyModel) -> None:
    fit = standing(body)
    evidence = face_evidence(fit, seen(fit, body, field, scale=1.06), CAMERA, body, field)
    assert evidence is not None
    assert evidence.head.scale == pytest.approx(1.06, abs=0.01)
    made = with_face(fit, evidence, face_form([evidence], field), evidence.head.scale, body, field)
    rest = body.data.v_template + made.offsets
    for eye in (LEFT_EYE, RIGHT_EYE):
        before, after = (v[body.data.part == eye] for v in (body.data.v_template, rest))
        radii = [np.linalg.norm(ball - ball.mean(0), axis=1) for ball in (before, after)]
        assert np.ptp(radii[1] / radii[0]) < 1e-3, "eyes stay round"
    skull = body.data.weights[:, Joint.HEAD] > 0.999
    top = np.argmax(body.data.v_template[:, 1] * skull)
    assert made.offsets[top, 1] > 0.005
    assert not made.offsets[body.data.weights[:, Joint.HEAD] == 0].any()


@pytest.mark.parametrize("wrong", ["no face", "no depth", "turned away", "far away", "tiny", "upside down"])
def test_a_face_that_cannot_be_this_one_says_nothing(field: FaceField, body: BodyModel, wrong: str) -> None:
    fit = standing(body, 75 if wrong == "turned away" else 0)
    person = seen(fit, body, field)
    assert person.face is not None
    middle = person.face[field.points.index].mean(0)
    changed = {
        "no face": replace(person, face=None, face_depth=None),
        "no depth": replace(person, face_depth=None),
        "far away": replace(person, face=person.face + np.float32(300)),
        "tiny": replace(person, face=(person.face - middle) * np.float32(0.3) + middle),
        "upside down": replace(person, face=(person.face - middle) * np.float32(-1) + middle),
    }.get(wrong, person)
    assert face_evidence(fit, changed, CAMERA, body, field) is None
