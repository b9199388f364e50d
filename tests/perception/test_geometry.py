"""Regions, crops and overlaps."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvatar.perception.geometry import Pyramid, Roi, box_iou, landmark_similarity

finite = st.floats(-500, 500)


@given(
    finite,
    finite,
    st.floats(10, 900),
    st.floats(-4, 4),
    st.booleans(),
    st.lists(st.tuples(finite, finite), min_size=1, max_size=5),
)
def test_region_maps_there_and_back(
    x: float, y: float, size: float, angle: float, mirrored: bool, points: list[tuple[float, float]]
) -> None:
    roi = Roi(x, y, size, angle, mirrored)
    photo = np.array(points)
    assert np.allclose(roi.to_photo(roi.to_crop(photo, 256), 256), photo, atol=1e-6)
    crop = np.array([[0.0, 0.0], [256.0, 100.0]])
    by_matrix = crop @ roi.matrix(256)[:, :2].T + roi.matrix(256)[:, 2]
    assert np.allclose(by_matrix, roi.to_photo(crop, 256), atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.0])
@pytest.mark.parametrize("size", [100.0, 900.0])
def test_crop_shows_the_region(angle: float, size: float) -> None:
    # a picture whose colour is its position, so that every pixel of a crop says where it is from
    rows, columns = np.mgrid[0:1200, 0:1600] + 0.5
    picture = np.stack([columns * 255 / 1600, rows * 255 / 1200, np.zeros_like(rows)], -1).astype(np.uint8)
    roi = Roi(800, 600, size, angle)
    crop = Pyramid(picture).crop(roi, 64).astype(float)
    u, v = np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5)
    expected = roi.to_photo(np.stack([u, v], -1), 64) * [255 / 1600, 255 / 1200]
    assert np.abs(crop[..., :2] - expected).mean() < 1.2


def test_far_reduction_does_not_alias() -> None:
    checkers = (np.indices((1024, 1024)).sum(0) % 2 * 255).astype(np.uint8)
    crop = Pyramid(np.repeat(checkers[..., None], 3, -1)).crop(Roi(512, 512, 1000), 32)
    assert np.abs(crop[2:-2, 2:-2].astype(int) - 127).max() < 12


def test_mirrored_crop_is_the_flipped_crop() -> None:
    picture = np.random.default_rng(1).integers(0, 255, (300, 300, 3), np.uint8)
    roi = Roi(150, 150, 200, 0.4)
    difference = cv2.absdiff(Pyramid(picture).crop(roi.flipped(), 64), Pyramid(picture).crop(roi, 64)[:, ::-1])
    assert difference.max() <= 6


def test_box_overlap() -> None:
    a = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], float)
    b = np.array([[5, 0, 15, 10]], float)
    assert box_iou(a, b)[:, 0] == pytest.approx([1 / 3, 0])


def test_landmark_similarity_falls_with_distance() -> None:
    points, weights = np.random.default_rng(0).uniform(0, 100, (33, 2)), np.ones(33)
    values = [landmark_similarity(points, points + [shift, 0], 100, weights) for shift in (0, 5, 20, 100)]
    assert values[0] == 1 and values == sorted(values, reverse=True) and values[-1] < 0.01
