"""The statistics of colours near an outline, against all pixels of a square taken one by one."""

from __future__ import annotations

import cv2
import numpy as np

from uvatar.photos.matting import _moments, _statistics, sharpened


def test_statistics_are_those_of_the_pixels_of_one_side_around() -> None:
    rng = np.random.default_rng(0)
    guide = rng.random((40, 50, 3)).astype(np.float32)
    side = rng.random((40, 50)) < 0.6
    at = np.zeros((40, 50), bool)
    at[[12, 20, 25], [15, 30, 33]] = True
    share, mean, covariance = _statistics(_moments(guide), side, at, 5)
    for number, (row, column) in enumerate(np.argwhere(at)):
        square = slice(row - 5, row + 6), slice(column - 5, column + 6)
        colours = guide[square][side[square]]
        assert np.isclose(share[number], side[square].mean())
        assert np.allclose(mean[number], colours.mean(0), atol=1e-5)
        assert np.allclose(covariance[number], np.cov(colours.T, bias=True), atol=1e-5)


def test_a_blurred_outline_becomes_sharp_where_the_colours_part() -> None:
    row, column = np.indices((80, 80))
    inside = (np.hypot(row - 40, column - 40) < 22).astype(np.float32)
    guide = np.where(inside[..., None] > 0, np.array([0.8, 0.3, 0.2]), np.array([0.2, 0.4, 0.7]))
    guide = guide + np.random.default_rng(0).normal(0, 0.02, guide.shape).astype(np.float32)
    blurred = np.asarray(cv2.GaussianBlur(inside, (0, 0), 1.5), np.float32)
    found = sharpened(guide.astype(np.float32), blurred)
    assert np.abs(found - inside).mean() < 0.4 * np.abs(blurred - inside).mean()
