"""Decoding, rotations and cameras against float64 formulas, one test per trap of the published code."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.data.camera import Camera
from uvatar.mesh_predictor.decoding import centers_at, find_centers, matrices_from_6d, sample
from uvatar.mesh_predictor.maps import Maps
from uvatar.mesh_predictor.weak_perspective import PaddedSquare, network_input, project_weakly, translation


def test_identity_is_the_3x2_layout() -> None:
    np.testing.assert_allclose(matrices_from_6d(np.array([1.0, 0, 0, 1, 0, 0], np.float32)), np.eye(3))


def test_6d_is_gram_schmidt_on_the_columns_of_a_row_major_3x2_matrix() -> None:
    values = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    expected = []
    for six in values.astype(float):
        a, b = six.reshape(3, 2).T
        a = a / np.linalg.norm(a)
        b = b - a.dot(b) * a
        b = b / np.linalg.norm(b)
        expected.append(np.stack([a, b, np.cross(a, b)], 1))
    np.testing.assert_allclose(matrices_from_6d(values), np.stack(expected), atol=1e-5)


def heatmap(*peaks: tuple[int, int, float]) -> NDArray[np.float32]:
    center = np.zeros((1, 1, 64, 64), np.float32)
    for x, y, score in peaks:
        center[0, 0, y, x] = score
    return center


def test_centers_are_raw_values_above_the_threshold_best_first() -> None:
    found = find_centers(heatmap((10, 20, 0.3), (40, 5, 3.0), (50, 50, 0.2)))
    # 3.0 stays 3.0: there is no sigmoid on the map; 0.2 is below 0.25.
    np.testing.assert_allclose(found.score, [3.0, 0.3])
    assert found.xy.tolist() == [[40, 5], [10, 20]]


def test_a_lower_peak_two_cells_away_is_suppressed_and_three_cells_away_is_not() -> None:
    assert find_centers(heatmap((30, 30, 0.9), (32, 30, 0.8))).xy.tolist() == [[30, 30]]
    assert len(find_centers(heatmap((30, 30, 0.9), (33, 30, 0.8))).score) == 2


def test_batch_keeps_people_with_their_picture_and_an_empty_picture_gives_nobody() -> None:
    center = np.concatenate([heatmap((3, 4, 0.5)), heatmap(), heatmap((60, 61, 0.7), (7, 8, 0.4))])
    found = find_centers(center)
    assert found.picture.tolist() == [0, 2, 2]
    assert len(find_centers(heatmap()).score) == 0


def test_sampled_parameters_are_the_cell_s_with_exponential_scale_applied_once() -> None:
    rng = np.random.default_rng(4)
    camera, smpl = (rng.normal(size=(1, count, 64, 64)).astype(np.float32) for count in (3, 142))
    maps = Maps(heatmap((11, 22, 0.9)), camera, smpl)
    bodies = sample(maps, find_centers(maps.center))
    cell, raw = maps.smpl[0, :, 22, 11], maps.camera[0, :, 22, 11].astype(float)
    np.testing.assert_allclose(bodies.camera[0], [1.1 ** raw[0], raw[1], raw[2]], rtol=1e-6)
    np.testing.assert_array_equal(bodies.betas[0], cell[132:])
    np.testing.assert_allclose(bodies.pose[0, 0], matrices_from_6d(cell[:6]), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(bodies.pose[0, 21], matrices_from_6d(cell[126:132]), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(bodies.pose[0, 22:], np.tile(np.eye(3), (2, 1, 1)))  # hands are not predicted


def test_sampling_at_given_places_reads_the_cell_that_holds_them() -> None:
    center = np.arange(64 * 64, dtype=np.float32).reshape(1, 1, 64, 64)
    places = np.array([[-1.0, -1.0], [0.999, 0.999], [1.0, 1.0], [0.0, 0.5]], np.float32)
    given = centers_at(center, np.zeros(4, int), places)
    assert given.xy.tolist() == [[0, 0], [63, 63], [63, 63], [32, 48]]
    np.testing.assert_array_equal(given.score, center.ravel()[given.place])


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (333, 512), (512, 512)])
def test_padding_is_centred_and_undone(width: int, height: int) -> None:
    square = PaddedSquare.around(width, height)
    side = max(width, height)
    assert (square.side, square.top, square.left) == (side, (side - height) // 2, (side - width) // 2)
    pixels = np.array([[0.0, 0.0], [width, height], [width / 3, height / 7]], np.float32)
    normalised = square.to_normalised(pixels)
    np.testing.assert_allclose(square.to_pixels(normalised), pixels, rtol=1e-5, atol=1e-3)
    # u = (x + 1) S / 2 - left, as published
    np.testing.assert_allclose((normalised[2, 0] + 1) * side / 2 - square.left, width / 3, rtol=1e-5)


def test_input_is_rgb_padded_black() -> None:
    photo = np.zeros((256, 512, 3), np.uint8)
    photo[...] = (255, 128, 0)
    image, _ = network_input(photo)
    assert image.shape == (1, 3, 512, 512)
    np.testing.assert_allclose(image[0, :, 256, 256], [1, 128 / 255, 0], atol=1e-6)
    assert np.abs(image[0, :, 10]).max() == 0


def test_a_tiny_photo_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        network_input(np.zeros((20, 100, 3), np.uint8))


def test_translation_reproduces_the_weak_perspective_projection() -> None:
    rng = np.random.default_rng(5)
    joints = rng.normal(0, [0.25, 0.5, 0.12], (3, 24, 3))
    camera = np.array([[0.3, 0.1, -0.2], [0.9, -0.3, 0.05], [0.15, 0.6, 0.4]])
    square = PaddedSquare.around(640, 480)
    pinhole = Camera(np.sqrt(3) / 2 * 640, (320, 240), 640, 480)  # the published 60 degrees across the padded square
    moved = translation(joints, camera, square, pinhole)
    closed_form = np.stack([camera[:, 1] / camera[:, 0], camera[:, 2] / camera[:, 0], np.sqrt(3) / camera[:, 0]], -1)
    np.testing.assert_allclose(moved, closed_form, rtol=0.06, atol=0.06)
    seen = pinhole.project(joints + moved[:, None])
    wanted = square.to_pixels(project_weakly(joints, camera))
    assert np.abs(seen - wanted).mean() < 0.02 * 640
    # The least-squares solution is a stationary point of the linear residual.
    target = (wanted - np.array([320, 240])) / pinhole.focal
    placed = joints + moved[:, None]
    residual = placed[..., :2] - target * placed[..., 2:]
    np.testing.assert_allclose(residual.sum(1), 0, atol=1e-9)
    np.testing.assert_allclose((residual * target).sum((1, 2)), 0, atol=1e-9)
