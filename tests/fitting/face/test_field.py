"""The head moves with the landmarks of its face."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from uvatar.body import BODY, LEFT_EYE, RIGHT_EYE, BodyModel
from uvatar.fitting.face.field import DEFAULT_SETTINGS, MIRRORED, FaceField


def offsets_of(field: FaceField, body: BodyModel, moves: NDArray[np.float64]) -> NDArray[np.float32]:
    offsets = np.zeros_like(body.data.v_template)
    offsets[field.vertices] = field.offsets(moves)
    return offsets


def distances(field: FaceField, body: BodyModel) -> NDArray[np.float64]:
    return cKDTree(field.points.at(body.data.v_template)).query(body.data.v_template)[0]


def test_a_symmetric_move_leaves_the_head_symmetric(field: FaceField, body: BodyModel) -> None:
    moves = np.random.default_rng(0).normal(0, 0.005, (len(field.partners), 3))
    moves = (moves + moves[field.partners] * MIRRORED) / 2
    offsets = offsets_of(field, body, moves)
    assert np.abs(offsets - offsets[body.data.mirror] * MIRRORED).max() < 1e-5


def test_partners_are_mirror_images(field: FaceField, body: BodyModel) -> None:
    points = field.points.at(body.data.v_template)
    assert np.array_equal(field.partners[field.partners], np.arange(len(points)))
    assert np.abs(points[field.partners] - points * MIRRORED).max() < 0.004


def test_near_the_landmarks_the_move_is_full_and_far_away_there_is_none(field: FaceField, body: BodyModel) -> None:
    offsets = offsets_of(field, body, np.tile([0.003, 0.002, 0.001], (len(field.partners), 1)))
    full, none = DEFAULT_SETTINGS.fade
    away = distances(field, body)
    assert np.allclose(offsets[(away < full) | (body.data.part != BODY)], [0.003, 0.002, 0.001], atol=1e-5)
    assert not offsets[away > none].any()
    below_the_chin = body.data.v_template[:, 1] < 0.15
    assert not offsets[below_the_chin].any()


def test_landmarks_come_to_where_they_are_sent(field: FaceField, body: BodyModel) -> None:
    points = field.points.at(body.data.v_template)
    moves = 0.05 * (points - points.mean(0))
    found = field.points.at(offsets_of(field, body, moves))
    assert np.linalg.norm(found - moves, axis=1).mean() < 0.0002


@pytest.mark.parametrize("eye", [LEFT_EYE, RIGHT_EYE])
def test_eyeballs_move_as_a_whole(field: FaceField, body: BodyModel, eye: int) -> None:
    moves = np.random.default_rng(1).normal(0, 0.005, (len(field.partners), 3))
    offsets = offsets_of(field, body, moves)[body.data.part == eye]
    assert np.ptp(offsets, axis=0).max() < 1e-6
    assert np.abs(offsets).max() > 1e-4
