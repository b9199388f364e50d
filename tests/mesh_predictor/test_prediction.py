"""Predicted people: whose they are in the photo, the starts they give, and the bodies they are before a pinhole
camera.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from photographed import CAMERA, body_at, person_of, photo_of
from scipy.spatial.transform import Rotation

from uvatar.body import BodyModel, load_open_body
from uvatar.mesh_predictor.networks.deployed import on_torch
from uvatar.mesh_predictor.networks.efficientnet_lite import LightBackbone
from uvatar.mesh_predictor.networks.network import MeshPredictor
from uvatar.mesh_predictor.prediction import OPEN_BODY, SMPL, Prediction, fit_as_predicted, match_people, torso_centers
from uvatar.mesh_predictor.predictor import Predictor
from uvatar.mesh_predictor.weak_perspective import PaddedSquare, fit_weak_camera
from uvatar_training.networks.initialise import start_heads


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_open_body()


def prediction(centers: list[tuple[float, float]], **fields: NDArray[Any]) -> Prediction:
    count = len(centers)
    plain: dict[str, Any] = {
        "score": np.linspace(0.9, 0.3, count).astype(np.float32),
        "center": np.array(centers, np.float32).reshape(-1, 2),
        "camera": np.tile(np.array([0.6, 0, 0], np.float32), (count, 1)),
        "pose": np.tile(np.eye(3, dtype=np.float32), (count, 24, 1, 1)),
        "betas": np.zeros((count, 10), np.float32),
    }
    return Prediction(
        **{**plain, **fields}, betas_of=OPEN_BODY, square=PaddedSquare.around(CAMERA.width, CAMERA.height)
    )


def test_each_person_gets_the_prediction_at_its_torso_and_strangers_get_none(body: BodyModel) -> None:
    people = [person_of(body_at(x, seed), body) for seed, x in enumerate((-1.0, 0.0, 1.0))]
    torsos = torso_centers(people)
    found = prediction([tuple(torsos[2] + 3), (20.0, 20.0), tuple(torsos[0] - 4)])
    assert match_people(found, people).tolist() == [2, -1, 0]
    assert match_people(prediction([]), people).tolist() == [-1, -1, -1]
    assert match_people(found, []).shape == (0,)


def test_a_prediction_between_two_people_is_one_of_them_only(body: BodyModel) -> None:
    people = [person_of(body_at(x, 1), body) for x in (-0.2, 0.2)]
    torsos = torso_centers(people)
    matches = match_people(prediction([tuple(torsos[0] * 0.4 + torsos[1] * 0.6)]), people)
    assert matches.tolist() == [-1, 0]
    both = match_people(
        prediction([tuple(torsos[0] * 0.4 + torsos[1] * 0.6), tuple(torsos[0] * 0.9 + torsos[1] * 0.1)]), people
    )
    assert both.tolist() == [1, 0]


def test_torso_is_taken_from_the_visible_landmarks(body: BodyModel) -> None:
    person = person_of(body_at(0, 2), body)
    landmarks = person.landmarks.copy()
    landmarks[[23, 24], 2] = 0.1
    landmarks[[23, 24], :2] = 1e6
    expected = landmarks[[11, 12], :2].mean(0)
    np.testing.assert_allclose(torso_centers([replace(person, landmarks=landmarks)])[0], expected, rtol=1e-5)


def test_starts_carry_the_pose_in_the_fitting_s_terms(body: BodyModel) -> None:
    truth = body_at(0.3, 3)
    vectors = np.concatenate([truth.global_orient[None], truth.body_pose])
    matrices = Rotation.from_rotvec(vectors).as_matrix().astype(np.float32)[None]
    start = prediction([(0, 0)], pose=matrices).starts()[0]
    assert start.name == "mesh_predictor"
    np.testing.assert_allclose(start.orient, matrices[0, 0], atol=1e-6)
    np.testing.assert_allclose(start.pose, truth.body_pose[:21], atol=1e-5)


def test_bodies_stand_where_the_weak_perspective_camera_sees_them(body: BodyModel) -> None:
    truth = body_at(0.5, 4)
    joints = body.posed(truth)[1]
    square = PaddedSquare.around(CAMERA.width, CAMERA.height)
    seen = square.to_normalised(CAMERA.project(joints).astype(np.float32))[None]
    camera = fit_weak_camera((joints - truth.transl)[None], seen, np.ones((1, 24), bool)).astype(np.float32)
    vectors = np.concatenate([truth.global_orient[None], truth.body_pose])
    matrices = Rotation.from_rotvec(vectors).as_matrix().astype(np.float32)[None]
    guess = prediction([(0, 0)], pose=matrices, camera=camera, betas=truth.betas[None])
    placed = guess.bodies(body, CAMERA)[0]
    np.testing.assert_allclose(placed.transl, truth.transl, atol=0.03)
    np.testing.assert_allclose(placed.body_pose, truth.body_pose, atol=1e-5)
    np.testing.assert_allclose(placed.betas, truth.betas)
    # SMPL's betas mean nothing to the open body.
    assert not replace(guess, betas_of=SMPL).bodies(body, CAMERA)[0].betas.any()
    fit = fit_as_predicted(placed, person_of(truth, body), body, CAMERA)
    assert (
        fit.start == "mesh_predictor"
        and fit.landmark_error_p95 < 0.02
        and fit.confidence > 0.9
        and not fit.offsets.any()
    )
    wrong = fit_as_predicted(
        replace(placed, transl=placed.transl + np.array([1, 0, 0], np.float32)), person_of(truth, body), body, CAMERA
    )
    assert wrong.landmark_error_median > 0.2 and wrong.confidence < 0.1
    behind = replace(placed, transl=np.array([0, 0, -4], np.float32))
    assert np.isfinite(fit_as_predicted(behind, person_of(truth, body), body, CAMERA).landmark_error_p95)


def test_a_root_aligned_body_is_seen_with_its_hips_where_the_camera_has_the_origin(body: BodyModel) -> None:
    """root_align of ROMP's public training code: what is projected is the body less the middle of its hips."""
    truth = body_at(0.0, 4)
    matrices = (
        Rotation.from_rotvec(np.concatenate([truth.global_orient[None], truth.body_pose]))
        .as_matrix()
        .astype(np.float32)[None]
    )
    camera = np.array([[0.5, 0.1, -0.2]], np.float32)
    guess = replace(prediction([(0, 0)], pose=matrices, camera=camera, betas=truth.betas[None]), root_aligned=True)
    joints = body.posed(guess.rows([0]).bodies(body, CAMERA)[0])[1]
    origin = joints[1:3].mean(0)
    expected = ((joints - origin)[:, :2] * 0.5 + [0.1, -0.2] + 1) * 320 - [0, 80]
    assert np.linalg.norm(CAMERA.project(joints) - expected, axis=-1).mean() < 4
    plain = body.posed(replace(guess, root_aligned=False).bodies(body, CAMERA)[0])[1]
    assert np.linalg.norm(CAMERA.project(plain) - expected, axis=-1).mean() > 10


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    """As training starts: at every place a standing person, and nobody."""
    torch.manual_seed(0)
    network = MeshPredictor(LightBackbone()).eval()
    start_heads(network)
    return Predictor(on_torch(network), "light", OPEN_BODY, "Apache-2.0")


