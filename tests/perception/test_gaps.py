"""Gaps between limbs leave the mask, and clothes of the background's colour do not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from uvatar.data.landmarks import ANKLES, EARS, ELBOWS, HEELS, HIPS, INDICES, KNEES, SHOULDERS, TOES, WRISTS
from uvatar.evaluation.gaps import gaps
from uvatar.perception.gaps import gap_odds

SIZE = 256
# Where the joints of a standing person are whose hands are on the hips: (x beside the middle, y).
JOINTS = [(SHOULDERS, 26, 70), (ELBOWS, 58, 105), (WRISTS, 34, 135), (INDICES, 28, 140), (HIPS, 15, 140)]
JOINTS += [(KNEES, 20, 190), (ANKLES, 24, 235), (HEELS, 24, 240), (TOES, 30, 243), (EARS, 12, 40)]
WALL, SHIRT, TROUSERS = (120, 150, 110), (60, 60, 160), (70, 60, 50)
MIDDLE = 128


def person() -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Landmarks (33, 2), and the outlines (SIZE, SIZE) of trunk with arms and of legs."""
    points = np.full((33, 2), 128.0)
    for joints, x, y in JOINTS:
        points[joints] = [(MIDDLE + x, y), (MIDDLE - x, y)]
    upper, lower = np.zeros((SIZE, SIZE), np.uint8), np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(upper, (MIDDLE, 40), 16, (1,), -1)
    cv2.rectangle(upper, (MIDDLE - 26, 60), (MIDDLE + 26, 145), (1,), -1)
    for side in (0, 1):
        arm, leg = ([points[pair[side]].astype(int).tolist() for pair in limb] for limb in (
            (SHOULDERS, ELBOWS, WRISTS, INDICES), (HIPS, KNEES, ANKLES, TOES)
        ))  # fmt: skip
        cv2.polylines(upper, [np.array(arm)], False, (1,), 12)
        cv2.polylines(lower, [np.array(leg)], False, (1,), 18)
    return points, upper > 0, lower > 0


def photo(wall: tuple[int, int, int], shirt: tuple[int, int, int]) -> NDArray[np.float32]:
    _, upper, lower = person()
    picture = np.full((SIZE, SIZE, 3), wall, np.float32)
    picture[lower], picture[upper] = TROUSERS, shirt
    noise = np.random.default_rng(0).normal(0, 3, picture.shape)
    return np.asarray((picture + noise).clip(0, 255) / 255, np.float32)


def bridged(claim: float) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """Landmarks, log odds of a segmentation that bridges all gaps, the true outline, and the gaps."""
    points, upper, lower = person()
    outline = upper | lower
    filled = cv2.morphologyEx(outline.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((41, 41), np.uint8)) > 0
    return points, np.where(filled, claim, -12).astype(np.float32), outline, filled & ~outline


@pytest.mark.parametrize("claim", [2.0, 8.0])
def test_background_between_limbs_is_found(claim: float) -> None:
    points, own, outline, holes = bridged(claim)
    found = gap_odds(photo(WALL, SHIRT), own, np.full_like(own, -50), points) < 0
    inner = cv2.erode(holes.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    between = inner & (np.abs(np.arange(SIZE) - MIDDLE) < 50)[None]
    assert between.sum() > 300
    assert found[between].mean() > 0.7
    assert found[outline].mean() < 0.01


@pytest.mark.parametrize("shirt", [(118, 148, 112), (125, 155, 116)])
def test_clothes_like_the_wall_are_not_eaten(shirt: tuple[int, int, int]) -> None:
    points, own, outline, _ = bridged(8.0)
    found = gap_odds(photo(WALL, shirt), own, np.full_like(own, -50), points) < 0
    assert found[outline].mean() < 0.01


def test_what_a_neighbour_claims_is_no_gap() -> None:
    points, own, _, _ = bridged(8.0)
    assert (gap_odds(photo(WALL, SHIRT), own, np.full_like(own, 3), points) > 0).all()


def test_gaps_of_an_outline() -> None:
    _, upper, lower = person()
    found = gaps(upper | lower)
    assert found[126, MIDDLE + 31]
    assert not found[10, 10] and not (found & (upper | lower)).any()
