"""Masks of made-up people over a made-up photo, whose true outlines are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uvatar.perception.claims import without_borrowed_arms
from uvatar.perception.geometry import Pyramid, Roi
from uvatar.perception.masks import doubted, guided_coefficients, person_masks
from uvatar.perception.pose import LANDMARK_SIDE, Pose

SIZE = 512
ROI = Roi(SIZE / 2, SIZE / 2, SIZE)


def pose(inside: NDArray[Any], landmark: tuple[float, float], blur: float = 9.0) -> Pose:
    """A pose whose segmentation is a coarse, blurred version of ``inside`` (SIZE x SIZE)."""
    blurred = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), blur)
    coarse = cv2.resize(blurred, (LANDMARK_SIDE, LANDMARK_SIDE), interpolation=cv2.INTER_AREA)
    landmarks = np.tile(np.array([*landmark, 1.0], np.float32), (33, 1))
    return Pose(
        landmarks, np.zeros((33, 3), np.float32), 1.0, 1.0, np.ones(33, np.float32), (coarse - 0.5) * 20, ROI, ROI
    )


def ellipse(x: float, y: float, rx: float, ry: float) -> NDArray[Any]:
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    return ((columns - x) / rx) ** 2 + ((rows - y) / ry) ** 2 < 1


def placed(window: tuple[int, int, int, int], mask: NDArray[Any]) -> NDArray[Any]:
    whole = np.zeros((SIZE, SIZE), np.uint8)
    x0, y0, x1, y1 = window
    whole[y0:y1, x0:x1] = mask
    return whole


def iou(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_the_outline_snaps_to_the_edge_in_the_photo() -> None:
    truth = ellipse(256, 256, 90, 170)
    photo = np.where(truth[..., None], np.array([200, 120, 60], np.uint8), np.array([40, 60, 90], np.uint8))
    # the coarse segmentation is a few pixels off
    shifted = np.roll(truth, (3, 3), (0, 1))
    [(window, mask, others)] = person_masks(Pyramid(photo), [pose(shifted, (256, 256))])
    whole = placed(window, mask)
    assert mask.shape == (window[3] - window[1], window[2] - window[0]) == others.shape
    assert iou(whole > 127, truth) > 0.98 > 0.97 > iou(shifted, truth)
    assert not others.any()


def test_overlapping_people_share_no_pixels() -> None:
    left, right = ellipse(200, 256, 90, 170), ellipse(310, 256, 90, 170)
    photo = np.full((SIZE, SIZE, 3), 90, np.uint8)
    photo[left], photo[right] = (200, 60, 60), (60, 60, 200)
    results = person_masks(Pyramid(photo), [pose(left & ~right, (160, 256)), pose(right, (310, 256))])
    first, second = (placed(window, mask).astype(int) for window, mask, _ in results)
    assert ((first > 127) & (second > 127)).sum() == 0
    assert (first + second).max() <= 255
    window, _, others = results[0]
    assert iou(placed(window, others) > 127, (second > 127) & (placed(window, np.full_like(others, 255)) > 0)) > 0.95


def test_islands_go_and_pinholes_close() -> None:
    body = ellipse(256, 256, 90, 170)
    island, hole = ellipse(60, 60, 20, 20), ellipse(256, 256, 5, 5)
    photo = np.where((body | island)[..., None], np.array([200, 120, 60], np.uint8), np.array([40, 60, 90], np.uint8))
    [(window, mask, _)] = person_masks(Pyramid(photo), [pose((body | island) & ~hole, (256, 150), blur=2)])
    whole = placed(window, mask)
    assert whole[40:80, 40:80].max() < 60
    assert whole[250:262, 250:262].min() > 200


def test_guided_filter_reproduces_what_is_linear_in_the_colours() -> None:
    guide = np.random.default_rng(0).random((40, 50, 3)).astype(np.float32)
    values = guide @ np.array([0.2, -0.5, 0.9], np.float32) + np.float32(0.1)
    coefficients = guided_coefficients(guide, values, 4, 1e-8)
    assert np.abs((coefficients[..., :3] * guide).sum(-1) + coefficients[..., 3] - values).max() < 1e-3


def test_landmarks_off_the_mask_are_doubted() -> None:
    mask = np.zeros((200, 200), np.uint8)
    mask[:, 80:120] = 255
    landmarks = np.tile(np.array([110, 100, 1], np.float32), (33, 1))
    landmarks[:5] = [[110, 60, 1], [110, 240, 1], [132, 100, 1], [160, 100, 1], [400, 100, 1]]
    assert np.allclose(doubted(landmarks, (10, 50, 210, 250), mask)[:5, 2], [1, 1, 1, 0.4, 1])
    assert np.allclose(doubted(landmarks, (10, 50, 210, 250), mask)[5:, 2], 1)
    landmarks[[28, 30], :2] = [160, 200]  # ankle and heel beside the person: the toes on them are somebody's too
    assert np.allclose(
        doubted(landmarks, (10, 50, 210, 250), mask)[[27, 28, 29, 30, 31, 32], 2], [1, 0.4, 1, 0.4, 1, 0.4]
    )


def test_a_thin_arm_that_the_segmentation_hardly_saw_is_its_owner_s_where_the_landmarks_put_it() -> None:
    trunk = ellipse(200, 256, 60, 150)
    arm = np.zeros((SIZE, SIZE), np.uint8)
    cv2.line(arm, (250, 170), (300, 300), (1,), 24)
    photo = np.where(
        (trunk | (arm > 0))[..., None], np.array([200, 120, 60], np.uint8), np.array([40, 60, 90], np.uint8)
    )
    coarse = pose(trunk, (200, 256))
    weak = cv2.resize(arm.astype(np.float32), (LANDMARK_SIDE, LANDMARK_SIDE), interpolation=cv2.INTER_AREA)
    logits = np.where(weak > 0.5, np.maximum(coarse.logits, -2.0), coarse.logits).astype(np.float32)
    landmarks = coarse.landmarks.copy()
    landmarks[[11, 12, 23, 24], :2] = [[240, 150], [160, 150], [225, 330], [175, 330]]
    landmarks[[11, 13, 15], :2] = [[250, 170], [275, 235], [300, 300]]
    [(window, mask, _)] = person_masks(Pyramid(photo), [replace(coarse, logits=logits, landmarks=landmarks)])
    assert (placed(window, mask)[arm > 0] > 127).mean() > 0.85
    landmarks[[13, 15], 2] = 0.1
    elsewhere = np.where(trunk[..., None], np.array([200, 120, 60], np.uint8), np.array([40, 60, 90], np.uint8))
    [(window, mask, _)] = person_masks(Pyramid(elsewhere), [replace(coarse, logits=logits, landmarks=landmarks)])
    assert (placed(window, mask)[(arm > 0) & ~trunk] > 127).mean() < 0.3


def test_colours_tell_a_gap_that_the_segmentation_overlooks_and_an_arm_that_it_hardly_saw() -> None:
    trunk = ellipse(200, 256, 60, 150)
    arm, gap = np.zeros((SIZE, SIZE), np.uint8), np.zeros((SIZE, SIZE), np.uint8)
    cv2.line(arm, (250, 170), (300, 300), (1,), 16)
    cv2.line(gap, (165, 300), (165, 420), (1,), 12)
    person = ((trunk > 0) | (arm > 0)) & (gap == 0)
    photo = np.where(person[..., None], np.array([200, 120, 60], np.uint8), np.array([40, 60, 90], np.uint8))
    coarse = pose(trunk, (200, 256))
    sure = np.where(coarse.logits > 0, 20.0, -20.0)
    for drawn, odds in ((arm, -1.5), (gap, 4.0)):
        around = cv2.dilate(drawn, np.ones((5, 5), np.uint8)).astype(np.float32)
        here = cv2.resize(around, (LANDMARK_SIDE, LANDMARK_SIDE), interpolation=cv2.INTER_AREA)
        sure = np.where(here > 0.5, odds, sure)
    landmarks = coarse.landmarks.copy()
    landmarks[:, 2] = 0.1
    [(window, mask, _)] = person_masks(
        Pyramid(photo), [replace(coarse, logits=sure.astype(np.float32), landmarks=landmarks)]
    )
    found = placed(window, mask) > 127
    assert found[(arm > 0) & (trunk == 0)].mean() > 0.8
    assert found[(gap > 0) & (trunk > 0)].mean() < 0.2


def test_one_arm_found_on_two_people_stays_with_the_one_whose_arms_are_alike() -> None:
    points = np.zeros((33, 3), np.float32)
    points[:, 2] = 0.95
    owner, neighbour = points.copy(), points.copy()
    owner[[11, 13, 15], :2] = [[100, 100], [110, 150], [105, 200]]
    owner[[12, 14, 16], :2] = [[60, 100], [50, 150], [55, 200]]
    neighbour[[12, 14, 16], :2] = [[125, 60], [112, 152], [107, 198]]  # reaches for the owner's left arm
    neighbour[[11, 13, 15], :2] = [[190, 90], [200, 145], [195, 200]]
    template = pose(ellipse(200, 256, 60, 150), (200, 256))
    kept, lent = without_borrowed_arms([replace(template, landmarks=owner), replace(template, landmarks=neighbour)])
    assert (kept.landmarks[:, 2] > 0.9).all()
    assert (lent.landmarks[[14, 16, 18, 20, 22], 2] < 0.5).all() and (lent.landmarks[[13, 15], 2] > 0.9).all()
    alone = without_borrowed_arms([replace(template, landmarks=owner)])
    assert np.array_equal(alone[0].landmarks, owner)


def test_of_two_people_who_claim_a_sleeve_the_one_of_its_colour_gets_it() -> None:
    left, right = ellipse(170, 256, 80, 150), ellipse(320, 256, 90, 150)
    both = (left > 0) & (right > 0)
    photo = np.full((SIZE, SIZE, 3), 90, np.uint8)
    photo[right > 0] = (40, 120, 60)
    photo[left > 0] = (230, 230, 230)
    poses = []
    for shape, middle in ((left, (170, 256)), (right, (320, 256))):
        one = pose(shape, middle)
        landmarks = one.landmarks.copy()
        landmarks[:, 2] = 0.1
        poses.append(replace(one, logits=np.where(one.logits > 0, 20, -20).astype(np.float32), landmarks=landmarks))
    (window_a, mask_a, _), (window_b, mask_b, _) = person_masks(Pyramid(photo), poses)
    assert (placed(window_a, mask_a)[both] > 127).mean() > 0.9
    assert (placed(window_b, mask_b)[both] > 127).mean() < 0.1
