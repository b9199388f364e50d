"""Heads whose form is known, and the errors of those that are made of their photos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from uvatar.body import BodyModel, load_open_body
from uvatar.data.fit import Fit
from uvatar.data.joints import Joint
from uvatar.evaluation.faces import BESIDE, face_errors
from uvatar.evaluation.head_forms import FACE_PIXELS, FaceSitter, HeadForms, random_face_sitter
from uvatar.fitting.face.field import FaceField
from uvatar.runtime.weights import weights_folder


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


@pytest.fixture(scope="module")
def field(body: BodyModel) -> FaceField:
    field = FaceField.load(weights_folder(), body)
    assert field is not None
    return field


@pytest.fixture(scope="module")
def sitter(body: BodyModel) -> FaceSitter:
    return random_face_sitter(0.0, 1.0, HeadForms.load(), body, np.random.default_rng(3))


def fit_of(sitter: FaceSitter) -> Fit:
    return Fit(sitter.body, sitter.offsets, 0.0, 0.0, 1.0)


def test_heads_are_symmetric_and_only_heads(body: BodyModel) -> None:
    offsets = HeadForms.load().draw(len(body.data.v_template), 1.0, np.random.default_rng(0))
    assert np.abs(offsets - offsets[body.data.mirror] * [-1, 1, 1]).max() < 2e-4
    assert np.abs(offsets[body.data.v_template[:, 1] < 0.05]).max() < 1e-4
    assert 0.003 < np.linalg.norm(offsets, axis=1).max() < 0.05


def test_heads_differ_from_each_other(body: BodyModel) -> None:
    forms, count = HeadForms.load(), len(body.data.v_template)
    one, other = (forms.draw(count, 0.0, np.random.default_rng(seed)) for seed in (1, 2))
    assert np.linalg.norm(one - other, axis=1).max() > 0.003


@pytest.mark.parametrize("yaw", [0.0, 33.0])
def test_a_face_has_the_wanted_size_and_is_inside_the_picture(body: BodyModel, field: FaceField, yaw: float) -> None:
    sitter = random_face_sitter(yaw, 0.0, HeadForms.load(), body, np.random.default_rng(4))
    vertices, _ = body.posed(sitter.body, sitter.offsets)
    pixels = sitter.camera.project(field.points.at(vertices))
    assert 0.6 * FACE_PIXELS[0] < np.ptp(pixels[:, 0]) < 1.1 * FACE_PIXELS[1]
    assert (pixels > 0).all() and (pixels < [sitter.camera.width, sitter.camera.height]).all()


def test_the_truth_has_no_errors(sitter: FaceSitter, body: BodyModel, field: FaceField) -> None:
    errors = face_errors(sitter, fit_of(sitter), sitter.camera, body, field)
    assert errors.picture < 1e-3 and max(errors.beside) < 1e-3


def test_size_and_place_are_judged_in_the_picture_alone(sitter: FaceSitter, body: BodyModel, field: FaceField) -> None:
    rest = body.data.v_template + body.data.shapedirs @ sitter.body.betas + sitter.offsets
    head = body.data.weights[:, Joint.HEAD, None] > 0.5
    larger = replace(fit_of(sitter), offsets=sitter.offsets + np.float32(0.05) * head * rest)
    errors = face_errors(sitter, larger, sitter.camera, body, field)
    assert errors.picture > 5
    assert max(errors.beside) < 0.05


def test_an_error_in_depth_shows_from_beside(sitter: FaceSitter, body: BodyModel, field: FaceField) -> None:
    nose = field.points.at(body.data.v_template)[1]
    bump = np.zeros_like(sitter.offsets)
    bump[:, 2] = 0.01 * np.exp(-(((body.data.v_template - nose) / 0.02) ** 2).sum(1))
    wrong = replace(fit_of(sitter), offsets=sitter.offsets + bump)
    front, third, half = face_errors(sitter, wrong, sitter.camera, body, field).beside
    assert BESIDE == (0, 30, 55)
    assert front < third < half