def test_people_whom_the_heatmap_missed_are_sampled_at_their_torso(predictor: Predictor, body: BodyModel) -> None:
    bodies = [body_at(-0.7, 5), body_at(0.7, 6)]
    look = predictor.look(photo_of(bodies, body))
    people = [person_of(parameters, body) for parameters in bodies]
    assert len(look.found) == 0  # heads that have learnt nothing see nobody
    sampled = look.of(people)
    assert len(sampled) == 2
    # The cell that holds the torso: centre and torso are at most a cell apart.
    assert np.abs(sampled.center - torso_centers(people)).max() <= 640 / 64
    places = [int(y) * 64 + int(x) for x, y in (sampled.center + [0, 80] + 1e-3) / 10]
    np.testing.assert_allclose(sampled.score, look.maps.center.ravel()[places])
    np.testing.assert_allclose(sampled.pose[:, 0], np.tile(np.diag([1, -1, -1]), (2, 1, 1)), atol=0.1)


def test_found_people_win_over_sampled_places(predictor: Predictor, body: BodyModel) -> None:
    person = person_of(body_at(0, 7), body)
    look = predictor.look(photo_of([body_at(0, 7)], body))
    marked = prediction([tuple(torso_centers([person])[0] + 5)], betas=np.full((1, 10), 7, np.float32))
    assert replace(look, found=marked).of([person]).betas[0, 0] == 7


def test_a_photo_under_32_pixels_is_refused(predictor: Predictor) -> None:
    with pytest.raises(ValueError, match="at least 32 pixels"):
        predictor.look(np.zeros((31, 64, 3), np.uint8))
