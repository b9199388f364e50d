"""Metrics against values worked out by hand, and against the ways in which a metric flatters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.evaluation.metrics import (
    flat_colour_psnr,
    landmark_error,
    masked_ssim,
    missing_as_grey,
    psnr,
    spoilt_shares,
)
from uvatar.geometry.masks import mask_iou


@pytest.fixture
def person() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A noisy picture and the mask of a person that fills a quarter of it."""
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[16:48, 16:48] = True
    return picture, mask


def test_psnr_is_taken_inside_the_mask_only(person: tuple[NDArray[np.uint8], NDArray[np.bool_]]) -> None:
    picture, mask = person
    other = picture.copy()
    other[~mask] = 0
    assert psnr(other, picture, mask) == 99.0
    shifted = np.clip(picture.astype(int), 10, 245)
    assert psnr(shifted + 10, shifted, mask) == pytest.approx(20 * np.log10(255 / 10))


def test_flat_colour_baseline_is_the_psnr_of_the_mean_colour(
    person: tuple[NDArray[np.uint8], NDArray[np.bool_]],
) -> None:
    picture, mask = person
    flat = np.broadcast_to(picture[mask].mean(0), picture.shape)
    assert flat_colour_psnr(picture, mask) == pytest.approx(psnr(flat, picture, mask))


def test_missing_pixels_count_as_grey(person: tuple[NDArray[np.uint8], NDArray[np.bool_]]) -> None:
    picture, mask = person
    drawn = mask.copy()
    drawn[:32] = False
    seen = missing_as_grey(picture, drawn)
    expected = 10 * np.log10(255**2 / (np.mean((picture[mask & ~drawn].astype(float) - 128) ** 2) / 2))
    assert psnr(seen, picture, mask) == pytest.approx(expected)


def test_empty_masks_give_nan(person: tuple[NDArray[np.uint8], NDArray[np.bool_]]) -> None:
    picture, mask = person
    nothing = np.zeros_like(mask)
    assert np.isnan(
        [psnr(picture, picture, nothing), flat_colour_psnr(picture, nothing), masked_ssim(picture, picture, nothing)]
    ).all()
    assert np.isnan(mask_iou(nothing, nothing))


def test_mask_iou_ignores_unknown_pixels() -> None:
    a, b, known = np.zeros((3, 4, 4), bool)
    a[:, :2], b[:, 1:3], known[:2] = True, True, True
    assert mask_iou(a, b) == pytest.approx(1 / 3)
    b[2:] = False
    assert mask_iou(a, b, known) == pytest.approx(1 / 3)


def test_masked_ssim_equals_the_formula_window_by_window() -> None:
    rng = np.random.default_rng(2)
    x = rng.integers(0, 256, (20, 18, 3), dtype=np.uint8)
    y = np.clip(x.astype(int) + rng.integers(-40, 40, x.shape), 0, 255).astype(np.uint8)
    mask = np.zeros((20, 18), bool)
    mask[3:17, 5:16] = True
    assert masked_ssim(x, x, mask) == pytest.approx(1)
    assert masked_ssim(x, y, mask) == pytest.approx(_ssim_by_loops(x / 255, y / 255, mask), abs=1e-5)


def _ssim_by_loops(x: NDArray[Any], y: NDArray[Any], mask: NDArray[np.bool_]) -> float:
    values = []
    for row, column in np.argwhere(mask):
        rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
        weight = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * 1.5**2))
        weight *= mask & (abs(rows - row) <= 5) & (abs(columns - column) <= 5)
        weight = weight[..., None] / weight.sum()
        mean_x, mean_y = (x * weight).sum((0, 1)), (y * weight).sum((0, 1))
        var_x, var_y = (weight * (x - mean_x) ** 2).sum((0, 1)), (weight * (y - mean_y) ** 2).sum((0, 1))
        covariance = (weight * (x - mean_x) * (y - mean_y)).sum((0, 1))
        luminance = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
        values.append(luminance * (2 * covariance + 9e-4) / (var_x + var_y + 9e-4))
    return float(np.mean(values))


def test_masked_ssim_does_not_flatter_a_flat_colour(person: tuple[NDArray[np.uint8], NDArray[np.bool_]]) -> None:
    picture, mask = person
    on_white = np.where(mask[..., None], picture, 255).astype(np.uint8)
    flat = np.where(mask[..., None], on_white[mask].mean(0), 255).astype(np.uint8)
    everywhere = np.ones_like(mask)
    assert masked_ssim(flat, on_white, everywhere) > 0.7
    assert masked_ssim(flat, on_white, mask) < 0.1


def test_landmark_error_uses_visible_landmarks_and_the_box_side() -> None:
    seen = np.zeros((4, 2))
    projected = np.array([[3, 4], [0, 10], [0, 0], [500, 0]])
    error = landmark_error(projected, seen, np.array([True, True, True, False]), 100)
    assert error.median == pytest.approx(0.05)
    assert error.p95 == pytest.approx(0.095)
    assert np.isnan(landmark_error(projected, seen, np.zeros(4, bool), 100).median)


def test_spoilt_pixels_are_counted_against_the_photo_and_the_background() -> None:
    photo = np.full((20, 20, 3), 200, np.uint8)
    photo[:, :10] = (30, 160, 30)
    person = np.zeros((20, 20), bool)
    person[:, 10:] = True
    image = photo.copy()
    assert spoilt_shares(image, photo, person, ~person).black == 0
    image[:5, 10:] = 0
    image[5:7, 10:] = (35, 150, 28)
    spoilt = spoilt_shares(image, photo, person, ~person)
    assert spoilt.black == pytest.approx(0.25)
    assert spoilt.background == pytest.approx(0.1)


def test_black_clothes_are_not_spoilt() -> None:
    photo = np.full((8, 8, 3), 10, np.uint8)
    everywhere = np.ones((8, 8), bool)
    assert spoilt_shares(photo, photo, everywhere, ~everywhere).black == 0
